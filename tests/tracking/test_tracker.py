"""The tracker on a scene with a known truth, judged by motmetrics."""

import importlib.util

import numpy as np
import pytest

from ppdet_ext.runtime import Detections
from ppdet_ext.tracking import Tracker
from ppdet_ext.tracking.summary import Summary
from ppdet_ext.tracking.truth import TruthScore

from .scene import FPS, FRAMES, NAMES, noisy, perfect, write_truth

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("supervision") is None, reason="supervision has no version for this Python"
)


def follow(tmp_path, detect, **options):
    """Figures and Summary of the whole scene."""
    tracker, summary = Tracker(NAMES, FPS, **options), Summary(NAMES)
    score = TruthScore(write_truth(tmp_path / "gt.txt"))
    for frame in range(1, FRAMES + 1):
        tracked = tracker.update(detect(frame))
        score.add(tracked)
        summary.add((frame - 1) / FPS, tracked)
    return score.result(), summary


def test_perfect_detections_give_one_track_an_object(tmp_path):
    figures, summary = follow(tmp_path, perfect)
    assert figures["objects"] == 5 and figures["frames"] == FRAMES
    assert figures["mota"] > 0.99 and figures["idf1"] > 0.99
    assert figures["switches"] == figures["false_alarms"] == 0
    assert summary.objects() == {
        "square": {"total": 3, "most_at_once": 3, "now": 2},
        "disc": {"total": 2, "most_at_once": 2, "now": 2},
    }
    lengths = {track["id"]: track for track in summary.tracks(FPS)}
    hidden = lengths[3]
    assert (hidden["first_frame"], hidden["last_frame"], hidden["frames"]) == (1, 120, 108)
    assert hidden["seconds"] == pytest.approx(120 / FPS) and hidden["score"] == pytest.approx(0.9, abs=1e-3)


def test_noisy_detections(tmp_path):
    figures = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        result, summary = follow(tmp_path, lambda frame, rng=rng: noisy(frame, rng))
        figures.append(result)
        long = [track["name"] for track in summary.tracks(FPS) if track["frames"] > 30]
        assert sorted(long) == ["disc", "disc", "square", "square", "square"]
    assert min(figure["mota"] for figure in figures) > 0.85
    assert min(figure["idf1"] for figure in figures) > 0.9
    assert max(figure["switches"] for figure in figures) <= 1
    assert max(figure["false_alarms"] for figure in figures) <= 5


def test_weak_detections_go_on_with_a_track_but_begin_none(tmp_path):
    """What ByteTrack is for: without them recall falls by their share."""

    def weakly(frame, least):
        found = perfect(frame)
        scores = np.where(np.arange(len(found)) == frame % 5, 0.3, 0.9)
        return Detections(found.boxes, scores, found.labels, NAMES).filter(least)

    with_them, _ = follow(tmp_path, lambda frame: weakly(frame, 0.1))
    without, _ = follow(tmp_path, lambda frame: weakly(frame, 0.5))
    assert with_them["recall"] > 0.97 and without["recall"] < 0.85
    tracker = Tracker(NAMES, FPS)
    for frame in range(1, 20):
        found = perfect(frame)
        weak = Detections(found.boxes, np.full(len(found), 0.3), found.labels, NAMES)
        assert len(tracker.update(weak).ids) == 0


def test_patience(tmp_path):
    """The third object is unseen for 12 of 25 frames a second."""
    patient, _ = follow(tmp_path, perfect, patience=1.0)
    hasty, _ = follow(tmp_path, perfect, patience=0.2)
    assert (patient["switches"], hasty["switches"]) == (0, 1)
    assert hasty["idf1"] < patient["idf1"] - 0.05


def one(box, *scores):
    """Detections of one box, a score a class."""
    order = np.argsort(scores)[::-1]
    return Detections([box] * len(order), np.array(scores)[order], order, ["cat", "dog"])


def test_a_track_has_the_class_of_most_votes():
    tracker = Tracker(["cat", "dog"], FPS)
    box = [10, 10, 50, 50]
    answers = [
        tracker.update(one(box, *scores)) for scores in ((0.9, 0.6), (0.6, 0.9), (0.9, 0.2), (0.2, 0.95))
    ]
    assert [answer.ids.tolist() for answer in answers] == [[1]] * 4
    assert [answer.detections.labels.tolist() for answer in answers] == [[0], [0], [0], [1]]


def test_two_objects_of_two_classes_side_by_side_stay_two():
    tracker = Tracker(["cat", "dog"], FPS)
    found = Detections([[10, 10, 50, 50], [22, 10, 62, 50]], [0.9, 0.8], [0, 1], ["cat", "dog"])
    for _ in range(5):
        tracked = tracker.update(found)
    assert sorted(tracked.ids.tolist()) == [1, 2]


def test_trackers_number_for_themselves():
    first, second = Tracker(NAMES, FPS), Tracker(NAMES, FPS)
    for frame in range(1, 6):
        ids = [sorted(tracker.update(perfect(frame)).ids.tolist()) for tracker in (first, second)]
    assert ids == [[1, 2, 3, 4]] * 2
    empty = Detections([], [], [], NAMES)
    assert len(first.update(empty).ids) == 0
    assert sorted(first.update(perfect(7)).ids.tolist()) == [1, 2, 3, 4]
