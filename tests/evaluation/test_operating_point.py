"""The threshold for work, against counts by hand."""

import numpy as np
import pytest

from ppdet_ext.evaluation.matching import Matches
from ppdet_ext.evaluation.operating_point import (
    best_f_score,
    cross_fitted,
    curve,
    operate,
    threshold_for_recall,
)
from ppdet_ext.evaluation.work_report import one_class, work_report, work_table
from ppdet_ext.runtime.detections import Detections


def matches(rows, truths):
    """Matches of (score, index of the box it finds or -1, image) rows and the images of the boxes."""
    scores, finds, images = (np.array(column) for column in zip(*rows))
    finder = np.array([np.flatnonzero(finds == box)[0] if (finds == box).any() else -1 for box in truths])
    zeros = np.zeros(len(rows), int)
    return Matches(
        scores.astype("float32"),
        zeros,
        images,
        finds >= 0,
        np.zeros(len(truths), int),
        np.array(list(truths.values())),
        finder,
        ["defect"],
    )


# Four boxes in two images; the last is never found.
FOUND = matches(
    [(0.9, 0, 0), (0.8, 1, 1), (0.7, -1, 0), (0.6, 2, 1), (0.6, -1, 1), (0.2, -1, 0)],
    {0: 0, 1: 1, 2: 1, 3: 0},
)


def test_curve_by_hand():
    found = curve(FOUND)
    np.testing.assert_allclose(found["threshold"], [0.9, 0.8, 0.7, 0.6, 0.2])
    np.testing.assert_allclose(found["recall"], [0.25, 0.5, 0.5, 0.75, 0.75])
    np.testing.assert_allclose(found["precision"], [1, 1, 2 / 3, 3 / 5, 3 / 6])
    np.testing.assert_allclose(found["f_score"], [2 / 5, 4 / 6, 4 / 7, 6 / 9, 6 / 10])


def test_thresholds():
    assert best_f_score(FOUND) == pytest.approx(0.8)  # of two equals the higher
    assert threshold_for_recall(FOUND, 0.5) == pytest.approx(0.8)
    assert threshold_for_recall(FOUND, 0.51) == pytest.approx(0.6)
    with pytest.raises(ValueError, match="80.0% of the annotated boxes; the detector finds 75.0%"):
        threshold_for_recall(FOUND, 0.8)


def test_operating_point_by_hand():
    point = operate(FOUND, 0.6, images=2)
    assert (point.missed, point.false_alarms) == (1, 2)
    assert point.recall == 0.75 and point.precision == 0.6
    assert point.f_score == pytest.approx(2 * 0.75 * 0.6 / 1.35)
    assert point.false_alarms_an_image == 1
    assert operate(FOUND, 0.95, images=2).precision is None


def test_cross_fitting_uses_the_other_half():
    # Image 0 alone is best cut at 0.9, image 1 at 0.6; each is judged at the other's threshold.
    assert best_f_score(FOUND.select([0])) == pytest.approx(0.9)
    assert best_f_score(FOUND.select([1])) == pytest.approx(0.6)
    point = cross_fitted(FOUND, 2, best_f_score)
    assert point.threshold == pytest.approx(0.75)
    assert (point.missed, point.false_alarms) == (3, 1)  # image 0: one of two found, one alarm; image 1: none


def test_nothing_to_find_and_nothing_found_are_named():
    with pytest.raises(ValueError, match="no annotated boxes"):
        curve(matches([(0.9, -1, 0)], {}))
    truth = Detections([[0, 0, 5, 5]], [1], [0], ["defect"])
    nothing = Detections([], [], [], ["defect"])
    with pytest.raises(ValueError, match="found nothing at all"):
        work_report([nothing], [truth])


def test_report_counts_by_class_and_any_class_forgives_the_kind():
    names = ["open", "short"]
    truths = [Detections([[0, 0, 9, 9], [20, 0, 29, 9]], [1, 1], [0, 1], names)] * 2
    predictions = [Detections([[0, 0, 9, 9], [20, 0, 29, 9]], [0.9, 0.8], [0, 0], names)] * 2
    _, report = work_report(predictions, truths, recall=0.5)
    assert report["classes"] == {
        "open": {"boxes": 2, "missed": 0, "false_alarms": 0},
        "short": {"boxes": 2, "missed": 2, "false_alarms": 0},
    }
    assert report["map"] == 0.5
    _, report = work_report(one_class(predictions), one_class(truths))
    assert report["point"]["recall"] == report["point"]["precision"] == 1
    assert "100.00 %" in work_table(report)
