"""A cleaned copy of an annotation file: what can be mended is, what can't is left out, and each is listed."""

import os
from collections import defaultdict
from typing import NamedTuple

import numpy as np

from .annotations import is_number, is_whole, without_nan
from .boxes import EDGE, greatest_area, text
from .frames import scaled, turned
from .picture import QUARTER_TURNS, inspect_picture

# What takes somebody who knows what was meant.
BEYOND_REPAIR = ("category-fields", "category-id-twice", "boxes-corners", "boxes-normalised", "empty")
IMAGES_LEFT_OUT = (
    "image-fields",
    "image-id-twice",
    "file-empty",
    "file-truncated",
    "file-no-picture",
    "split-leak",
)
ANNOTATIONS_LEFT_OUT = (
    "image-unknown",
    "category-unknown",
    "box-absent",
    "box-malformed",
    "box-not-finite",
    "box-no-area",
)
# Two pictures of this relative difference in shape were not scaled into each other.
SHAPE = 0.01
# A box that is cut by less, in pixels, was rounded.
ROUNDING = 1e-3


class Change(NamedTuple):
    """One difference between a file and its cleaned copy.

    Args:
        kind (str): why: a kind of finding.
        record (str): what is different.
        done (str): and how.
    """

    kind: str
    record: str
    done: str


def clean_part(part, leaks=()):
    """Makes the cleaned copy.

    Args:
        part (Part): checked, with its pictures read. Nothing of it is changed.
        leaks (iterable[Finding]): pictures that are in another split, to be left out.

    Returns:
        tuple(dict, list[Change]): the content of the copy, and what is different in it.

    Raises:
        ValueError: something takes somebody who knows what was meant, or nothing would be left.
    """
    for finding in part.findings:
        if finding.kind in BEYOND_REPAIR:
            raise ValueError(f"a copy can't mend this: {finding}")
    return _Copy(part, leaks).make()


