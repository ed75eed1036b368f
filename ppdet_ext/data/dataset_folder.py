"""A folder of annotated pictures, recognised by its layout and read as parts to train and to evaluate on."""

from pathlib import Path, PurePosixPath
from typing import List, NamedTuple, Optional

from ppdet_ext.nearest import choice

from .coco_file import read_coco
from .coco_folder import coco_files, coco_parts, find_images, part_of
from .convert import FORMATS, convert_dataset, formats_like
from .grouping import group_images
from .labels import read_text
from .pictures import files_below, find_pictures
from .split import split_dataset
from .voc import part_folders
from .yolo_settings import TEXT_NAMES, find_yaml, read_settings

KINDS = {"coco": "COCO", **{kind: title for kind, (_, title, _) in FORMATS.items()}}
# What tells each from the others.
SIGNS = (
    "COCO: annotations/*.json, train.json, train/_annotations.coco.json; VOC: Annotations/*.xml, "
    "train/*.xml; YOLO: data.yaml, labels/*.txt"
)
# The share of the pictures that is held out where a dataset has no validation part.
HELD_OUT = 0.2
# Pictures that correlate so stay together when some are held out; the second where the first chains up all.
ALIKE = (0.9, 0.98)


class Part(NamedTuple):
    """
    Args:
        dataset (dict): COCO instances.
        image_dir (str): the folder that the names of the pictures count from.
        anno (str | None): the user's file that says just this; None where it was read from another format.
    """

    dataset: dict
    image_dir: str
    anno: Optional[str]


class Folder(NamedTuple):
    """
    Args:
        kind (str): a key of KINDS.
        train (Part)
        val (Part | None)
        notes (list[str]): what a user should know of it, a line each.
    """

    kind: str
    train: Part
    val: Optional[Part]
    notes: List[str]


