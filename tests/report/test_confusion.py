"""The confusion matrix of boxes whose pairs are known."""

import numpy as np

from ppdet_ext.report.confusion import confusion_matrix
from ppdet_ext.runtime import Detections

NAMES = ["a", "b", "c"]
PLACES = np.array([[0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10], [60, 0, 70, 10]], float)


def detections(*rows):
    """Rows of place, label and score."""
    places, labels, scores = zip(*rows) if rows else ((), (), ())
    return Detections(PLACES[list(places)].reshape(-1, 4), scores, np.array(labels, int), NAMES)


def test_each_pair_is_counted_where_it_belongs():
    truths = [detections((0, 0, 1), (1, 1, 1), (2, 2, 1)), detections((0, 0, 1)), detections()]
    predictions = [
        detections((0, 0, 0.9), (1, 2, 0.8), (3, 1, 0.7)),  # right; b taken for c; alarm of b; c is missed
        detections((0, 0, 0.2)),  # below the threshold: missed
        detections((1, 2, 0.6)),  # alarm of c
    ]
    expected = np.zeros((4, 4), int)
    expected[0, 0] = expected[1, 2] = expected[3, 1] = expected[2, 3] = expected[0, 3] = expected[3, 2] = 1
    np.testing.assert_array_equal(confusion_matrix(predictions, truths, 0.5), expected)


def test_the_right_class_comes_first_whatever_scores_more():
    truths, predictions = [detections((0, 0, 1))], [detections((0, 1, 0.9), (0, 0, 0.6))]
    matrix = confusion_matrix(predictions, truths, 0.5)
    assert matrix[0, 0] == 1 and matrix[3, 1] == 1 and matrix.sum() == 2


def test_rows_add_up_to_the_annotated_boxes():
    random = np.random.default_rng(0)
    sides = [
        [detections(*[(p, random.integers(3), random.random()) for p in range(4) if random.random() < 0.8])]
        for _ in range(40)
    ]
    truths, predictions = ([side[0] for side in part] for part in (sides[:20], sides[20:]))
    matrix = confusion_matrix(predictions, truths, 0.4)
    annotated = np.bincount(np.concatenate([t.labels for t in truths]), minlength=3)
    detected = np.bincount(np.concatenate([p.filter(0.4).labels for p in predictions]), minlength=3)
    np.testing.assert_array_equal(matrix[:3].sum(1), annotated)
    np.testing.assert_array_equal(matrix[:, :3].sum(0), detected)
