import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from ppdet_ext.data import digit_scenes, make_demo
from ppdet_ext.data.digit_scenes import MAX_COVER, draw_scene, split_digits

SMALL = {"size": 96, "train": 6, "val": 4, "progress": False}


def contents(folder):
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(Path(folder).rglob("*"))
        if file.is_file()
    }


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    root = tmp_path_factory.mktemp("demo") / "set"
    assert make_demo(root, **SMALL)
    return root


def test_same_parameters_same_bytes(demo, tmp_path):
    make_demo(tmp_path / "again", **SMALL)
    make_demo(tmp_path / "other", **SMALL, seed=1)
    assert contents(tmp_path / "again") == contents(demo)
    assert contents(tmp_path / "other") != contents(demo)


def test_annotations_are_coco_and_match_the_files(demo):
    for split in ("train", "val"):
        coco = json.loads((demo / "annotations" / f"{split}.json").read_text())
        assert [image["id"] for image in coco["images"]] == list(range(1, SMALL[split] + 1))
        assert [category["name"] for category in coco["categories"]] == [str(digit) for digit in range(10)]
        assert [annotation["id"] for annotation in coco["annotations"]] == list(
            range(1, len(coco["annotations"]) + 1)
        )
        for image in coco["images"]:
            pixels = cv2.imread(str(demo / "images" / split / image["file_name"]))
            assert pixels.shape == (image["height"], image["width"], 3) == (96, 96, 3)
        for annotation in coco["annotations"]:
            x, y, width, height = annotation["bbox"]
            assert annotation["area"] == width * height > 0 == annotation["iscrowd"]
            assert 0 <= x < x + width <= 96 and 0 <= y < y + height <= 96
            assert 1 <= annotation["category_id"] <= 10 and 1 <= annotation["image_id"] <= SMALL[split]


def test_splits_share_no_digit():
    pools = split_digits()
    train, val = ({digit.tobytes() for pool in pools[split] for digit in pool} for split in ("train", "val"))
    assert not train & val
    assert len(train) + len(val) == 1797
    for in_train, in_val in zip(pools["train"], pools["val"]):
        assert len(in_val) / (len(in_train) + len(in_val)) == pytest.approx(0.2, abs=0.004)


def test_boxes_are_tight_and_bounded_in_overlap():
    pool = split_digits()["train"]
    counts, heights = [], []
    for seed in range(120):
        image, boxes, labels = draw_scene(np.random.default_rng(seed), pool, 160)
        assert image.shape == (160, 160, 3) and image.dtype == np.uint8
        assert len(boxes) == len(labels)
        counts.append(len(boxes))
        heights.extend(boxes[:, 3] - boxes[:, 1])
        areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
        for i in range(len(boxes)):
            for j in range(i):
                sides = np.minimum(boxes[i, 2:], boxes[j, 2:]) - np.maximum(boxes[i, :2], boxes[j, :2])
                shared = np.maximum(sides, 0).prod()
                assert shared / (areas[i] + areas[j] - shared) < MAX_COVER
    assert min(counts) == 0 and max(counts) == 6
    assert np.min(heights) >= 18 and np.max(heights) <= 96 and np.max(heights) - np.min(heights) > 35


def test_boxes_lie_around_the_ink(monkeypatch):
    monkeypatch.setattr(
        digit_scenes, "draw_background", lambda rng, size: np.full((size, size, 3), 128, np.float32)
    )
    monkeypatch.setattr(digit_scenes, "_add_clutter", lambda rng, canvas: None)
    pool, checked = split_digits()["val"], 0
    for seed in range(60):
        image, boxes, _ = draw_scene(np.random.default_rng(seed), pool, 160)
        if len(boxes) != 1:
            continue
        smooth = cv2.GaussianBlur(np.abs(image.astype(np.float32) - 128).max(2), (3, 3), 0)
        rows, cols = np.nonzero(smooth > 30)
        ink = [cols.min(), rows.min(), cols.max() + 1, rows.max() + 1]
        np.testing.assert_allclose(boxes[0], ink, atol=2)
        checked += 1
    assert checked >= 5


def test_complete_set_is_kept_and_foreign_ones_are_refused(demo, tmp_path):
    before = contents(demo)
    assert make_demo(demo, **SMALL) is False
    assert contents(demo) == before
    with pytest.raises(ValueError, match="seed 0 instead of 3"):
        make_demo(demo, **SMALL, seed=3)
    foreign = tmp_path / "mine"
    foreign.mkdir()
    (foreign / "thesis.txt").write_text("x")
    with pytest.raises(ValueError, match="mine: holds files that are not the demo data"):
        make_demo(foreign, **SMALL)
    assert contents(foreign) == {"thesis.txt": b"x"}


def test_lost_files_are_noticed(tmp_path):
    root = tmp_path / "set"
    make_demo(root, **SMALL)
    (root / "images" / "val" / "000001.jpg").unlink()
    with pytest.raises(ValueError, match="lost files of its val split"):
        make_demo(root, **SMALL)


def test_an_interruption_leaves_nothing(tmp_path, monkeypatch):
    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr("ppdet_ext.data.demo.draw_scene", interrupted)
    with pytest.raises(KeyboardInterrupt):
        make_demo(tmp_path / "set", **SMALL)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "key, value", [("size", 10), ("train", 0), ("val", -1), ("seed", -1), ("size", 96.5)]
)
def test_parameters_out_of_range(tmp_path, key, value):
    with pytest.raises(ValueError, match=f"{key} is {value}"):
        make_demo(tmp_path / "set", **{**SMALL, key: value})