def recognise(folder):
    """The layout of a folder, from the names of its files.

    Args:
        folder (str | Path)

    Returns:
        str: a key of KINDS.

    Raises:
        ValueError: no such folder, an empty one, or one that looks like no layout or like several.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder; give the root of the dataset")
    if not any(folder.iterdir()):
        raise ValueError(f"{folder}: the folder is empty; looked for {SIGNS}")
    # Whether it is LabelMe's shows only inside of JSON files, and COCO's may be large.
    found = ["coco", *formats_like(folder, ("voc", "yolo"))] if coco_files(folder) else formats_like(folder)
    if not found:
        raise ValueError(f"{folder}: no layout of a dataset that is known here; looked for {SIGNS}")
    if len(found) > 1:
        titles = " or a ".join(KINDS[kind] for kind in found)
        raise ValueError(
            f"{folder}: could be a {titles} folder; say which: {' or '.join(f'--from {k}' for k in found)}"
        )
    return found[0]


def read_folder(folder, kind="auto", names=None, progress=True):
    """Reads a dataset as it is; nothing is written.

    Its own division into training and validation is kept (files, lists, or folders named so); a test part is
    left alone.

    Args:
        folder (str | Path)
        kind (str): a key of KINDS, or 'auto'.
        names (list[str] | None): classes, where the dataset does not name them; not for COCO.
        progress (bool): show bars.

    Returns:
        Folder: all parts with the same classes.

    Raises:
        ValueError: see :func:`recognise`; annotations are bad; or a part has no boxes.
    """
    if kind not in ("auto", *KINDS):
        raise ValueError(f"no format '{kind}'; {choice(kind, KINDS)}")
    folder = Path(folder)
    kind = recognise(folder) if kind == "auto" or not folder.is_dir() else kind
    if kind == "coco":
        if names is not None:
            raise ValueError(f"{folder}: --labels means nothing for COCO, whose files name the classes")
        parts, notes = _read_coco(folder), []
    else:
        parts, notes = _read_other(folder, kind, names, progress)
    for name, part in parts.items():
        if not part.dataset["annotations"]:
            images = len(part.dataset["images"])
            raise ValueError(
                f"{part.anno or folder}: a {KINDS[kind]} folder, but none of the {images} images of its part "
                f"'{name}' has a box; looked for {SIGNS}"
            )
    return Folder(kind, parts["train"], parts.get("val"), notes)


def _read_coco(folder):
    parts = {}
    for name, file in zip(("train", "val"), coco_parts(folder)):
        if file is not None:
            dataset = read_coco(file)
            parts[name] = Part(dataset, str(find_images(dataset, file, folder)), str(file))
    return parts


def _read_other(folder, kind, names, progress):
    notes = []
    if kind == "yolo" and names is None and not _names_classes(folder):
        names = _numbered(folder)
        notes.append(
            f"no file names the classes, they are {names[0]} to {names[-1]}; --labels FILE names them"
        )

    def read(names):
        return {
            part: convert_dataset(folder, kind, progress, split=split, names=names)[0]
            for part, split in zip(("train", "val"), _splits(folder, kind))
            if part == "train" or split is not None
        }

    converted = read(names)
    classes = {tuple(c["name"] for c in one.dataset["categories"]) for one in converted.values()}
    if len(classes) > 1:  # taken from the boxes, and a part has no box of one
        converted = read(sorted(set().union(*classes)))
    for one in converted.values():
        if one.dropped:
            notes.append(f"boxes without area, left out: {len(one.dropped)}, the first {one.dropped[0]}")
        notes += one.notes
    return {name: Part(one.dataset, one.image_dir, None) for name, one in converted.items()}, notes


def _splits(folder, kind):
    """What the readers call the parts to train and to evaluate on; None for all, and for none."""
    if kind == "yolo":
        return _yolo_splits(folder)
    lists = {file.stem for place in ("ImageSets/Main", ".") for file in (folder / place).glob("*.txt")}
    train = next((name for name in ("train", "trainval") if name in lists), None)
    val = next((name for name in ("val", "valid", "validation") if name in lists), None)
    if kind == "voc" and train is None:
        return _named_parts(part_folders(folder))
    return (train, val if train == "train" else None) if kind in ("voc", "deeppcb") else (None, None)


def _named_parts(names):
    """Of names of folders, those of the parts to train and to evaluate on; None for all, and for none."""
    parts = {}
    for name in names:
        parts.setdefault(part_of(name), name)
    return (parts["train"], parts.get("val")) if "train" in parts else (None, None)


def _yolo_splits(folder):
    named = read_settings(folder, []).splits
    if "train" in named:
        return "train", "val" if named.get("val", named["train"]) != named["train"] else None
    return _named_parts(
        sorted({name for file in find_pictures(folder) for name in PurePosixPath(file).parts[:-1]})
    )


def _names_classes(folder):
    return find_yaml(folder) is not None or any((folder / name).is_file() for name in TEXT_NAMES)


def _numbered(folder):
    """Names for the classes of YOLO's label files, by their numbers."""
    numbers = set()
    for file in files_below(folder):
        if file.endswith(".txt") and "labels" in PurePosixPath(file).parts[:-1]:
            fields = (line.split() for line in read_text(folder / file).splitlines() if line.strip())
            numbers.update(int(first) for first, *_ in fields if first.isdigit())
    if not numbers:
        raise ValueError(f"{folder}: a YOLO folder without a box; looked for lines in labels/*.txt")
    return [f"class_{number}" for number in range(max(numbers) + 1)]


def hold_out(part, share=HELD_OUT, seed=0, progress=True):
    """Divides a part in two, classes spread evenly, pictures that look alike on one side.

    Args:
        part (Part)
        share (float): of its pictures, for validation.
        seed (int): another one, another division.
        progress (bool): show bars.

    Returns:
        tuple(Part, Part): to train and to evaluate on, without files.

    Raises:
        ValueError: pictures are missing, or too few of them differ.
    """
    for alike in ALIKE:
        groups = group_images(part.dataset, part.image_dir, alike, progress=progress)
        try:
            parts = split_dataset(part.dataset, {"train": None, "val": share}, groups.keys, seed)
        except ValueError:
            if alike == ALIKE[-1]:
                raise
        else:
            return tuple(Part(parts[name], part.image_dir, None) for name in ("train", "val"))
