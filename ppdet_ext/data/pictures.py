"""The pictures of a dataset: finding them, and their sizes without decoding them."""

import os
import unicodedata
import warnings
from pathlib import Path

from ..runtime.image import SUFFIXES, read_image

ORIENTATION = 0x0112  # EXIF: 1 upright, 2 to 4 mirrored or upside down, 5 to 8 on its side


def files_below(folder):
    """Files in a folder and below it, through links to folders, without hidden ones.

    Args:
        folder (str | Path)

    Returns:
        list[str]: names relative to the folder, with '/', sorted.
    """
    found = []

    def visit(path, prefix, above):
        real = os.path.realpath(path)
        if real in above:  # a link to a folder that it lies in
            return
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.name.startswith(".") or entry.name == "__MACOSX":
                    continue
                if entry.is_dir():
                    visit(entry.path, f"{prefix}{entry.name}/", {*above, real})
                elif entry.is_file():
                    found.append(prefix + entry.name)

    visit(folder, "", set())
    return sorted(found)


def is_picture(name):
    """Whether a file's name is that of a picture."""
    return os.path.splitext(name)[1].lower() in SUFFIXES and not os.path.basename(name).startswith(".")


def find_pictures(folder):
    """Those of :func:`files_below` that are pictures."""
    return [name for name in files_below(folder) if is_picture(name)]


def pictures_by_stem(folder):
    """Pictures directly in a folder by their names without suffix.

    Args:
        folder (str | Path)

    Returns:
        dict[str, str]: :func:`stem_key` of the name: file name. Of two suffixes the first of SUFFIXES counts.
    """
    found = filter(is_picture, sorted(os.listdir(folder)))
    order = sorted(found, key=lambda name: SUFFIXES.index(Path(name).suffix.lower()), reverse=True)
    return {stem_key(os.path.splitext(name)[0]): name for name in order}


def stem_key(stem):
    """A name in one spelling: an accent may be a character of its own (macOS) or part of its letter."""
    return unicodedata.normalize("NFC", stem)


def picture_size(path):
    """Size of a picture as PaddleDetection's Decode and :func:`ppdet_ext.runtime.image.read_image` give it:
    after its EXIF orientation.

    The header is enough, except where a format other than JPEG says it is rotated: then what OpenCV makes of
    it counts, and the picture is decoded.

    Args:
        path (str | Path)

    Returns:
        tuple(int, int): width and height, pixels.

    Raises:
        ValueError: the file is missing, empty or no picture.
    """
    return _size_in_header(path) or read_image(path).shape[1::-1]


def _size_in_header(path):
    """(width, height), or None where the header alone doesn't say, or makes no sense to Pillow."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as picture:
                kind, (width, height) = picture.format, picture.size
                # Pillow would decode a PNG to look for this behind the pixels, and turns TIFF by itself.
                rotated = 1 if kind in ("PNG", "BMP") else picture.getexif().get(ORIENTATION, 1)
        if kind == "PNG" and b"eXIf" in Path(path).read_bytes():
            return None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    if kind in ("JPEG", "MPO"):
        return (height, width) if rotated in (5, 6, 7, 8) else (width, height)
    return (width, height) if kind in ("PNG", "BMP", "WEBP", "TIFF") and rotated == 1 else None
