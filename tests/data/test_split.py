"""Splits: nothing in two parts, groups whole, shares kept, classes even, seeds that count."""

import numpy as np
import pytest

from ppdet_ext.data.split import split_dataset, wanted_images

from .small_sets import instances


def random_dataset(images=300, classes=8, seed=0):
    """Images with 0 to 6 boxes; the last class is forty times rarer than the first."""
    random = np.random.RandomState(seed)
    weights = np.geomspace(40, 1, classes)
    return instances(
        [
            [
                (label, 1, 1, 5, 5)
                for label in random.choice(classes, random.randint(7), p=weights / weights.sum())
            ]
            for _ in range(images)
        ],
        names=[f"c{n}" for n in range(classes)],
    )


def ids(part):
    return [image["id"] for image in part["images"]]


def boxes_by_class(dataset, classes=8):
    return np.bincount([a["category_id"] - 1 for a in dataset["annotations"]], minlength=classes)


@pytest.mark.parametrize(
    "shares",
    [
        {"train": None, "val": 0.2},
        {"train": None, "val": 60},
        {"a": 0.5, "b": 0.3, "c": 0.2},
        {"a": 1 / 3, "b": 1 / 3, "c": 1 / 3},
        {"all": 1.0},
        {"few": 0.1, "more": 100},
    ],
)
@pytest.mark.parametrize("grouped", [False, True])
def test_parts_are_disjoint_whole_and_of_the_size_asked_for(shares, grouped):
    dataset = random_dataset()
    groups = np.random.RandomState(1).randint(0, 90, 300).tolist() if grouped else None
    parts = split_dataset(dataset, shares, groups)
    assert list(parts) == list(shares)
    everything = sorted(number for part in parts.values() for number in ids(part))
    assert len(set(everything)) == len(everything)
    wanted = wanted_images(shares, 300)
    if sum(wanted.values()) > 299:
        assert everything == list(range(1, 301))
    largest = max(np.bincount(groups)) if grouped else 1
    for name, part in parts.items():
        assert abs(len(part["images"]) - wanted[name]) <= largest
        assert ids(part) == sorted(ids(part))
        assert part["categories"] == dataset["categories"]
        inside = set(ids(part))
        assert part["annotations"] == [a for a in dataset["annotations"] if a["image_id"] in inside]
        if grouped:
            here = {groups[number - 1] for number in inside}
            others = {groups[n - 1] for other in parts.values() if other is not part for n in ids(other)}
            assert not here & others


def test_classes_are_spread_better_than_by_chance():
    dataset = random_dataset()
    total = boxes_by_class(dataset)

    def unevenness(part):
        return np.abs(boxes_by_class(part) / total - 0.2).mean()

    stratified = np.mean(
        [unevenness(split_dataset(dataset, {"a": None, "b": 0.2}, seed=s)["b"]) for s in range(5)]
    )
    by_chance = []
    for seed in range(20):
        chosen = set((np.random.RandomState(seed).permutation(300)[:60] + 1).tolist())
        by_chance.append(
            unevenness({"annotations": [a for a in dataset["annotations"] if a["image_id"] in chosen]})
        )
    assert stratified < 0.02 and stratified < np.mean(by_chance) / 3


def test_seeds_count_and_the_same_one_gives_the_same():
    dataset, shares = random_dataset(), {"train": None, "val": 0.2}
    first, again, other = (split_dataset(dataset, shares, seed=seed) for seed in (3, 3, 4))
    assert first == again
    assert len(set(ids(first["val"])) & set(ids(other["val"]))) < 40


def test_a_seed_gives_the_same_split_in_every_version():
    # whoever splits again for a later training must not mix validation pictures into it
    parts = split_dataset(random_dataset(30, 4), {"train": None, "val": 8}, [n // 2 for n in range(30)])
    assert ids(parts["val"]) == [7, 8, 9, 10, 23, 24, 27, 28]


def test_images_without_boxes_are_shared_out_too():
    dataset = instances([[(0, 1, 1, 2, 2)] if n % 2 else [] for n in range(100)])
    parts = split_dataset(dataset, {"train": None, "val": 0.3})
    empty = {name: len(part["images"]) - len(part["annotations"]) for name, part in parts.items()}
    assert empty == {"train": 35, "val": 15}
    assert len(split_dataset(instances([[]] * 10), {"train": None, "val": 0.3})["val"]["images"]) == 3


def test_the_first_part_gets_what_is_too_rare_for_all():
    dataset = instances([[(0, 1, 1, 2, 2)]] * 19 + [[(1, 1, 1, 2, 2)]])
    parts = split_dataset(dataset, {"train": None, "val": 0.2})
    assert boxes_by_class(parts["train"], 2).tolist() == [15, 1]
    assert boxes_by_class(parts["val"], 2).tolist() == [4, 0]


def test_a_group_larger_than_a_part_goes_to_the_other():
    dataset = instances([[(0, 1, 1, 2, 2)]] * 100)
    groups = [0] * 70 + list(range(1, 31))
    parts = split_dataset(dataset, {"train": None, "val": 0.2}, groups)
    assert len(parts["val"]["images"]) == 20 and set(range(1, 71)) <= set(ids(parts["train"]))
    few = split_dataset(dataset, {"val": 10}, groups)  # nothing has to go anywhere
    assert len(few["val"]["images"]) == 10 and min(ids(few["val"])) > 70


@pytest.mark.parametrize(
    "shares, groups, message",
    [
        ({"a": None, "b": None}, None, "only one part can take the rest"),
        ({"a": None, "b": 0}, None, "the part 'b' asks for 0; give a share below 1"),
        ({"a": None, "b": -0.1}, None, "the part 'b' asks for -0.1"),
        ({"a": None, "b": 2.5}, None, "the part 'b' asks for 2.5"),
        ({"a": None, "b": float("nan")}, None, "the part 'b' asks for nan"),
        ({"a": None, "b": float("inf")}, None, "the part 'b' asks for inf"),
        ({"a": None, "b": 1.0}, None, "nothing is left for the part 'a'"),
        ({"a": 0.7, "b": 0.6}, None, "the parts ask for 13 images; there are 10"),
        ({"a": 6, "b": 5}, None, "the parts ask for 11 images; there are 10"),
        ({"a": None, "b": 0.01}, None, "the part 'b' should have 0.1 of 10 images and would have none"),
        ({"a": None, "b": 2}, [0] * 10, "10 images make 1 groups of pictures that belong together, too few"),
        ({"a": 5, "b": 3}, [0] * 5 + [1] * 5, "the part 'b' should have 3 .* largest group .* has 5"),
        ({"a": None, "b": 2}, [0], "1 keys of groups for 10 images"),
    ],
)
def test_what_cannot_be_is_said(shares, groups, message):
    with pytest.raises(ValueError, match=message):
        split_dataset(instances([[(0, 1, 1, 2, 2)]] * 10), shares, groups)
