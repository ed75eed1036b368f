"""Pairs of detections and annotated boxes, and average precision, against counts by hand and plain loops."""

import numpy as np
import pytest

from ppdet_ext.evaluation.matching import (
    average_precision,
    class_average_precision,
    match,
)
from ppdet_ext.runtime.box_iou import box_iou
from ppdet_ext.runtime.detections import Detections

NAMES = ["open", "short"]


def found(*rows):
    """Detections of (x1, y1, x2, y2, score, label) rows."""
    rows = np.array(rows, float).reshape(-1, 6)
    return Detections(rows[:, :4], rows[:, 4], rows[:, 5].astype(int), NAMES)


def annotated(*rows):
    return found(*[(*row[:4], 1, row[4]) for row in rows])


def random_scene(random, count):
    corners = random.uniform(0, 60, [count, 2])
    return np.concatenate([corners, corners + random.uniform(5, 30, [count, 2])], 1)


def plain_iou(a, b):
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def test_iou_is_that_of_plain_loops():
    random = np.random.RandomState(0)
    first, second = random_scene(random, 7), random_scene(random, 5)
    expected = [[plain_iou(a, b) for b in second] for a in first]
    np.testing.assert_allclose(box_iou(first, second), expected, rtol=1e-12)
    assert box_iou(np.zeros([1, 4]), np.zeros([1, 4])) == 0


def test_a_detection_takes_the_box_it_overlaps_most_and_a_second_one_is_wrong():
    truth = annotated((0, 0, 10, 10, 0), (4, 0, 14, 10, 0))
    # The best detection lies nearer to the second box; the next two both lie on the first.
    prediction = found((3, 0, 13, 10, 0.9, 0), (0, 0, 10, 10, 0.8, 0), (0, 0, 10, 9, 0.7, 0))
    matches = match([prediction], [truth], 0.5)
    assert matches.correct.tolist() == [True, True, False]
    assert matches.finder.tolist() == [1, 0]
    np.testing.assert_allclose(matches.found_at(), [0.8, 0.9])


def test_score_rule_needs_the_class_and_more_than_the_overlap():
    truth = annotated((0, 0, 10, 10, 0))
    assert not match([found((0, 0, 10, 10, 0.9, 1))], [truth]).correct.any()
    half = found((0, 0, 10, 5, 0.9, 0))  # IoU exactly 0.5
    assert not match([half], [truth], 0.5).correct.any()
    assert match([half], [truth], 0.49).correct.all()
    assert match([half], [truth], 0.5).found_at()[0] == -np.inf


def test_deep_pcb_rule_takes_boxes_in_their_order_and_a_wrong_class_uses_up_both():
    truth = annotated((0, 0, 10, 10, 0), (4, 0, 14, 10, 0))
    # The first box takes the best detection that overlaps enough, though the second one fits it better.
    prediction = found((3, 0, 13, 10, 0.9, 0), (0, 0, 10, 10, 0.8, 0))
    matches = match([prediction], [truth], 0.33, "deep_pcb")
    assert matches.finder.tolist() == [0, 1]
    wrong_class_first = found((0, 0, 10, 10, 0.9, 1), (0, 0, 10, 10, 0.8, 0))
    matches = match([wrong_class_first], [annotated((0, 0, 10, 10, 0))], 0.33, "deep_pcb")
    assert matches.finder.tolist() == [-1]
    assert not matches.correct.any()
    # Coordinates are whole pixels: 10.9 counts as 10.
    prediction, truth = found((0, 0, 10.9, 1, 0.9, 0)), annotated((0, 0, 31, 1, 0))
    assert not match([prediction], [truth], 0.33, "deep_pcb").correct.any()
    assert match([prediction], [truth], 0.33, "score").correct.all()


def test_average_precision_by_hand():
    truth = annotated((0, 0, 10, 10, 0), (20, 0, 30, 10, 0), (40, 0, 50, 10, 1))
    prediction = found(
        (0, 0, 10, 10, 0.9, 0),  # right: 1 of 1
        (60, 0, 70, 10, 0.8, 0),  # wrong
        (40, 0, 50, 10, 0.7, 1),  # right: 2 of 3
        (20, 0, 30, 10, 0.6, 0),  # right: 3 of 4; 2 of 3 in its class
    )
    matches = match([prediction], [truth])
    assert average_precision(matches) == pytest.approx((1 + 2 / 3 + 3 / 4) / 3)
    assert class_average_precision(matches) == pytest.approx({"open": (1 + 2 / 3) / 2, "short": 1.0})
    assert average_precision(match([prediction], [annotated()])) is None
    assert class_average_precision(match([found()], [truth]))["open"] == 0


@pytest.mark.parametrize("rule", ["score", "deep_pcb"])
def test_images_do_not_mix_and_a_part_is_that_part(rule):
    random = np.random.RandomState(1)
    scenes = []
    for _ in range(6):
        truth = annotated(*[(*box, random.randint(2)) for box in random_scene(random, random.randint(0, 6))])
        boxes = truth.boxes + random.normal(0, 1.5, truth.boxes.shape)
        extra = random_scene(random, 3)
        boxes = np.concatenate([boxes, extra])
        labels = np.concatenate([truth.labels, random.randint(0, 2, 3)])
        scenes.append((Detections(boxes, random.rand(len(boxes)), labels, NAMES), truth))
    predictions, truths = zip(*scenes)
    whole = match(predictions, truths, 0.33, rule)
    assert 0 < whole.correct.sum() == (whole.finder >= 0).sum() < len(whole.scores)
    for number, (prediction, truth) in enumerate(scenes):
        part, alone = whole.select([number]), match([prediction], [truth], 0.33, rule)
        for name in ("scores", "labels", "correct", "truth_labels", "finder"):
            np.testing.assert_array_equal(getattr(part, name), getattr(alone, name))


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="'voc'"):
        match([], [], rule="voc")
    with pytest.raises(ValueError, match="1 images with detections, but 0"):
        match([found()], [])
