"""Annotations in DeepPCB's text format, read as they are."""

import os

from tqdm import tqdm

from .coco_records import CocoRecords
from .labels import read_text

# Classes 1 to 6 of the files. Source: https://github.com/tangsanli5201/DeepPCB, README.
CLASSES = ("open", "short", "mousebite", "spur", "copper", "pin-hole")


def read_deep_pcb(root, split=None, progress=False):
    """Reads boards and their defects.

    Args:
        root (str): folder of the dataset.
        split (str | None): 'trainval' for ``trainval.txt``, which None stands for, too. A line names an image
            and its text file, both relative to ``root``. Where 'X.jpg' does not exist, 'X_test.jpg' is the
            image (the published list names it so).
        progress (bool): show a bar.

    Returns:
        Converted

    Raises:
        ValueError: a file is missing or is no image, or a line is no ``x1 y1 x2 y2 class``.
    """
    path = os.path.join(root, f"{split or 'trainval'}.txt")
    if not os.path.isfile(path):
        raise ValueError(f"{path}: no such list of images; give the folder that holds it")
    records = CocoRecords(str(root), list(CLASSES))
    bar = tqdm(_lines(path), desc="reading annotations", unit="img", disable=None if progress else True)
    for number, line in bar:
        if len(line) != 2:
            raise ValueError(f"{path}:{number}: '{' '.join(line)}' does not name an image and a text file")
        if records.add_image(_image_name(root, line[0], f"{path}:{number}")) is None:
            continue
        text_file = os.path.join(root, line[1])
        for record, fields in _lines(text_file):
            where = f"{text_file}:{record}"
            *corners, category = _defect(fields, where)
            records.add_box(CLASSES[category - 1], corners, where)
    return records.done(path)


def _lines(path):
    """The lines of a text file that are not empty: (number, fields), at commas or blanks."""
    if not os.path.isfile(path):
        raise ValueError(f"{path}: the text file is missing")
    numbered = enumerate(read_text(path).splitlines(), 1)
    return [(number, line.replace(",", " ").split()) for number, line in numbered if line.strip()]


def _image_name(root, name, where):
    stem, suffix = os.path.splitext(name)
    for candidate in (name, f"{stem}_test{suffix}"):
        if os.path.isfile(os.path.join(root, candidate)):
            return candidate
    raise ValueError(f"{where}: lists the image '{name}', which does not exist")


def _defect(fields, where):
    try:
        *box, category = (float(field) for field in fields)
        if len(box) == 4 and category in range(1, len(CLASSES) + 1):
            return (*box, int(category))
    except ValueError:
        pass
    raise ValueError(
        f"{where}: '{' '.join(fields)}' is no 'x1 y1 x2 y2 class' with a class from 1 to {len(CLASSES)}"
    )
