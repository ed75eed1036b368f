"""Pictures of a dataset to look at, with their boxes."""

import os
from collections import defaultdict

import numpy as np
from tqdm import tqdm

from ppdet_ext.nearest import choice

from ..runtime.detections import Detections
from ..runtime.image import read_image


def label_of(dataset, name, where):
    """Label of a class: its place among the categories in the order of their ids.

    Raises:
        ValueError: there is no class of this name; ``where`` names the file.
    """
    names = _names(dataset)
    if name not in names:
        raise ValueError(f"{where}: has no class '{name}'; {choice(name, names)}")
    return names.index(name)


def choose_images(dataset, count, label=None, seed=0):
    """Chooses images at random, but each class is among them if ``count`` allows, the rarest first.

    Args:
        dataset (dict): COCO instances.
        count (int): so many at most.
        label (int | None): only images with a box of this class.
        seed (int): another one, other images.

    Returns:
        list[dict]: image records, in the order of the dataset.

    Raises:
        ValueError: there is no image to choose from.
    """
    images = {image["id"]: image for image in dataset["images"]}
    with_class = defaultdict(dict)
    for annotation in dataset["annotations"]:
        with_class[annotation["category_id"]][annotation["image_id"]] = None
    if label is not None:
        category = _categories(dataset)[label]
        images = {number: images[number] for number in with_class[category["id"]]}
        if not images:
            raise ValueError(f"no image has a box of class '{category['name']}'")
    if not images:
        raise ValueError("the dataset has no images to show")
    random = np.random.RandomState(seed)
    order = [list(images)[place] for place in random.permutation(len(images))]
    chosen = {}
    for members in sorted(with_class.values(), key=len):
        if len(chosen) < count and not any(number in chosen for number in members):
            chosen.update(dict.fromkeys([number for number in order if number in members][:1]))
    for number in order:
        if len(chosen) >= count:
            break
        chosen[number] = None
    return [image for image in dataset["images"] if image["id"] in chosen]


def annotated_pictures(dataset, images, image_dir, progress=True):
    """Decodes images one by one.

    Args:
        dataset (dict): COCO instances.
        images (list[dict]): records of some of its images.
        image_dir (str): the folder that their names count from.
        progress (bool): show a bar.

    Yields:
        tuple(ndarray, Detections): [H, W, 3] uint8 RGB, and its annotated boxes, with scores of 1; `source`
        is the name of the image.

    Raises:
        ValueError: see :func:`ppdet_ext.runtime.image.read_image`.
    """
    names = _names(dataset)
    labels = {category["id"]: label for label, category in enumerate(_categories(dataset))}
    wanted = {image["id"] for image in images}
    boxes = defaultdict(list)
    for annotation in dataset["annotations"]:
        if annotation["image_id"] in wanted:
            boxes[annotation["image_id"]].append(annotation)
    for image in tqdm(images, desc="drawing", unit="img", disable=None if progress else True):
        records = boxes[image["id"]]
        corners = np.array([record["bbox"] for record in records], float).reshape(-1, 4)
        corners[:, 2:] += corners[:, :2]
        yield (
            read_image(os.path.join(image_dir, image["file_name"])),
            Detections(
                corners,
                np.ones(len(records)),
                [labels[record["category_id"]] for record in records],
                names,
                image["file_name"],
            ),
        )


def _categories(dataset):
    return sorted(dataset["categories"], key=lambda category: category["id"])


def _names(dataset):
    return [str(category["name"]) for category in _categories(dataset)]
