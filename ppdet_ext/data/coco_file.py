"""COCO annotation files: read by commands that need sound ones, written whole or not at all."""

import json
import math
from pathlib import Path

from ppdet_ext.runtime.records import write_whole

from .json_file import read_json

MEND = "'ppdet-ext data check' says what else is wrong"


def read_coco(path):
    """Reads COCO instances and makes sure that ids lead somewhere, for what can't work otherwise.

    Args:
        path (str | Path)

    Returns:
        dict: as it stands in the file.

    Raises:
        ValueError: the file is missing or no JSON; 'images', 'annotations' or 'categories' is missing or no
            list of records; an id is missing, given twice, or leads nowhere; a size or a box is no number.
    """
    dataset, _ = read_json(path)
    for key, fields in (
        ("images", ("id", "file_name", "width", "height")),
        ("categories", ("id", "name")),
        ("annotations", ("image_id", "category_id", "bbox")),
    ):
        records = dataset.get(key) if isinstance(dataset, dict) else None
        if not isinstance(records, list):
            raise ValueError(f"{path}: has no list '{key}', so it is no COCO instances file")
        for number, record in enumerate(records):
            for field in fields:
                if not isinstance(record, dict) or record.get(field) is None:
                    raise ValueError(f"{path}: {key}[{number}] has no '{field}'; {MEND}")
    for number, record in enumerate(dataset["images"]):
        for side in ("width", "height"):
            if not _is_number(record[side]) or record[side] <= 0:
                raise ValueError(f"{path}: images[{number}] has the {side} {record[side]}; {MEND}")
    known = {key: _ids(dataset[key], f"{path}: {key}") for key in ("images", "categories")}
    for number, record in enumerate(dataset["annotations"]):
        where = f"{path}: annotations[{number}]"
        for key, those in (("image_id", "images"), ("category_id", "categories")):
            if not isinstance(record[key], (int, str)) or record[key] not in known[those]:
                raise ValueError(f"{where} has {key} {record[key]}, which the file does not define; {MEND}")
        box = record["bbox"]
        if not isinstance(box, list) or len(box) != 4 or not all(map(_is_number, box)):
            raise ValueError(f"{where} has the bbox {box}, which is no x, y, width, height; {MEND}")
    return dataset


def _ids(records, where):
    ids = set()
    for number, record in enumerate(records):
        if not isinstance(record["id"], (int, str)):
            raise ValueError(f"{where}[{number}] has the id {record['id']}, which is no number; {MEND}")
        if record["id"] in ids:
            raise ValueError(f"{where}[{number}] has the id {record['id']} of another one; {MEND}")
        ids.add(record["id"])
    return ids


def _is_number(value):
    return isinstance(value, (int, float)) and math.isfinite(value)


def check_free(paths, force=False):
    """Makes sure that files may be written.

    Args:
        paths (list[str | Path])
        force (bool): they may exist.

    Raises:
        ValueError: one is there already, is a folder, or is not named '.json', which PaddleDetection insists
            on.
    """
    for path in map(Path, paths):
        if path.suffix != ".json":
            raise ValueError(f"{path}: PaddleDetection reads annotations only from files named '.json'")
        if path.is_dir() or path.exists() and not force:
            raise ValueError(f"{path}: is already there; choose another name, or replace it with --force")


def write_json(path, content):
    """Writes a JSON file that is whole whenever it has its name.

    Args:
        path (str | Path): its folder is made.
        content: for JSON.
    """
    write_whole(path, json.dumps(content))  # json.dump would take ten times as long