class _Copy:
    """The records on their way into the copy, by their rows in the file."""

    def __init__(self, part, leaks):
        self.part, self.data = part, part.data
        self.kinds = defaultdict(set)
        for finding in (*part.findings, *leaks):
            self.kinds[finding.at].add(finding.kind)
            if finding.kind == "image-id-twice":  # nor is known what belongs to the first of the two
                first = self.data.image_row[self.data.images[finding.at[1]]["id"]]
                self.kinds["images", first].add(finding.kind)
        self.images = [dict(record) for record in self.data.images]
        self.annotations = [dict(record) for record in self.data.annotations]
        self.categories = [dict(record) for record in self.data.categories]
        self.image_of = self.data.image_of.tolist()
        self.rows_of = defaultdict(list)  # annotations of an image
        for row, image in enumerate(self.image_of):
            self.rows_of[image].append(row)
        self.image_of_file = {}  # the one that stays
        self.changes = []

    def make(self):
        images = [row for row in range(len(self.images)) if self._image(row)]
        here = set(images)
        annotations = [row for row in range(len(self.annotations)) if self._annotation(row, here)]
        annotations = self._without_twins(annotations)
        if not annotations:
            raise ValueError(f"{self.data.path}: its cleaned copy would hold no box; mend it by hand")
        self._ids(images, annotations)
        content = {
            **self.data.content,
            "images": [self.images[row] for row in images],
            "annotations": [self.annotations[row] for row in annotations],
            "categories": self.categories,
        }
        if self.data.not_finite:
            content = without_nan(content)
            self._note("json-nan", self.data.path, "null in the place of NaN and Infinity")
        return content, self.changes

    def _note(self, kind, record, done):
        self.changes.append(Change(kind, record, done))

    def _boxes_of(self, row):
        """Rows of the annotations of an image whose boxes are boxes."""
        return [number for number in self.rows_of[row] if np.isfinite(self.data.boxes[number]).all()]

    def _leave_out(self, kind, row):
        done = f"left out, with {len(self.rows_of[row])} annotations"
        self._note(kind, self.data.image_label(row), done)
        return False

    def _image(self, row):
        """Mends an image and moves its boxes; whether it stays."""
        kinds, record, label = self.kinds["images", row], self.images[row], self.data.image_label(row)
        for kind in IMAGES_LEFT_OUT:
            if kind in kinds:
                return self._leave_out(kind, row)
        file = record["file_name"]
        first = self.image_of_file.get(file)
        if first is not None:
            for number in self.rows_of[row]:
                self.image_of[number] = first
            self._note("image-twice", label, f"joined with {self.data.image_label(first)}")
            return False
        picture = self.part.pictures[row]
        if picture is None:
            name = self.part.files.renamed[row]
            if name is None:
                return self._leave_out("file-missing", row)
            record["file_name"] = name
            self._note("file-missing", label, f"named '{name}'")
            picture = inspect_picture(os.path.join(self.part.files.folder, name))
            if picture.fault:
                return self._leave_out(picture.fault[0], row)
        if not self._size(row, picture):
            return False
        self.image_of_file[file] = row
        return True

    def _size(self, row, picture):
        """Gives an image the size of its picture, and boxes of another frame their place in it."""
        (width, height), annotated = picture.size, self.data.sizes[row]
        self.images[row].update(width=width, height=height)
        label, rows = self.data.image_label(row), self._boxes_of(row)
        if np.isnan(annotated).any():
            self._note("size-absent", label, f"{width} x {height}")
        elif tuple(annotated) != (width, height):
            corners = self.data.boxes[rows][:, :2] + self.data.boxes[rows][:, 2:]
            fit = (corners <= np.array(picture.size) + EDGE).all()
            factors = np.array(picture.size) / annotated
            if picture.orientation in QUARTER_TURNS and tuple(annotated) == (height, width):
                for number in rows:
                    self.annotations[number] = turned(
                        self.annotations[number], picture.orientation, (height, width)
                    )
                self._note("picture-turned", label, f"{len(rows)} boxes turned, {width} x {height}")
            elif abs(factors[0] / factors[1] - 1) < SHAPE and not fit:
                for number in rows:
                    self.annotations[number] = scaled(self.annotations[number], factors.tolist())
                self._note("picture-size", label, f"{len(rows)} boxes scaled by {factors[0]:.4g}")
            elif fit and (abs(factors[0] / factors[1] - 1) >= SHAPE or not rows):
                self._note("picture-size", label, f"{width} x {height}")
            else:
                return self._leave_out("picture-size", row)
        return True

    def _annotation(self, row, images):
        """Mends an annotation; whether it stays."""
        record, label = self.annotations[row], self.data.annotation_label(row)
        kinds = self.kinds["annotations", row]
        for kind in ANNOTATIONS_LEFT_OUT:
            if kind in kinds:
                self._note(kind, label, "left out")
                return False
        if record.get("image_id") is None or record.get("category_id") is None:
            self._note("annotation-fields", label, "left out")
            return False
        image = self.image_of[row]
        if image not in images:  # counted with its image
            return False
        return self._cut(record, label, self.images[image]) and self._fields(record, label)

    def _cut(self, record, label, image):
        """Cuts a box at the edge of its picture; whether anything is left."""
        x, y, width, height = record["bbox"]
        left, top = max(x, 0), max(y, 0)
        right, bottom = min(x + width, image["width"]), min(y + height, image["height"])
        if right <= left or bottom <= top:
            self._note("box-outside", label, "left out")
            return False
        box = [left, top, right - left, bottom - top]
        if max(abs(new - old) for new, old in zip(box, record["bbox"])) > ROUNDING:
            record.update(bbox=box, area=box[2] * box[3])
            self._note("box-beyond", label, f"cut to {text(box)}")
        return True

    def _fields(self, record, label):
        full, area = record["bbox"][2] * record["bbox"][3], record.get("area")
        kind = None
        if not is_number(area):
            kind = "area-absent"
        elif area <= 0 or area > greatest_area(full):
            kind = "area-zero" if area <= 0 else "area-greater"
        if kind:
            record["area"] = full
            self._note(kind, label, f"area {full:g}")
        if record.get("iscrowd") not in (0, 1):
            record["iscrowd"] = 0
            self._note("iscrowd-absent", label, "iscrowd 0")
        return True

    def _without_twins(self, rows):
        """Leaves out boxes that are equal to an earlier one of their category."""
        kept, seen = [], set()
        for row in rows:
            record = self.annotations[row]
            key = (self.image_of[row], record["category_id"], *record["bbox"])
            if key in seen:
                self._note("box-twice", self.data.annotation_label(row), "left out")
                continue
            seen.add(key)
            kept.append(row)
        return kept

    def _ids(self, images, annotations):
        """Whole numbers for ids, each once."""
        of_categories = range(len(self.categories))
        for label, records, rows in (
            (self.data.image_label, self.images, images),
            (self.data.category_label, self.categories, of_categories),
            (self.data.annotation_label, self.annotations, annotations),
        ):
            used = [record["id"] for record in (records[row] for row in rows) if is_whole(record.get("id"))]
            fresh, seen = int(max(used, default=0)) + 1, set()
            for row in rows:
                number = records[row].get("id")
                kind = None
                if not is_whole(number):
                    kind = "annotation-fields" if number is None else "id-type"
                elif records is self.annotations and (number == 0 or number in seen):
                    kind = "annotation-id-twice" if number else "annotation-id-0"
                if kind:
                    records[row]["id"], fresh = fresh, fresh + 1
                    self._note(kind, label(row), f"id {fresh - 1}")
                else:
                    seen.add(number)
        for row in annotations:
            self.annotations[row]["image_id"] = self.images[self.image_of[row]]["id"]
            self.annotations[row]["category_id"] = self.categories[self.data.category_of[row]]["id"]
