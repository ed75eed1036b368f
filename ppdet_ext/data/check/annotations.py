"""A COCO annotation file, read, and its lists as columns."""

import os

import numpy as np

from ..json_file import read_json
from .finding import Finding

# No side or area in pixels is greater.
LARGEST = 1e15
LISTS = ("images", "annotations", "categories")


class Annotations:
    """A COCO annotation file in memory.

    Records that are no mappings become empty ones, which keeps the numbering.

    Args:
        path (str): of the file.
        content (dict): what it says.
        not_finite (int): NaN and Infinity tokens in it.

    Attributes:
        images, annotations, categories (list[dict]): the records.
        image_row (dict): id of an image: its first row.
        category_row (dict): id of a category: its first row, which is its class number in training.
        image_of, category_of (ndarray): [N] int, a row for each annotation; -1 where it is not there.
        readable (ndarray): [N] bool, the annotation has a box of four numbers.
        boxes (ndarray): [N, 4] float64, x, y, width, height in pixels; NaN where there is none.
        crowd (ndarray): [N] bool.
        sizes (ndarray): [M, 2] float64, annotated width and height; NaN where there are none.
    """

    def __init__(self, path, content, not_finite=0):
        self.path = path
        self.content = content
        self.not_finite = not_finite
        self.images, self.annotations, self.categories = (
            [record if isinstance(record, dict) else {} for record in content[key]] for key in LISTS
        )
        self.image_row = _rows(self.images)
        self.category_row = _rows(self.categories)
        self.image_of = _column(self.annotations, "image_id", self.image_row)
        self.category_of = _column(self.annotations, "category_id", self.category_row)
        self.readable, self.boxes = _boxes(self.annotations)
        self.crowd = np.array([record.get("iscrowd") in (1, True) for record in self.annotations], bool)
        self.sizes = np.array(
            [[_length(record.get("width")), _length(record.get("height"))] for record in self.images], float
        ).reshape(-1, 2)

    def boxes_of(self, image):
        """list: the boxes of an image that are four finite numbers: x, y, width, height in pixels."""
        rows = self.boxes[self.image_of == image]
        return rows[np.isfinite(rows).all(1)].tolist()

    def image_label(self, row):
        """str: how messages call an image."""
        record = self.images[row]
        name = f" ({record['file_name']})" if "file_name" in record else ""
        return f"image {record.get('id', f'at position {row + 1}')}{name}"

    def annotation_label(self, row):
        """str: how messages call an annotation."""
        record, image = self.annotations[row], self.image_of[row]
        name = f" ({self.images[image].get('file_name')})" if image >= 0 else ""
        return f"annotation {record.get('id', f'at position {row + 1}')}{name}"

    def category_label(self, row):
        """str: how messages call a category."""
        record = self.categories[row]
        return f"category {record.get('id', f'at position {row + 1}')} ({record.get('name', 'no name')})"

    def about_file(self, kind, message, record="", **more):
        """Finding: about the file as a whole."""
        return Finding(kind, self.path, record, message, **more)

    def about_image(self, kind, row, message, **more):
        """Finding: about an image; ``file`` where it is about the picture."""
        more = {"file": self.path, "at": ("images", row), **more}
        return Finding(kind, record=self.image_label(row), message=message, **more)

    def about_annotation(self, kind, row, message, **more):
        """Finding: about an annotation."""
        more = {"at": ("annotations", int(row)), **more}
        return Finding(kind, self.path, self.annotation_label(row), message, **more)

    def about_category(self, kind, row, message, **more):
        """Finding: about a category."""
        more = {"at": ("categories", row), **more}
        return Finding(kind, self.path, self.category_label(row), message, **more)


def read_annotations(path):
    """Reads a COCO annotation file.

    Args:
        path (str): JSON.

    Returns:
        Annotations.

    Raises:
        ValueError: no such file, no JSON, or no COCO instances: says where it breaks or what is missing.
    """
    path = os.fspath(path)
    content, not_finite = read_json(path)
    _check_form(path, content)
    return Annotations(path, content, not_finite)


def _check_form(path, content):
    need = "COCO instances are an object with the lists images, annotations and categories"
    if not isinstance(content, dict):
        kind = "a list (of detections?)" if isinstance(content, list) else f"a {type(content).__name__}"
        raise ValueError(f"{path}: holds {kind}; {need}")
    absent = [key for key in LISTS if key not in content]
    if absent:
        found = ", ".join(map(str, list(content)[:6])) or "nothing"
        raise ValueError(f"{path}: has no {' and no '.join(absent)}, only {found}; {need}")
    for key in LISTS:
        if not isinstance(content[key], list):
            raise ValueError(f"{path}: {key} is {type(content[key]).__name__}, no list; {need}")


def hashable(value):
    """Whether an id can be looked up."""
    return isinstance(value, (int, str, float))


def is_whole(value):
    """Whether an id is a whole number that fits a tensor, also if it is written as 3.0."""
    return type(value) is int and abs(value) < 2**63 or is_number(value) and value == int(value)


def is_number(value):
    """Whether a value can be counted with: neither NaN nor infinite nor an endless row of digits."""
    return type(value) in (int, float) and abs(value) < LARGEST


def without_nan(value):
    """A copy of JSON with None for numbers that are not finite."""
    if isinstance(value, dict):
        return {key: without_nan(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [without_nan(entry) for entry in value]
    return None if isinstance(value, float) and value - value != 0 else value


def _rows(records):
    rows = {}
    for row, record in enumerate(records):
        number = record.get("id")
        if hashable(number):
            rows.setdefault(number, row)
    return rows


def _column(records, key, rows):
    values = (record.get(key) for record in records)
    found = [rows.get(value, -1) if hashable(value) else -1 for value in values]
    return np.array(found, int).reshape(-1)


def _boxes(records):
    """Which records have a box of four numbers, and the boxes."""
    boxes = np.full([len(records), 4], np.nan)
    readable = np.zeros(len(records), bool)
    for row, record in enumerate(records):
        box = record.get("bbox")
        if isinstance(box, list) and len(box) == 4:
            try:
                boxes[row] = [value if type(value) in (int, float) else _refuse(value) for value in box]
            except (TypeError, OverflowError):
                continue
            readable[row] = True
    return readable, boxes


def _refuse(value):
    raise TypeError(value)


def _length(value):
    """A side of a picture in pixels, or NaN."""
    return value if is_number(value) and value > 0 else float("nan")
