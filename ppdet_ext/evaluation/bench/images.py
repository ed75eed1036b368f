"""The picture that is detected in where the user gives none."""

from pathlib import Path

import cv2
import numpy as np

from ppdet_ext.runtime.image import find_images

WIDTH, HEIGHT = 640, 480  # the size of most photographs in COCO
JPEG_QUALITY = 92
# More would only be read once or twice each.
MOST_IMAGES = 64


def photograph(seed=0):
    """A picture with what makes a photograph slow to decode: texture at every scale, edges, noise.

    Args:
        seed (int): same number, same picture.

    Returns:
        numpy.ndarray: [480, 640, 3] uint8 RGB.
    """
    rng = np.random.default_rng(seed)
    sky, ground = np.array([150.0, 185, 225]), np.array([95.0, 105, 75])
    slope = np.linspace(0, 1, HEIGHT)[:, None, None]
    picture = np.repeat(sky * (1 - slope) + ground * slope, WIDTH, 1)
    for cells in (4, 8, 16, 32, 64, 128):
        # Mostly light and shade, little colour, as in nature.
        coarse = rng.normal(0, 55, (cells, cells, 1)) + rng.normal(0, 12, (cells, cells, 3))
        picture += cv2.resize(coarse / cells**0.5, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    for _ in range(24):
        picture = _with_object(picture, rng)
    picture = cv2.GaussianBlur(picture, (3, 3), 0.6) + rng.normal(0, 7, picture.shape)
    return picture.clip(0, 255).astype(np.uint8)


def _with_object(picture, rng):
    """The picture with one shaded ellipse or polygon on it, and its shadow."""
    centre = rng.uniform((0, HEIGHT * 0.2), (WIDTH, HEIGHT))
    radius = np.exp(rng.uniform(np.log(12), np.log(110), 2))
    angles = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(3, 9)))) if rng.random() < 0.5 else None
    if angles is None:
        angles = np.linspace(0, 2 * np.pi, 60)
    outline = centre + radius * np.stack([np.cos(angles), np.sin(angles)], 1)
    shadow = ((5, 7), rng.uniform(0, 40, 3), 0.5)
    for offset, colour, weight in (shadow, ((0, 0), rng.uniform(20, 245, 3), 0.9)):
        mask = np.zeros((HEIGHT, WIDTH), np.float32)
        cv2.fillPoly(mask, [np.round(outline + offset).astype(np.int32)], 1.0, cv2.LINE_AA)
        light = 1 + 0.35 * (np.arange(WIDTH) - centre[0]) / WIDTH
        alpha = weight * mask[..., None]
        picture = picture * (1 - alpha) + alpha * colour * light[None, :, None]
    return picture


def photographs(folder, count):
    """Writes `count` generated pictures, each another one, as JPEG files; returns their paths."""
    return [_write(Path(folder) / f"generated_{seed}.jpg", photograph(seed)) for seed in range(count)]


def _write(file, picture):
    bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    file.write_bytes(cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes())
    return file


def choose_images(folder, temporary):
    """The image files of a run.

    Args:
        folder (str | None): the user's folder of images; None for the generated one.
        temporary (str | Path): where the generated file is put.

    Returns:
        tuple: the files (list of str), and what a report says of them (dict).

    Raises:
        ValueError: the folder does not exist or holds no image.
    """
    if folder is not None:
        files = [str(file) for file, _ in find_images([folder])][:MOST_IMAGES]
        return files, {"source": str(folder), "count": len(files)}
    file = _write(Path(temporary) / f"generated_{WIDTH}x{HEIGHT}.jpg", photograph())
    size = file.stat().st_size // 1024
    return [str(file)], {"source": f"generated {WIDTH}x{HEIGHT} JPEG, {size} KiB", "count": 1}
