"""Boxes that can't be, and boxes that look wrong."""

import numpy as np
from pycocotools import mask

from .annotations import is_number

# Annotation tools round, and some count the last pixel: so many pixels outside are nothing.
EDGE = 1.0
# Two boxes that overlap by more outline the same.
SAME = 0.95
# A side below this, in pixels or as a share of the picture's longer side, is too small to be seen.
TINY_PIXELS, TINY_SHARE = 2.0, 0.001
WHOLE_SHARE = 0.95
NARROW = 20.0
# For another form of boxes than x, y, width, height: so many boxes are evidence, if this share of them
# reaches out of the pictures.
EVIDENCE, BEYOND_SHARE = 10, 0.2


def check_boxes(data, sizes, paths=None, suspicious=True):
    """Looks at the boxes of an annotation file.

    Args:
        data (Annotations)
        sizes (ndarray): [M, 2] width and height of each image, pixels; NaN where they are not known or where
            the boxes are not to be judged by them.
        paths (list | None): file of each image, for findings that are to be drawn.
        suspicious (bool): also look for what may be right: pairs that overlap, sizes, shapes.

    Returns:
        list[Finding].
    """
    size = np.full([len(data.boxes), 2], np.nan)
    size[data.image_of >= 0] = sizes[data.image_of[data.image_of >= 0]]
    finite = np.isfinite(data.boxes).all(1)
    good = finite & (data.boxes[:, 2:] > 0).all(1)
    form = _other_form(data, size, good)
    if form:
        return form

    def finding(kind, row, said):
        shown = finite[row] and paths is not None and data.image_of[row] >= 0
        picture = {"image": paths[data.image_of[row]]} if shown else {}
        box = tuple(data.boxes[row].tolist()) if finite[row] else None
        return data.about_annotation(kind, row, said, box=box, **picture)

    found = [finding(*entry) for entry in _impossible(data, size, finite, good)]
    if suspicious:
        found += [finding(*entry) for entry in _unlikely(data, size, good)]
        found += [finding(*entry) for entry in _pairs(data, good)]
    return found


def _corners(boxes):
    return boxes[:, 0], boxes[:, 1], boxes[:, 0] + boxes[:, 2], boxes[:, 1] + boxes[:, 3]


def greatest_area(full):
    """Area in pixels that an outline in a box of this area can have, with what rounding adds."""
    return 1.02 * full + EDGE


def text(box):
    """A box for messages."""
    return " ".join(f"{value:.6g}" for value in box)


def _other_form(data, size, good):
    """Boxes as corners or as shares of the picture, where all of them say so."""
    known = good & np.isfinite(size).all(1)
    boxes, size = data.boxes[known], size[known]
    if not len(boxes):
        return []
    if boxes.max() <= 1 and size.min() > 2:
        said = f"all {len(boxes)} boxes lie between 0 and 1: shares of the picture, not pixels"
        return [data.about_file("boxes-normalised", said)]
    x, y, right, bottom = _corners(boxes)
    beyond = (right > size[:, 0] + EDGE) | (bottom > size[:, 1] + EDGE)
    as_corners = (boxes[:, 2:] > boxes[:, :2]).all() and (boxes[:, 2:] <= size + EDGE).all()
    if len(boxes) >= EVIDENCE and as_corners and beyond.mean() > BEYOND_SHARE:
        said = (
            f"{beyond.sum()} of {len(boxes)} boxes reach out of their picture, and none would if they were "
            "x1, y1, x2, y2"
        )
        return [data.about_file("boxes-corners", said)]
    return []


def _impossible(data, size, finite, good):
    for row, record in enumerate(data.annotations):
        if data.readable[row]:
            continue
        if record.get("bbox") is None:
            yield "box-absent", row, "has no bbox"
        else:
            yield "box-malformed", row, f"has the bbox {str(record['bbox'])[:60]}"
    for row in np.flatnonzero(data.readable & ~finite):
        yield "box-not-finite", row, f"has the bbox {text(data.boxes[row])}"
    for row in np.flatnonzero(finite & ~good):
        width, height = data.boxes[row, 2:]
        yield "box-no-area", row, f"has width {width:g} and height {height:g}"
    x, y, right, bottom = _corners(data.boxes)
    width, height = size[:, 0], size[:, 1]
    outside = good & ((x >= width) | (y >= height) | (right <= 0) | (bottom <= 0))
    over = np.maximum.reduce([-x, -y, right - width, bottom - height])
    for row in np.flatnonzero(good & (outside | (over > EDGE))):
        kind = "box-outside" if outside[row] else "box-beyond"
        place = f"the box {text(data.boxes[row])}, "
        picture = f"a picture of {width[row]:g} x {height[row]:g}"
        if outside[row]:
            yield kind, row, f"has {place}outside {picture}"
        else:
            yield kind, row, f"has {place}{over[row]:.4g} pixels out of {picture}"
    for row in np.flatnonzero(good):
        area = data.annotations[row].get("area")
        if not is_number(area):
            continue
        full = data.boxes[row, 2] * data.boxes[row, 3]
        if area <= 0:
            yield "area-zero", row, f"has area {area:g} and a box of {full:g}"
        elif area > greatest_area(full):
            yield "area-greater", row, f"has area {area:g} and a box of {full:g}"


def _unlikely(data, size, good):
    width, height = data.boxes[:, 2], data.boxes[:, 3]
    least = np.fmax(TINY_PIXELS, TINY_SHARE * np.fmax(size[:, 0], size[:, 1]))
    counted = good & ~data.crowd
    for row in np.flatnonzero(counted & (np.minimum(width, height) < least)):
        yield "box-tiny", row, f"is of {width[row]:.4g} x {height[row]:.4g} pixels"
    share = width * height / np.prod(size, 1)
    for row in np.flatnonzero(counted & (share > WHOLE_SHARE)):
        yield "box-whole", row, f"covers {100 * min(share[row], 1):.3g} % of the picture"
    with np.errstate(invalid="ignore", divide="ignore"):
        shape = np.maximum(width / height, height / width)
    narrow = counted & (shape > NARROW) & (np.minimum(width, height) >= least)
    for row in np.flatnonzero(narrow):
        said = f"is of {width[row]:.4g} x {height[row]:.4g} pixels, {shape[row]:.3g} times as long as wide"
        yield "box-narrow", row, said


def _pairs(data, good):
    """Boxes of an image that outline the same as an earlier one."""
    rows = np.flatnonzero(good & ~data.crowd & (data.image_of >= 0))
    rows = rows[np.argsort(data.image_of[rows], kind="stable")]
    starts = np.flatnonzero(np.diff(data.image_of[rows])) + 1
    for group in np.split(rows, starts):
        if len(group) < 2:
            continue
        boxes = np.ascontiguousarray(data.boxes[group])
        overlaps = np.triu(mask.iou(boxes, boxes, np.zeros(len(group), np.uint8)), 1)
        for first, second in np.argwhere(overlaps > SAME):
            one, other = group[first], group[second]
            same = data.category_of[one] == data.category_of[other]
            kind = "box-twice" if same else "box-two-categories"
            number = data.annotations[one].get("id", f"at position {one + 1}")
            yield kind, other, f"lies on annotation {number} (IoU {overlaps[first, second]:.3f})"
