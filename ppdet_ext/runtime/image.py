"""Reading images as PaddleDetection's `Decode` does, with clear errors for the ones it stumbles over."""

import os
from pathlib import Path

import cv2
import numpy as np

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")


def find_images(paths):
    """Image files for the paths given: files as they are, folders searched with all below them.

    Args:
        paths (list): files and folders.

    Returns:
        list: pairs of a file (Path) and its name relative to the folder given (Path), sorted in each folder.

    Raises:
        ValueError: a path does not exist, or a folder holds no image.
    """
    files = []
    for path in map(Path, paths):
        if path.is_dir():
            inside = sorted(
                file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file()
            )
            if not inside:
                raise ValueError(f"{path}: holds no images ({', '.join(SUFFIXES)}); choose another folder")
            files.extend((file, file.relative_to(path)) for file in inside)
        elif path.exists():
            files.append((path, Path(path.name)))
        else:
            raise ValueError(f"{path}: no such file or folder; check the path")
    return files


def read_image(path):
    """Decode an image file.

    As in PaddleDetection: EXIF orientation is applied, greyscale becomes three equal channels, alpha is
    dropped, 16 bits become 8. Any path works, also one with characters outside ASCII.

    Args:
        path (str | Path): JPEG, PNG, BMP, WebP or whatever else OpenCV reads.

    Returns:
        numpy.ndarray: [H, W, 3] uint8 RGB.

    Raises:
        ValueError: the file is missing, empty, truncated or no image.
    """
    path = os.fspath(path)
    if os.path.isdir(path):
        raise ValueError(f"{path}: is a folder; give the image files in it")
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    return decode_image(data, path)


class UnreadableImage(ValueError):
    """Bytes that are no whole image.

    Args:
        fault (str): 'empty', 'truncated' or 'no image'.
        message (str): for the user.
    """

    def __init__(self, fault, message):
        super().__init__(message)
        self.fault = fault


def decode_image(data, name):
    """Decode the bytes of an image file, as :func:`read_image`.

    Args:
        data (bytes): of the file.
        name (str): what to call it in an error.

    Returns:
        numpy.ndarray: [H, W, 3] uint8 RGB.

    Raises:
        UnreadableImage: empty, truncated or no image.
    """
    if not data:
        raise UnreadableImage("empty", f"{name}: is empty (0 bytes); copy the image again")
    if _is_truncated(data):
        raise UnreadableImage("truncated", f"{name}: is truncated, its end is missing; copy the image again")
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:  # a header that promises more pixels than OpenCV allows
        image = None
    if image is None:
        raise UnreadableImage(
            "no image", f"{name}: is not an image OpenCV can read; convert it to JPEG or PNG"
        )
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def as_image(array, name="image"):
    """Bring an array to the form `read_image` gives, with the same rules.

    Args:
        array (numpy.ndarray): [H, W, 3] RGB, [H, W, 4] RGBA, [H, W] or [H, W, 1] grey; uint8 or uint16.
        name (str): what to call it in an error.

    Returns:
        numpy.ndarray: [H, W, 3] uint8 RGB; the array itself where it already is one.

    Raises:
        ValueError: another shape or dtype, or no pixels.
    """
    array = np.asarray(array)
    if array.dtype == np.uint16:
        array = (array >> 8).astype(np.uint8)  # as libpng reduces 16 bits
    if array.dtype != np.uint8:
        raise ValueError(f"{name}: an array of {array.dtype}; give uint8 RGB, 0..255")
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4) or array.size == 0:
        raise ValueError(f"{name}: an array of shape {list(array.shape)}; give RGB [height, width, 3]")
    if array.shape[2] == 1:
        return np.repeat(array, 3, 2)
    return array[..., :3]


def _is_truncated(data):
    """Whether a JPEG or PNG lacks its end mark; OpenCV would fill the rest with grey and say nothing.

    A thumbnail inside a JPEG has an end mark of its own, hence 'after the last start of scan'; what a camera
    appends behind the image does no harm.
    """
    if data.startswith(b"\xff\xd8"):
        return data.rfind(b"\xff\xd9") < data.rfind(b"\xff\xda") or b"\xff\xda" not in data
    if data.startswith(b"\x89PNG"):
        return b"IEND" not in data
    return False
