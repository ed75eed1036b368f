"""What a dataset consists of, in figures."""

from collections import Counter

import numpy as np

from .counts import count_classes, count_empty

# COCO's limits between small, medium and large boxes: sides of squares, pixels.
SMALL, LARGE = 32, 96
QUANTILES = {"min": 0, "p5": 5, "p25": 25, "median": 50, "p75": 75, "p95": 95, "max": 100}
# So many sizes of pictures are named, the most frequent first.
MOST_PICTURE_SIZES = 20


def box_sides(dataset, input_size=None):
    """Widths and heights of boxes.

    Args:
        dataset (dict): COCO instances.
        input_size (int | None): side of the detector's square input, to which each picture is stretched as by
            ``Resize: {keep_ratio: false}``; None: pixels of the pictures.

    Returns:
        ndarray: [N, 2] float64, pixels, in the order of the annotations; of boxes that have an area.
    """
    sides = np.array([a["bbox"][2:] for a in dataset["annotations"]], float).reshape(-1, 2)
    if input_size is not None:
        pictures = {image["id"]: (image["width"], image["height"]) for image in dataset["images"]}
        stretched = [pictures[a["image_id"]] for a in dataset["annotations"]]
        sides *= input_size / np.array(stretched, float).reshape(-1, 2)
    return sides[(sides > 0).all(1)]


def dataset_statistics(dataset, input_size):
    """Counts of images and boxes, classes and sizes.

    Args:
        dataset (dict): COCO instances.
        input_size (int): side of the detector's square input.

    Returns:
        dict: of plain values, for JSON. Sizes of boxes are square roots of their areas; those 'at_input' are
        after stretching each picture to the input. 'small', 'medium' and 'large' count boxes below 32
        pixels, below 96, and from there on.
    """
    per_image = Counter(a["image_id"] for a in dataset["annotations"])
    numbers = [per_image[image["id"]] for image in dataset["images"]]
    sides, at_input = box_sides(dataset), box_sides(dataset, input_size)
    pictures = Counter((image["width"], image["height"]) for image in dataset["images"])
    return {
        "images": len(dataset["images"]),
        "boxes": len(dataset["annotations"]),
        "images_without_boxes": count_empty(dataset),
        "boxes_without_area": len(dataset["annotations"]) - len(sides),
        "classes": [
            {"name": name, "boxes": boxes, "images": images}
            for name, (boxes, images) in count_classes(dataset).items()
        ],
        "boxes_per_image": {
            "mean": float(np.mean(numbers)) if numbers else None,
            "median": float(np.median(numbers)) if numbers else None,
            "max": max(numbers, default=None),
            "images_by_boxes": {str(count): n for count, n in sorted(Counter(numbers).items())},
        },
        "picture_sizes": [
            {"width": width, "height": height, "images": n}
            for (width, height), n in pictures.most_common(MOST_PICTURE_SIZES)
        ],
        "different_picture_sizes": len(pictures),
        "box_sizes": _sizes(sides),
        "box_sizes_at_input": {"input_size": input_size, **_sizes(at_input)},
        "width_to_height": _quantiles(sides[:, 0] / sides[:, 1]),
    }


def _sizes(sides):
    sizes = np.sqrt(sides.prod(1))
    small, large = int((sizes < SMALL).sum()), int((sizes >= LARGE).sum())
    return {
        "small": small, "medium": len(sizes) - small - large, "large": large, **_quantiles(sizes)
    }  # fmt: skip


def _quantiles(values):
    if not len(values):
        return dict.fromkeys(QUANTILES)
    return {name: round(float(np.percentile(values, percent)), 3) for name, percent in QUANTILES.items()}
