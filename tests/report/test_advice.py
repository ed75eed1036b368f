"""Each rule speaks where its cause is there, and is silent elsewhere."""

import copy

import numpy as np
import pytest

from ppdet_ext.report.advice import advice

POINT = {"threshold": 0.4, "chosen_by": "the best F score", "recall": 0.9, "precision": 0.8}
CARD = {
    "metrics": {
        "ap": 0.6,
        "ap50": 0.8,
        "at_work": {**POINT, "false_alarms_an_image": 0.25},
        "classes": [{"name": name, "ap": 0.6} for name in ("a", "b")],
        "sizes": [{"size": size, "boxes": 50, "ap": 0.6} for size in ("small", "medium", "large")],
    },
    "training": {
        "epochs": 10,
        "best_epoch": 9,
        "evaluations": [{"epoch": 9, "ap": 0.6}, {"epoch": 10, "ap": 0.6}],
    },
    "data": {"TrainDataset": {"classes": {"a": 100, "b": 100, "c": 100}}},
    "exported": "folder",
    "speed": {"rows": []},
}
CONFUSION = np.array([[40, 1, 9], [0, 50, 0], [2, 3, 0]])


def said(change=None, confusion=CONFUSION):
    card = copy.deepcopy(CARD)
    if change:
        change(card)
    return advice(card, confusion, "-c x.yml -o weights=w")


def test_where_all_is_well_only_the_threshold_is_told():
    (line,) = said()
    assert "score of 0.40" in line and "90% of the boxes" in line and "0.25 false alarms an image" in line


def still_rises(card):
    card["training"].update(best_epoch=10, evaluations=[{"epoch": 9, "ap": 0.5}, {"epoch": 10, "ap": 0.6}])


def best_early(card):
    card["training"].update(best_epoch=4, evaluations=[{"epoch": 4, "ap": 0.6}, {"epoch": 10, "ap": 0.5}])


def weak_class(card):
    card["metrics"]["classes"][1]["ap"] = 0.2
    card["data"]["TrainDataset"]["classes"]["b"] = 10


def weak_small_boxes(card):
    card["metrics"]["sizes"][0]["ap"] = 0.2


def loose_boxes(card):
    card["metrics"]["ap"] = 0.3


def not_exported(card):
    card.update(exported=None, speed="not measured")


def without_speed(card):
    card["speed"] = "not measured"


@pytest.mark.parametrize(
    "change, part",
    [
        (still_rises, "still rose by 10.0 points"),
        (best_early, "best after epoch 4 of 10"),
        (weak_class, "'b' has AP 20.0 (all classes 60.0) and only 10 boxes"),
        (weak_small_boxes, "33% of all) have AP 20.0, larger ones up to 60.0"),
        (loose_boxes, "boxes don't fit yet"),
        (not_exported, "ppdet-ext export -c x.yml -o weights=w"),
        (without_speed, "ppdet-ext bench --model folder"),
    ],
)
def test_each_cause_has_its_line(change, part):
    _, line = said(change)
    assert part in line


def test_confused_classes_are_named_with_their_numbers():
    confusion = CONFUSION.copy()
    confusion[0] = [30, 15, 5]
    _, line = said(confusion=confusion)
    assert line.startswith("15 of 50 boxes of 'a' are taken for 'b'")
