"""The figures of a report, on boxes whose answers are known."""

import json

import numpy as np
import pytest

from ppdet_ext.evaluation.coco import evaluate
from ppdet_ext.report.measure import THRESHOLDS, measure

from .sets import write_set


@pytest.fixture
def data(tmp_path):
    return write_set(tmp_path / "set")


def test_figures_are_those_of_the_evaluation(data):
    anno, images, results = data
    measured = measure(results, anno, images)
    told = evaluate(measured.predictions, anno, images, progress=False)
    assert measured.figures == {name: told[name] for name in measured.figures}
    assert {row["name"]: row["ap"] for row in measured.classes} == told["per_class"]
    assert measured.names == ["cat", "dog"]


def test_the_point_and_the_classes_at_work(data):
    anno, images, results = data
    measured = measure(results, anno, images)
    assert measured.point["threshold"] == pytest.approx(0.6) and measured.chosen == "the best F score"
    assert (measured.point["missed"], measured.point["false_alarms"]) == (1, 2)
    cat, dog = measured.classes
    assert (cat["boxes"], cat["recall"], cat["precision"]) == (2, 1, pytest.approx(2 / 3))
    assert (dog["boxes"], dog["recall"], dog["precision"]) == (3, pytest.approx(2 / 3), pytest.approx(2 / 3))
    # The third picture's dog is taken for a cat; its other detection is an alarm.
    np.testing.assert_array_equal(measured.confusion, [[2, 0, 0], [1, 2, 0], [0, 1, 0]])
    sizes = {row["size"]: row["boxes"] for row in measured.sizes}
    assert sizes == {"small": 3, "medium": 2, "large": 0} and measured.sizes[2]["ap"] is None


def test_f1_over_the_threshold(data):
    anno, images, results = data
    measured = measure(results, anno, images, threshold=0.8)
    assert measured.point["threshold"] == 0.8 and measured.chosen == "the config"
    at = {float(round(t, 3)): column for t, column in zip(THRESHOLDS, measured.f_scores.T)}
    # F1 = 2 right / (detected + annotated)
    np.testing.assert_allclose(at[0.5], [4 / 5, 4 / 6, 8 / 11])
    np.testing.assert_allclose(at[0.75], [4 / 5, 0, 4 / 8])
    np.testing.assert_allclose(at[0.95], 0)


@pytest.mark.parametrize(
    "results, said",
    [
        ({}, "is no list of results"),
        ([{"image_id": 1, "category_id": 3, "bbox": [0, 0, 1, 1]}], "result 0 has no 'score'"),
        ([{"image_id": 9, "category_id": 3, "bbox": [0, 0, 1, 1], "score": 1}], "belongs to other data"),
        ([], "the detector found nothing at all"),
    ],
)
def test_results_that_can_not_be_judged(data, results, said):
    anno, images, file = data
    file.write_text(json.dumps(results))
    with pytest.raises(ValueError, match=said):
        measure(file, anno, images)
