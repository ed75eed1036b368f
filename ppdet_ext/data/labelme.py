"""LabelMe's annotations: a JSON file a picture, read as they are."""

import math
import os
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from .coco_records import CocoRecords
from .json_file import read_json
from .pictures import files_below, is_picture, stem_key

# Shapes whose points lie on the border of the object: the box around them is its box.
OUTLINES = ("rectangle", "polygon", "rotation", "mask")
# Labels of LabelMe that mean no object.
NO_OBJECT = ("__ignore__", "_background_")


def read_labelme(root, names=None, unlabelled="negative", progress=False):
    """Reads a folder of pictures and LabelMe's JSON files, with all below it.

    Rectangles, polygons and circles become boxes; shapes of one label and one group id are parts of one
    object. Pictures inside the JSON files are not looked at.

    Args:
        root (str): the folder.
        names (list[str] | None): classes; their ids are 1, 2, ... in this order. None: those found.
        unlabelled (str): 'negative': a picture without a JSON file is one without objects; 'skip': it is left
            out.
        progress (bool): show a bar.

    Returns:
        Converted

    Raises:
        ValueError: a file is no JSON, its picture is missing, a label is not in ``names``, or points are no
            numbers.
    """
    root = Path(root)
    files = files_below(root)
    pictures = [name for name in files if is_picture(name)]
    by_stem = {_stem(picture): picture for picture in reversed(pictures)}
    if names is not None:
        names = [name for name in names if name not in NO_OBJECT]
    records = CocoRecords(str(root), names)
    foreign, repeated, other_size, left_out = [], [], [], []
    files = [name for name in files if name.endswith(".json")]
    for name in tqdm(files, desc="reading annotations", unit="img", disable=None if progress else True):
        file = root / name
        content, _ = read_json(file)
        if not isinstance(content, dict) or "shapes" not in content:
            foreign.append(name)
            continue
        image = records.add_image(_picture(root, file, content, by_stem))
        if image is None:
            repeated.append(name)
            continue
        said = content.get("imageWidth"), content.get("imageHeight")
        if None not in said and said != (image["width"], image["height"]):
            other_size.append(f"{name} {said[0]}x{said[1]}, not {image['width']}x{image['height']}")
        for where, label, corners in _objects(content["shapes"], file, left_out):
            records.add_box(label, corners, where)
    unseen = [picture for picture in pictures if not records.has_image(picture)]
    if len(files) == len(foreign):
        raise ValueError(f"{root}: holds no JSON files of LabelMe; give the folder with pictures and JSON")
    if unlabelled == "negative":
        for picture in unseen:
            records.add_image(picture)
        records.note(unseen, "pictures have no JSON file and count as images without boxes")
    else:
        records.note(unseen, "pictures have no JSON file and are left out")
    records.note(other_size, "annotations give another size than the picture has, check their boxes")
    records.note(repeated, "JSON files are of a picture that had one already, and are left out")
    records.note(foreign, "JSON files have no shapes and are left out")
    records.note(left_out, "shapes have no area and are left out")
    return records.done(str(root))


def _stem(name):
    return stem_key(PurePosixPath(name).with_suffix("").as_posix())


def _picture(root, file, content, by_stem):
    """Name of the picture relative to the root: where the JSON says, else beside it under the same name."""
    said = content.get("imagePath")
    if isinstance(said, str) and said:
        path = file.parent / said.replace("\\", "/")
        if path.is_file():
            try:
                return Path(os.path.abspath(path)).relative_to(os.path.abspath(root)).as_posix()
            except ValueError:
                raise ValueError(
                    f"{file}: its picture {path} is outside {root}; give the folder that holds both"
                ) from None
    beside = by_stem.get(_stem(file.relative_to(root).as_posix()))
    if beside is None:
        raise ValueError(f"{file}: its picture '{said}' does not exist; put it beside the file")
    return beside


def _objects(shapes, file, left_out):
    """(where, label, [x1, y1, x2, y2]) of each object; shapes that are none go to ``left_out``."""
    objects = {}
    if not isinstance(shapes, list):
        raise ValueError(f"{file}: 'shapes' is no list")
    for number, shape in enumerate(shapes):
        where = f"{file}: shape {number + 1}"
        try:
            label, points = str(shape["label"]).strip(), [(float(x), float(y)) for x, y in shape["points"]]
        except (KeyError, TypeError, ValueError):
            raise ValueError(f"{where}: needs a label, and points that are pairs of numbers") from None
        if label in NO_OBJECT:
            continue
        kind = shape.get("shape_type") or "polygon"  # LabelMe before version 3.5 had polygons only
        corners = _corners(kind, points)
        if corners is None:
            left_out.append(f"{where} ({label}, {kind})")
            continue
        group = shape.get("group_id")
        key = ("single", number) if group is None else ("group", label, group)
        if key in objects:
            x1, y1, x2, y2 = objects[key][2]
            corners = [
                min(x1, corners[0]), min(y1, corners[1]), max(x2, corners[2]), max(y2, corners[3])
            ]  # fmt: skip
            where = objects[key][0]
        objects[key] = where, label, corners
    return objects.values()


def _corners(kind, points):
    """The box around a shape, or None for what encloses nothing."""
    if kind == "circle" and len(points) == 2:
        (x, y), edge = points
        radius = math.dist((x, y), edge)
        return [x - radius, y - radius, x + radius, y + radius]
    if kind not in OUTLINES or len(points) < (3 if kind == "polygon" else 2):
        return None
    xs, ys = zip(*points)
    return [min(xs), min(ys), max(xs), max(ys)]
