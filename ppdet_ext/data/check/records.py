"""Are the records whole, are their ids unique, and does everything that they point at exist?"""

from collections import Counter

import numpy as np

from .annotations import hashable, is_number, is_whole, without_nan

# Below so many boxes a category is hardly learned; above this ratio of boxes two are uneven.
FEW_BOXES = 10
UNEVEN = 100


def check_records(data):
    """Looks at everything in an annotation file but its boxes.

    Args:
        data (Annotations)

    Returns:
        list[Finding].
    """
    return [
        *_whole_file(data),
        *_categories(data),
        *_images(data),
        *_annotations(data),
        *_ids(data),
        *_balance(data),
    ]


def _whole_file(data):
    if data.not_finite:
        yield data.about_file("json-nan", f"holds NaN or Infinity {data.not_finite} times, which are no JSON")
    if not data.images:
        yield data.about_file("empty", "holds no images")
    elif not data.categories:
        yield data.about_file("empty", "holds no categories")
    elif not data.readable.any():
        yield data.about_file("empty", f"none of its {len(data.images)} images has a box")


def _missing(record, keys):
    return [key for key in keys if without_nan(record.get(key)) is None]


def _first(rows, number, row):
    """The first row with this id; the row itself where the id can't be looked up."""
    return rows.get(number, row) if hashable(number) else row


def _categories(data):
    for row, record in enumerate(data.categories):
        absent = _missing(record, ("id", "name"))
        if absent:
            yield data.about_category("category-fields", row, f"has no {' and no '.join(absent)}")
            continue
        first = _first(data.category_row, record["id"], row)
        if first != row:
            said = f"has the id of '{data.categories[first].get('name')}'"
            yield data.about_category("category-id-twice", row, said)
    names = Counter(str(record["name"]) for record in data.categories if "name" in record)
    for name, count in names.items():
        if count > 1:
            yield data.about_file("category-name-twice", f"is there {count} times", f"category '{name}'")


def _images(data):
    by_name = {}
    for row, record in enumerate(data.images):
        absent = _missing(record, ("id", "file_name"))
        if not absent and not (isinstance(record["file_name"], str) and record["file_name"]):
            absent = ["file_name that is text"]
        if absent:
            yield data.about_image("image-fields", row, f"has no {' and no '.join(absent)}")
            continue
        if np.isnan(data.sizes[row]).any():
            said = " and ".join(f"{key} {record.get(key, 'missing')!r}" for key in ("width", "height"))
            yield data.about_image("size-absent", row, f"has {said}")
        first = _first(data.image_row, record["id"], row)
        same = by_name.setdefault(record["file_name"], row)
        if same != row:
            said = f"is the file of image {data.images[same]['id']}, too"
            yield data.about_image("image-twice", row, said)
        elif first != row:
            said = f"has the id of '{data.images[first].get('file_name')}'"
            yield data.about_image("image-id-twice", row, said)


def _annotations(data):
    seen = {}
    for row, record in enumerate(data.annotations):
        absent = _missing(record, ("id", "image_id", "category_id"))
        if absent:
            yield data.about_annotation("annotation-fields", row, f"has no {' and no '.join(absent)}")
        number = record.get("id")
        if number is not None and hashable(number):
            if seen.setdefault(number, row) != row:
                said = f"at position {row + 1} has the id of the one at position {seen[number] + 1}"
                yield data.about_annotation("annotation-id-twice", row, said)
            elif number == 0:
                said = "has the id 0, which COCO's evaluation takes for 'no match'"
                yield data.about_annotation("annotation-id-0", row, said)
        if data.image_of[row] < 0 and "image_id" not in absent:
            said = f"is of image {record['image_id']!r}, which is not there"
            yield data.about_annotation("image-unknown", row, said)
        if data.category_of[row] < 0 and "category_id" not in absent:
            said = f"is of category {record['category_id']!r}, which is not there"
            yield data.about_annotation("category-unknown", row, said)
        if not is_number(record.get("area")):
            said = f"has area {record['area']!r}" if "area" in record else "has no area"
            yield data.about_annotation("area-absent", row, said)
        if record.get("iscrowd") not in (0, 1):
            said = f"has iscrowd {record['iscrowd']!r}" if "iscrowd" in record else "has no iscrowd"
            yield data.about_annotation("iscrowd-absent", row, said)
        if data.crowd[row]:
            yield data.about_annotation("crowd", row, "is a crowd")


def _ids(data):
    """Ids that are no whole numbers, and lists with gaps."""
    lists = (
        ("images", data.images, data.about_image),
        ("annotations", data.annotations, data.about_annotation),
        ("categories", data.categories, data.about_category),
    )
    for name, records, about in lists:
        numbers = set()
        for row, record in enumerate(records):
            number = record.get("id")
            if is_whole(number):
                numbers.add(int(number))
            elif number is not None:
                yield about("id-type", row, f"has the id {number!r}")
        if numbers and max(numbers) - min(numbers) + 1 > len(numbers):
            said = f"have {len(numbers)} ids, from {min(numbers)} to {max(numbers)}"
            yield data.about_file("ids-sparse", said, name)


def _balance(data):
    """Images and categories without boxes, and how evenly the boxes are spread over categories."""
    usable = data.readable & ~data.crowd & (data.image_of >= 0) & (data.category_of >= 0)
    boxes = np.bincount(data.image_of[usable], minlength=len(data.images))
    if not boxes.any():
        return
    for row in np.flatnonzero(boxes == 0).tolist():
        yield data.about_image("image-bare", row, "has no box")
    counts = np.bincount(data.category_of[usable], minlength=len(data.categories))
    for row in data.category_row.values():
        if counts[row] == 0:
            yield data.about_category("category-bare", row, "has no box")
        elif counts[row] < FEW_BOXES:
            said = f"has {counts[row]} box{'es' * bool(counts[row] > 1)}"
            yield data.about_category("category-rare", row, said)
    most, least = counts.argmax(), np.where(counts, counts, counts.max()).argmin()
    if counts[most] >= UNEVEN * counts[least]:
        said = f"has {counts[most]} boxes, {data.category_label(least)} {counts[least]}"
        yield data.about_category("category-uneven", int(most), said)
