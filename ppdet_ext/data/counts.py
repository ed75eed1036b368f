"""How many images and boxes of each class a dataset has."""

from collections import Counter


def count_classes(dataset):
    """Counts boxes and images by class.

    Args:
        dataset (dict): COCO instances.

    Returns:
        dict[str, tuple(int, int)]: boxes, and images with at least one, of each class in the order of its id;
        classes of one name count together.
    """
    names = {category["id"]: str(category["name"]) for category in dataset["categories"]}
    pairs = [(names[a["category_id"]], a["image_id"]) for a in dataset["annotations"]]
    boxes, images = (Counter(name for name, _ in those) for those in (pairs, set(pairs)))
    return {name: (boxes[name], images[name]) for _, name in sorted(names.items())}


def count_empty(dataset):
    """Images without boxes."""
    return len(dataset["images"]) - len({a["image_id"] for a in dataset["annotations"]})
