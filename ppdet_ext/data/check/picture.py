"""What a picture file holds, and what PaddleDetection's `Decode` makes of it."""

import hashlib
import io
import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, Optional, Tuple

import cv2
import numpy as np
from PIL import Image
from tqdm import tqdm

from ...runtime.image import UnreadableImage, decode_image
from ..pictures import ORIENTATION
from ..similarity import thumbnail

# The orientations that exchange width and height.
QUARTER_TURNS = (5, 6, 7, 8)
SUFFIXES = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "MPO": (".jpg", ".jpeg", ".mpo"),
    "PNG": (".png",),
    "BMP": (".bmp", ".dib"),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
}
FAULTS = {
    "empty": ("file-empty", "has 0 bytes"),
    "truncated": ("file-truncated", "breaks off, its end is missing"),
    "no image": ("file-no-picture", "is no picture that OpenCV can read"),
}


class Picture(NamedTuple):
    """A picture, as read for training.

    Args:
        fault (tuple | None): kind of finding and what is wrong, where it can't be read.
        size (tuple): width and height, pixels, as read: turned by the EXIF orientation.
        orientation (int): of EXIF, 1 to 8; 1 where there is none.
        format (str): 'JPEG', 'PNG', ...; '' where only OpenCV knows it.
        mode (str): Pillow's: 'RGB', 'L', 'CMYK', 'RGBA', 'P', ...
        bits (int): of a channel, as stored.
        spread (int): greatest minus least value, 0..255.
        digest (bytes): of the file.
        thumbnail (ndarray | None): see :func:`ppdet_ext.data.similarity.thumbnail`.
    """

    fault: Optional[Tuple[str, str]] = None
    size: Tuple[int, int] = (0, 0)
    orientation: int = 1
    format: str = ""
    mode: str = ""
    bits: int = 8
    spread: int = 255
    digest: bytes = b""
    thumbnail: Optional[np.ndarray] = None


def inspect_picture(path):
    """Reads one picture.

    Args:
        path (str): of a file that is there.

    Returns:
        Picture.
    """
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        return Picture(("file-no-picture", f"cannot be read ({error.strerror})"))
    digest = hashlib.blake2b(data, digest_size=16).digest()
    try:
        pixels = decode_image(data, path)
    except UnreadableImage as error:
        return Picture(FAULTS[error.fault], digest=digest)
    format, mode, bits, orientation = _header(data)
    return Picture(
        size=pixels.shape[1::-1],
        orientation=orientation,
        format=format,
        mode=mode,
        bits=bits,
        spread=int(pixels.max()) - int(pixels.min()),
        digest=digest,
        thumbnail=thumbnail(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)),
    )


def inspect_pictures(paths, workers=None, progress=True):
    """Reads many, in threads: decoding leaves Python's lock.

    Args:
        paths (list): str, or None for a file that is missing.
        workers (int | None): threads; None for one a core, eight at most.
        progress (bool): show a bar.

    Returns:
        list: a Picture for each path, None for None.
    """
    workers = workers or min(8, os.cpu_count() or 1)
    here = [path for path in paths if path is not None]
    bar = tqdm(total=len(here), desc="reading pictures", unit="img", disable=None if progress else True)
    with bar, ThreadPoolExecutor(workers) as pool:
        pictures = []
        for picture in pool.map(inspect_picture, here):
            pictures.append(picture)
            bar.update()
    in_order = iter(pictures)
    return [None if path is None else next(in_order) for path in paths]


def readable(pictures):
    """list[int]: which of the pictures (Picture or None) could be read."""
    return [row for row, picture in enumerate(pictures) if picture is not None and not picture.fault]


def thumbnails_of(pictures, rows):
    """ndarray: [N, D] float32, the thumbnails of some pictures."""
    return np.stack([pictures[row].thumbnail for row in rows])


def _header(data):
    """Format, mode, bits and orientation, without decoding again."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a very large picture, which OpenCV has read
            with Image.open(io.BytesIO(data)) as image:
                return image.format, image.mode, _bits(data, image), _orientation(data, image)
    except Exception:  # Pillow's readers raise of every kind, and OpenCV has read the file
        return "", "", 8, 1


def _bits(data, image):
    if image.format == "PNG":
        return data[24]
    if image.format == "TIFF":
        return max(image.tag_v2.get(258, (8,)))
    return 8


def _orientation(data, image):
    """The orientation that OpenCV applies: it reads that of JPEG and PNG."""
    if image.format not in ("JPEG", "MPO", "PNG"):
        return 1
    if image.format == "PNG" and b"eXIf" not in data:  # Pillow would decode it to look behind the pixels
        return 1
    value = image.getexif().get(ORIENTATION, 1)
    return value if value in range(1, 9) else 1
