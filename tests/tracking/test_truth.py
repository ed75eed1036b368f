"""Truths that are none, and figures that can be counted by hand."""

import numpy as np
import pytest

from ppdet_ext.runtime import Detections
from ppdet_ext.tracking import Tracked
from ppdet_ext.tracking.truth import TruthScore, read_truth


def tracked(*objects):
    """Tracked of (id, x0, y0, x1, y1)."""
    rows = np.array(objects, float).reshape(-1, 5)
    found = Detections(rows[:, 1:], np.ones(len(rows)), np.zeros(len(rows), int), ["cat"])
    return Tracked(rows[:, 0].astype(int), found)


def test_figures_by_hand(tmp_path):
    path = tmp_path / "gt.txt"
    path.write_text(
        "".join(f"{frame},7,10,10,20,20,1,1,1\n" for frame in range(1, 5)) + "2,8,0,0,9,9,0,1,1\n"
    )
    score = TruthScore(path)
    box = (10, 10, 30, 30)
    for frame in (tracked((1, *box)), tracked((1, *box)), tracked((2, *box)), tracked((3, 50, 50, 70, 70))):
        score.add(frame)
    # One switch, one miss and one false alarm on four places; the object's best number is right twice.
    assert score.result() == {
        "frames": 4,
        "mota": 0.25,
        "idf1": 0.5,
        "recall": 0.75,
        "precision": 0.75,
        "switches": 1,
        "misses": 1,
        "false_alarms": 1,
        "objects": 1,
    }


def test_nothing_tracked_has_no_precision(tmp_path):
    path = tmp_path / "gt.txt"
    path.write_text("1,1,0,0,5,5\n")
    score = TruthScore(path)
    score.add(tracked())
    figures = score.result()
    assert figures["precision"] is None and figures["mota"] == 0 and figures["misses"] == 1


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "gt.txt: holds no objects"),
        ("1,1,0,0,5,5,0\n", "gt.txt: holds no objects"),
        ("1,1,0,0,5\n", "gt.txt:1: is no line of MOTChallenge's format"),
        ("1,1,0,0,5,5\n\nframe,id,x,y,w,h\n", "gt.txt:3: is no line"),
        ("1,1,0,0,5,5\n1,1,0,0,5,5\n", "gt.txt:2: object 1 is twice in frame 1"),
        ("0,1,0,0,5,5\n", "gt.txt:1: frames count from 1"),
        ("1,1,0,0,-5,5\n", "gt.txt:1: frames count from 1 and boxes have a size"),
        ("1,1,nan,0,5,5\n", "gt.txt:1: frames count"),
        ("inf,1,0,0,5,5\n", "gt.txt:1: is no line"),
    ],
)
def test_bad_truths(tmp_path, text, message):
    path = tmp_path / "gt.txt"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_truth(path)


def test_truths_that_cannot_be_read(tmp_path):
    with pytest.raises(ValueError, match="none.txt: cannot be read"):
        read_truth(tmp_path / "none.txt")
    (tmp_path / "v.mp4").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(ValueError, match="v.mp4: is no text"):
        read_truth(tmp_path / "v.mp4")
