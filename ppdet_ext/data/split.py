"""Parts of a dataset for training and validation, with the classes spread evenly and no picture in two."""

from collections import Counter, defaultdict

import numpy as np


def split_dataset(dataset, shares, groups=None, seed=0):
    """Splits COCO instances by images, so that every part has its share of each class.

    Images of a group stay together. Groups are dealt out class by class, the rarest class first, each to the
    part that lacks most of it; images without boxes are dealt out last.

    Args:
        dataset (dict): COCO instances.
        shares (dict[str, float]): name of a part: its share of the images, or a number of images where it is
            above 1. They sum to at most the images there are; one part may be None, for the rest. Images that
            no part asks for are left out.
        groups (list | None): a key for each image; equal keys stay together.
        seed (int): another one, another split.

    Returns:
        dict[str, dict]: COCO instances for each part, images and annotations in their order and with their
        ids, with everything else of the dataset in each.

    Raises:
        ValueError: shares that don't sum up, fewer groups than parts, or a part that would stay empty.

    Source: iterative stratification, Sechidis et al., ECML PKDD 2011, section 3.
    """
    images = dataset["images"]
    wanted = wanted_images(shares, len(images))
    labels = defaultdict(Counter)
    for annotation in dataset["annotations"]:
        labels[annotation["image_id"]][annotation["category_id"]] += 1
    if groups is not None and len(groups) != len(images):
        raise ValueError(f"{len(groups)} keys of groups for {len(images)} images; give one an image")
    units = defaultdict(list)
    for index in range(len(images)):
        units[("single", index) if groups is None else groups[index]].append(index)
    units = list(units.values())
    if len(units) < len(wanted):
        raise ValueError(
            f"{len(images)} images make {len(units)} groups of pictures that belong together, too few for "
            f"{len(wanted)} parts; loosen what groups them, or add images"
        )
    part_of = _deal(units, images, labels, wanted, np.random.RandomState(seed))
    for number, (name, count) in enumerate(wanted.items()):
        if number not in part_of:
            raise ValueError(
                f"the part '{name}' should have {count:.3g} of {len(images)} images and would have none: the "
                f"largest group of pictures that belong together has {max(map(len, units))}; give the part "
                "more, or loosen what groups pictures"
            )
    return {name: _part(dataset, images, part_of, number) for number, name in enumerate(wanted)}


def wanted_images(shares, total):
    """Images that each part should have.

    Args:
        shares (dict[str, float]): as for :func:`split_dataset`.
        total (int): images there are.

    Returns:
        dict[str, float]

    Raises:
        ValueError: as :func:`split_dataset`.
    """
    given = {name: value for name, value in shares.items() if value is not None}
    if len(shares) - len(given) > 1:
        raise ValueError("only one part can take the rest of the images")
    for name, value in given.items():
        if not value > 0 or value > 1 and value % 1:
            raise ValueError(
                f"the part '{name}' asks for {value:g}; give a share below 1, or a whole number of images"
            )
    wanted = {name: value if value > 1 else value * total for name, value in given.items()}
    if sum(wanted.values()) > total * (1 + 1e-9):
        raise ValueError(f"the parts ask for {sum(wanted.values()):g} images; there are {total}")
    rest = total - sum(wanted.values())
    for name, value in shares.items():
        if value is None:
            if rest < 1:
                raise ValueError(f"nothing is left for the part '{name}'")
            wanted[name] = rest
    return {name: wanted[name] for name in shares}


def _deal(units, images, labels, wanted, random):
    """The number of its part for each image (-1: none), by iterative stratification over units of images."""
    counts, total = [], Counter()  # boxes by class, of each unit and in all
    for unit in units:
        counts.append(sum((labels[images[index]["id"]] for index in unit), Counter()))
        total.update(counts[-1])
    shares = np.array(list(wanted.values()), float)
    complete = shares.sum() > len(images) - 0.5  # every image goes somewhere
    lacking = {name: count * shares / len(images) for name, count in total.items()}
    room = shares.copy()
    part_of = np.full(len(images), -1)
    waiting = dict.fromkeys(random.permutation(len(units)).tolist())
    holders = defaultdict(list)  # of each class: units with boxes of it
    for unit in waiting:
        for name in counts[unit]:
            holders[name].append(unit)

    def place(unit, part):
        waiting.pop(unit)
        part_of[units[unit]] = part
        room[part] -= len(units[unit])
        for name, count in counts[unit].items():
            lacking[name][part] -= count

    def parts_with_room(unit):
        """Parts that the unit fits in; or, if no image may be left out, those that lack most."""
        size = len(units[unit])
        return np.flatnonzero(room >= (min(size, room.max()) if complete else size - 0.5) - 1e-9)

    for name in sorted(total, key=lambda name: (total[name], str(name))):
        for unit in sorted((u for u in holders[name] if u in waiting), key=lambda u: -counts[u][name]):
            parts = parts_with_room(unit)
            if len(parts):
                place(unit, max(parts, key=lambda part: (lacking[name][part], room[part])))
    for unit in list(waiting):
        if len(parts_with_room(unit)):
            place(unit, int(room.argmax()))
    return part_of


def _part(dataset, images, part_of, number):
    chosen = [image for image, part in zip(images, part_of) if part == number]
    ids = {image["id"] for image in chosen}
    annotations = [a for a in dataset["annotations"] if a["image_id"] in ids]
    return {**dataset, "images": chosen, "annotations": annotations}
