"""Annotations of other formats, told apart and turned into COCO instances."""

import json
from pathlib import Path

from ppdet_ext.nearest import choice

from .deep_pcb import read_deep_pcb
from .labelme import read_labelme
from .pictures import files_below
from .voc import part_folders, read_voc
from .yolo import read_yolo
from .yolo_settings import TEXT_NAMES, find_yaml

# Format: (its reader, what it is called, the options it takes).
FORMATS = {
    "voc": (read_voc, "Pascal VOC", ("split", "names")),
    "yolo": (read_yolo, "YOLO", ("split", "names", "unlabelled")),
    "labelme": (read_labelme, "LabelMe", ("names", "unlabelled")),
    "deeppcb": (read_deep_pcb, "DeepPCB", ("split",)),
}
OPTIONS = {"split": "--split", "names": "--labels", "unlabelled": "--unlabelled"}


def convert_dataset(source, kind="auto", progress=True, **options):
    """Reads a dataset of another format.

    Args:
        source (str | Path): its folder.
        kind (str): a key of FORMATS, or 'auto': what the folder looks like.
        progress (bool): show a bar.
        options: 'split', 'names', 'unlabelled' for the readers that have them; None for none.

    Returns:
        tuple(Converted, str): what was read, and the key of its format.

    Raises:
        ValueError: the folder is missing or of no one format, an option is not of this format, or the data is
            bad: see the readers.
    """
    source = Path(source)
    if not source.is_dir():
        raise ValueError(f"{source}: no such folder; give the root of the dataset")
    if kind == "auto":
        kind = find_format(source)
    elif kind not in FORMATS:
        raise ValueError(f"no format '{kind}'; {choice(kind, FORMATS)}")
    read, title, known = FORMATS[kind]
    given = {name: value for name, value in options.items() if value is not None}
    for name in given:
        if name not in known:
            raise ValueError(f"{source}: {OPTIONS.get(name, name)} means nothing for {title}; leave it out")
    return read(str(source), progress=progress, **given), kind


def find_format(folder):
    """The format that a folder looks like.

    Args:
        folder (str | Path)

    Returns:
        str: a key of FORMATS.

    Raises:
        ValueError: it looks like none of them, or like several.
    """
    found = formats_like(folder)
    if len(found) != 1:
        said = f"could be {' or '.join(found)}" if found else f"looks like none of {', '.join(FORMATS)}"
        raise ValueError(f"{folder}: {said}; say with --from which it is, or give another folder")
    return found[0]


def formats_like(folder, kinds=tuple(FORMATS)):
    """Those of some formats that a folder looks like.

    Args:
        folder (str | Path)
        kinds (tuple[str]): keys of FORMATS.

    Returns:
        list[str]
    """
    return [kind for kind in kinds if _LOOKS[kind](Path(folder))]


def _first_fields(list_file):
    """Suffixes of the files that the first line of a list names."""
    try:
        with open(list_file, encoding="utf-8-sig") as file:
            return [Path(field).suffix.lower() for field in file.readline().replace(",", " ").split()]
    except (OSError, UnicodeDecodeError):
        return []


def _is_voc(folder):
    places = (folder, folder / "Annotations", folder / "annotations")
    beside = any(next(place.glob("*.xml"), None) for place in places if place.is_dir())
    return beside or bool(part_folders(folder))


def _is_yolo(folder):
    if any((folder / name).is_file() for name in TEXT_NAMES) or find_yaml(folder):
        return True
    return any(name.endswith(".txt") and "labels" in name.split("/")[:-1] for name in files_below(folder))


def _is_deep_pcb(folder):
    return any(
        len(suffixes) == 2 and suffixes[1] == ".txt" and suffixes[0] in (".jpg", ".png", ".bmp")
        for suffixes in map(_first_fields, folder.glob("*.txt"))
    )


def _is_labelme(folder):
    """Whether the first JSON file is of LabelMe."""
    for name in files_below(folder):
        if not name.endswith(".json"):
            continue
        try:
            content = json.loads((folder / name).read_text(encoding="utf-8-sig"))
        except (OSError, ValueError, RecursionError):
            continue
        if isinstance(content, dict) and "shapes" in content:
            return True
    return False


_LOOKS = {"voc": _is_voc, "yolo": _is_yolo, "labelme": _is_labelme, "deeppcb": _is_deep_pcb}
