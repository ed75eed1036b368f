import json

import numpy as np
import pytest

from ppdet_ext.runtime import Detections

NAMES = ["cat", "dog", "owl"]


def make():
    return Detections([[1, 2, 11, 22], [0, 0, 5, 5]], [0.75, 0.5], [2, 0], NAMES, "a.jpg")


def test_converts_and_counts():
    found = make()
    assert len(found) == 2
    assert (found.boxes.dtype, found.scores.dtype, found.labels.dtype) == (np.float32, np.float32, np.int64)
    assert Detections([], [], [], NAMES).boxes.shape == (0, 4)


def test_filter_keeps_the_threshold_itself():
    assert len(make().filter(0.5)) == 2
    kept = make().filter(0.51)
    assert kept.boxes.tolist() == [[1, 2, 11, 22]] and kept.labels.tolist() == [2] and kept.source == "a.jpg"
    assert len(make().filter(0.9)) == 0


def test_records_and_coco_are_plain_values():
    records = json.loads(json.dumps(make().to_records()))
    assert records[0] == {"label": 2, "name": "owl", "score": 0.75, "box": [1, 2, 11, 22]}
    results = json.loads(json.dumps(make().to_coco(7, [10, 20, 90])))
    assert results[0] == {"image_id": 7, "category_id": 90, "bbox": [1, 2, 10, 20], "score": 0.75}


@pytest.mark.parametrize(
    "boxes, scores, labels, message",
    [
        ([[1, 2, 3]], [0.5], [0], r"shape \[1, 3\]"),
        ([[0, 0, 1, 1]], [0.5, 0.5], [0], "1 boxes, but scores"),
        ([[0, 0, 1, 1]], [0.5], [0.0], "whole numbers"),
        ([[0, 0, np.nan, 1]], [0.5], [0], "NaN or infinite"),
        ([[0, 0, 1, 1]], [np.inf], [0], "NaN or infinite"),
        ([[0, 0, 1, 1]], [0.5], [3], "from 3 to 3, but there are 3 names"),
        ([[0, 0, 1, 1]], [0.5], [-1], "from -1"),
    ],
)
def test_bad_values(boxes, scores, labels, message):
    with pytest.raises(ValueError, match=message):
        Detections(boxes, scores, labels, NAMES)
