"""Detections out of a file of results in COCO's format, such as an evaluation's `bbox.json`."""

from collections import defaultdict
from pathlib import Path

import numpy as np

from ppdet_ext.data.json_file import read_json
from ppdet_ext.runtime.detections import Detections

KEYS = ("image_id", "category_id", "bbox", "score")


def read_results(path, dataset):
    """The results, checked against the annotations that they are to be judged by.

    Args:
        path (str | Path): a JSON list of {'image_id', 'category_id', 'bbox': [x, y, width, height], 'score'}.
        dataset (dict): from :func:`ppdet_ext.evaluation.coco.load_annotations`.

    Returns:
        list[dict]

    Raises:
        ValueError: no such list, or a result of an image or a category that the annotations don't know.
    """
    results, _ = read_json(path)
    if not isinstance(results, list):
        raise ValueError(f"{path}: is no list of results in COCO's format; evaluate again")
    images = {image["id"] for image in dataset["images"]}
    categories = {category["id"] for category in dataset["categories"]}
    for number, result in enumerate(results):
        missing = [key for key in KEYS if not isinstance(result, dict) or key not in result]
        if missing:
            raise ValueError(f"{path}: result {number} has no '{missing[0]}'; evaluate again")
        if result["image_id"] not in images or result["category_id"] not in categories:
            raise ValueError(
                f"{path}: result {number} is of image {result['image_id']} and category "
                f"{result['category_id']}, which are not both annotated; the file belongs to other data"
            )
    return results


def as_detections(results, dataset, files):
    """The results as one Detections an image, in the order of the annotation file, by falling score.

    Args:
        results (list[dict]): from :func:`read_results`.
        dataset (dict): the annotations.
        files (list[Path]): of the images.

    Returns:
        list[Detections]: labels by rising category id.
    """
    categories = sorted(dataset["categories"], key=lambda category: category["id"])
    names = [str(category["name"]) for category in categories]
    labels = {category["id"]: label for label, category in enumerate(categories)}
    by_image = defaultdict(list)
    for result in results:
        by_image[result["image_id"]].append(result)
    found = []
    for image, file in zip(dataset["images"], files):
        those = sorted(by_image[image["id"]], key=lambda result: -result["score"])
        boxes = np.asarray([result["bbox"] for result in those], np.float32).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        scores = [result["score"] for result in those]
        label = np.asarray([labels[result["category_id"]] for result in those], np.int64)
        found.append(Detections(boxes, scores, label, names, str(Path(file))))
    return found
