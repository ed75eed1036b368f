"""What the inputs on a command line stand for: images, videos and cameras."""

import glob
import re
from itertools import takewhile
from pathlib import Path
from typing import List, NamedTuple, Tuple

from ..runtime.image import SUFFIXES
from ..runtime.video import VIDEO_SUFFIXES, is_camera

MAGIC = re.compile(r"[*?[]")


class Inputs(NamedTuple):
    """Inputs by kind, each once, in the order given.

    Args:
        images (list): pairs of a file (Path) and its name relative to the folder given (Path).
        videos (list): as `images`.
        cameras (list): sources (str) for `runtime.video.Video`.
    """

    images: List[Tuple[Path, Path]]
    videos: List[Tuple[Path, Path]]
    cameras: List[str]


def find_inputs(paths):
    """Sort what the user named into images, videos and cameras.

    A folder stands for the images and videos in it and below it, a pattern ('in/**/*.jpg', quoted) for those
    it matches, 'camera:0' and URLs for cameras; any other file is a video by its suffix, else an image.

    Args:
        paths (list): of str.

    Returns:
        Inputs: files of a folder or pattern sorted by name.

    Raises:
        ValueError: a path does not exist, a folder or pattern gives neither images nor videos.
    """
    files, cameras = {}, {}
    for path in paths:
        if is_camera(path):
            cameras[path] = None
            continue
        for file, name in _find(path):
            files.setdefault(file, name)
    videos = [(file, name) for file, name in files.items() if _is_video(file)]
    images = [(file, name) for file, name in files.items() if not _is_video(file)]
    return Inputs(images, videos, list(cameras))


def _find(path):
    """(file, name) pairs of one path or pattern."""
    given = Path(path)
    if given.is_dir():
        found = _media(given.rglob("*"))
        if not found:
            raise ValueError(f"{path}: holds no images or videos ({_known()}); choose another folder")
        return [(file, file.relative_to(given)) for file in found]
    if given.exists():
        return [(given, Path(given.name))]
    if not MAGIC.search(path):
        raise ValueError(f"{path}: no such file or folder; check the path")
    # Names are relative to the last folder before the pattern begins.
    fixed = Path(*takewhile(lambda part: not MAGIC.search(part), given.parts[:-1]))
    found = _media(map(Path, glob.glob(path, recursive=True)))
    if not found:
        raise ValueError(f"{path}: matches no images or videos ({_known()}); check the pattern")
    return [(file, file.relative_to(fixed)) for file in found]


def _media(files):
    known = (*SUFFIXES, *VIDEO_SUFFIXES)
    return sorted(file for file in files if file.suffix.lower() in known and file.is_file())


def _is_video(file):
    return file.suffix.lower() in VIDEO_SUFFIXES


def _known():
    return ", ".join((*SUFFIXES, *VIDEO_SUFFIXES))
