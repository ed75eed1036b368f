"""What the verbs under `data` print in the same way."""

import os
from pathlib import Path

from ppdet_ext.data.counts import count_classes, count_empty
from ppdet_ext.evaluation.text_table import align

# So many lines about single records are printed; the rest is counted.
MOST_LINES = 10


def print_capped(lines, end="", most=MOST_LINES):
    """Prints the first lines, each with ``end``, and how many more there are."""
    for line in lines[:most]:
        print(f"{line}{end}")
    if len(lines) > most:
        print(f"... and {len(lines) - most} more")


def counts(dataset):
    """What stands in every JSON of a verb: images, boxes, and boxes of each class."""
    return {
        "images": len(dataset["images"]),
        "boxes": len(dataset["annotations"]),
        "boxes_of_category": {name: boxes for name, (boxes, _) in count_classes(dataset).items()},
    }


def class_table(parts):
    """Lines of a table of boxes and images by class.

    Args:
        parts (dict[str, dict]): name and COCO instances of each part of a dataset.

    Returns:
        list[str]
    """
    counts = {name: count_classes(part) for name, part in parts.items()}
    heads = [
        ["", *(cell for name in parts for cell in (name, ""))],
        ["class", *(["boxes", "images"] * len(parts))],
    ]
    rows = [
        [label, *(str(number) for count in counts.values() for number in count[label])]
        for label in next(iter(counts.values()))
    ]
    rows.append(["no boxes", *(c for part in parts.values() for c in ("", str(count_empty(part))))])
    rows.append(
        ["all", *(str(len(part[key])) for part in parts.values() for key in ("annotations", "images"))]
    )
    return align(heads if len(parts) > 1 else heads[1:], rows)


def dataset_keys(dataset_dir, image_dir, annotations, classes):
    """Lines of a config that use an annotation file.

    Args:
        dataset_dir (str): root of the dataset.
        image_dir (str): the folder that the names of the images count from, in the root.
        annotations (str): the COCO file, wherever it is.
        classes (int): how many.

    Returns:
        list[str]
    """
    relative = Path(os.path.relpath(annotations, dataset_dir)).as_posix()
    anno_path = Path(annotations).absolute().as_posix() if relative.startswith("..") else relative
    return [
        f"num_classes: {classes}",
        "TrainDataset:",
        "  name: COCODataSet",
        f"  dataset_dir: {Path(dataset_dir).as_posix()}",
        f"  image_dir: {Path(os.path.relpath(image_dir, dataset_dir)).as_posix()}",
        f"  anno_path: {anno_path}",
        "  data_fields: ['image', 'gt_bbox', 'gt_class', 'is_crowd']",
    ]
