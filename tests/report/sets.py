"""A small annotated set with pictures, and results whose figures are known."""

import json

import cv2
import numpy as np

CAT, DOG = [10, 10, 20, 20], [60, 10, 40, 40]


def write_set(folder, cat=CAT, dog=DOG, grey_levels=(0, 256)):
    """Three pictures. A cat and a dog are in the first two, a dog in place of the cat in the third.

    Args:
        folder (Path): is made.
        cat, dog (list): where they are: x, y, width and height, pixels of 64 x 128.
        grey_levels (tuple): of the pictures, whose pixels are random: the least, and one above the largest.

    Returns:
        tuple: annotation file, image folder, results file. The results find cat (0.9) and dog (0.6) at their
        places in each picture: four of five boxes are found; the third picture's cat and dog are wrong.
    """
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    boxes = [(1, 3, cat), (1, 7, dog), (2, 3, cat), (2, 7, dog), (3, 7, cat)]
    dataset = {
        "images": [{"id": i, "file_name": f"{i}.png", "width": 128, "height": 64} for i in (1, 2, 3)],
        "categories": [{"id": 7, "name": "dog"}, {"id": 3, "name": "cat"}],
        "annotations": [
            {"id": number, "image_id": image, "category_id": category, "bbox": box}
            for number, (image, category, box) in enumerate(boxes, 1)
        ],
    }
    results = [
        {"image_id": image, "category_id": category, "bbox": box, "score": score}
        for image in (1, 2, 3)
        for category, box, score in ((7, dog, 0.6), (3, cat, 0.9))
    ]
    for i in (1, 2, 3):
        cv2.imwrite(str(folder / f"{i}.png"), random.integers(*grey_levels, (64, 128, 3), np.uint8))
    (folder / "anno.json").write_text(json.dumps(dataset))
    (folder / "bbox.json").write_text(json.dumps(results))
    return folder / "anno.json", folder, folder / "bbox.json"
