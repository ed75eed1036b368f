"""Writing images and plots."""

import os
from pathlib import Path

import cv2


def write_image(path, image):
    """Write an image; the suffix says the format. Works with paths outside ASCII, and never leaves half a
    file.

    Args:
        path (str | Path): '.jpg', '.png' or another suffix OpenCV writes. Its folder is made.
        image (numpy.ndarray): [H, W, 3] uint8 RGB.

    Raises:
        ValueError: OpenCV cannot write this format.
    """
    path = Path(path)
    try:
        done, data = cv2.imencode(path.suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    except cv2.error:
        done = False
    if not done:
        raise ValueError(f"{path}: OpenCV cannot write '{path.suffix}' images; use .jpg or .png")
    _write_whole(path, lambda partial: partial.write_bytes(data.tobytes()))


def save_figure(path, figure):
    """Write a plot as PNG, and never half a file.

    Args:
        path (str | Path): its folder is made.
        figure (matplotlib.figure.Figure): with a canvas.
    """
    _write_whole(Path(path), lambda partial: figure.savefig(partial, format="png"))


def _write_whole(path, write):
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".part")
    write(partial)
    os.replace(partial, path)
