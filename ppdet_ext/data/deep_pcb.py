"""Annotations in DeepPCB's text format, read as they are."""

import os

import cv2

# Classes 1 to 6 of the files. Source: https://github.com/tangsanli5201/DeepPCB, README.
CLASSES = ("open", "short", "mousebite", "spur", "copper", "pin-hole")


def read_deep_pcb(root, list_file="trainval.txt"):
    """Reads boards and their defects into COCO's form.

    Args:
        root (str): folder of the dataset.
        list_file (str): inside it; a line names an image and its text file, both relative to ``root``. Where
            'X.jpg' does not exist, 'X_test.jpg' is the image (the published list names it so).

    Returns:
        tuple(dict, list[str]): COCO instances ('images', 'annotations', 'categories'; boxes as x, y, width,
        height in pixels), and a line about each box that was left out because it has no area.

    Raises:
        ValueError: a file is missing or is no image, or a line is no ``x1 y1 x2 y2 class``.
    """
    path = os.path.join(root, list_file)
    if not os.path.isfile(path):
        raise ValueError(f"{path}: no such list of images; give the folder that holds it")
    images, annotations, dropped = [], [], []
    for number, line in _lines(path):
        if len(line) != 2:
            raise ValueError(f"{path}:{number}: '{' '.join(line)}' does not name an image and a text file")
        name, text_file = _image_name(root, line[0], f"{path}:{number}"), os.path.join(root, line[1])
        picture = cv2.imread(os.path.join(root, name))
        if picture is None:
            raise ValueError(f"{os.path.join(root, name)}: not a picture that OpenCV can read")
        height, width = picture.shape[:2]
        images.append({"id": len(images) + 1, "file_name": name, "width": width, "height": height})
        for record, fields in _lines(text_file):
            where = f"{text_file}:{record}"
            x1, y1, x2, y2, category = _defect(fields, where)
            if x2 <= x1 or y2 <= y1:
                dropped.append(
                    f"{where} ({CLASSES[category - 1]}): box {x1:g} {y1:g} {x2:g} {y2:g} has no area"
                )
                continue
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": len(images),
                    "category_id": category,
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "area": (x2 - x1) * (y2 - y1),
                    "iscrowd": 0,
                }
            )
    if not images:
        raise ValueError(f"{path}: the list is empty")
    categories = [{"id": number, "name": name} for number, name in enumerate(CLASSES, 1)]
    return {"images": images, "annotations": annotations, "categories": categories}, dropped


def _lines(path):
    """The lines of a text file that are not empty: (number, fields), at commas or blanks."""
    if not os.path.isfile(path):
        raise ValueError(f"{path}: the text file is missing")
    with open(path, encoding="utf-8") as file:
        numbered = enumerate(file, 1)
        return [(number, line.replace(",", " ").split()) for number, line in numbered if line.strip()]


def _image_name(root, name, where):
    stem, suffix = os.path.splitext(name)
    for candidate in (name, f"{stem}_test{suffix}"):
        if os.path.isfile(os.path.join(root, candidate)):
            return candidate
    raise ValueError(f"{where}: lists the image '{name}', which does not exist")


def _defect(fields, where):
    try:
        values = [float(field) for field in fields]
        *box, category = values
        if len(box) == 4 and category in range(1, len(CLASSES) + 1):
            return (*box, int(category))
    except ValueError:
        pass
    raise ValueError(
        f"{where}: '{' '.join(fields)}' is no 'x1 y1 x2 y2 class' with a class from 1 to {len(CLASSES)}"
    )
