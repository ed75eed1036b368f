"""Cleaned copies, in numbers: what is moved lies where it was, and PaddleDetection reads all that stays."""

import json
import logging

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import cv2
import numpy as np
import pytest
from PIL import Image

from tests.data.check.sets import check, fingerprints, make_set, write

MARK, SIZE = (9, 5, 14, 7), (60, 40)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "set"


def cleaned(folder, *options):
    """The content of the cleaned copy of a set."""
    target = folder.parent / "cleaned.json"
    before = fingerprints(folder)
    check(folder, "--write", target, *options)
    assert fingerprints(folder) == before
    return json.loads(target.read_text())


def records_of(content, image):
    return [record for record in content["annotations"] if record["image_id"] == image]


def decoded(path):
    """What PaddleDetection's reader makes of a picture."""
    from ppdet.data.transform.operators import Decode

    return Decode()({"im_file": str(path)})["image"]


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_a_box_is_turned_onto_what_it_outlined(folder, orientation):
    """A red mark on a black picture: the turned box holds all of it, and nothing else."""
    content = make_set(folder)
    stored = np.zeros([SIZE[1], SIZE[0], 3], np.uint8)
    x, y, width, height = MARK
    stored[y : y + height, x : x + width] = 255, 0, 0
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(stored).save(folder / "images" / "turned.png", exif=exif)
    content["images"][0].update(file_name="turned.png", width=SIZE[0], height=SIZE[1])
    outline = [x, y, x + width, y, x + width, y + height, x, y + height]
    content["annotations"][0].update(bbox=list(MARK), area=width * height, segmentation=[outline])
    content["annotations"][1]["segmentation"] = {"counts": [1, 2], "size": [40, 60]}
    write(folder, content)

    copy = cleaned(folder)
    image = copy["images"][0]
    picture = decoded(folder / "images" / "turned.png")
    assert picture.shape[:2] == (image["height"], image["width"]) == SIZE
    record, with_rle, _ = records_of(copy, image["id"])
    left, top, box_width, box_height = record["bbox"]
    inside = np.zeros(picture.shape[:2], bool)
    inside[top : top + box_height, left : left + box_width] = True
    np.testing.assert_array_equal(picture[..., 0] > 128, inside)
    points = np.array(record["segmentation"][0]).reshape(-1, 2)
    np.testing.assert_array_equal(np.append(points.min(0), np.ptp(points, 0)), record["bbox"])
    assert "segmentation" not in with_rle


def test_boxes_are_scaled_with_a_picture_that_was(folder):
    content = make_set(folder)
    path = folder / "images" / "train_1.jpg"
    cv2.imwrite(str(path), cv2.resize(cv2.imread(str(path)), (32, 24)))
    record = records_of(cleaned(folder), 1)[2]
    before = records_of(content, 1)[2]
    assert before["bbox"] == [40, 7, 12, 12] and record["bbox"] == [20, 3.5, 6, 6] and record["area"] == 36


def test_a_picture_of_another_size_with_boxes_that_fit_both_is_left_out(folder):
    """Nobody can tell whether the boxes belong to the picture as it was or as it is."""
    content = make_set(folder)
    for record in records_of(content, 1):
        record["bbox"], record["area"] = [2, 3, 8, 8], 64
    path = folder / "images" / "train_1.jpg"
    cv2.imwrite(str(path), cv2.resize(cv2.imread(str(path)), (32, 24)))
    write(folder, content)
    copy = cleaned(folder)
    assert [image["id"] for image in copy["images"]] == list(range(2, 9)) and not records_of(copy, 1)


def test_ids_stay_unless_they_are_at_fault(folder):
    content = make_set(folder)
    content["images"][1]["id"] = "two"
    for record in records_of(content, 2):
        record["image_id"] = "two"
    content["annotations"][9]["id"] = content["annotations"][0]["id"]
    content["annotations"][10]["id"] = 0
    del content["annotations"][11]["id"]
    write(folder, content)
    copy = cleaned(folder)
    assert [image["id"] for image in copy["images"]] == [1, 9, 3, 4, 5, 6, 7, 8]
    assert [r["id"] for r in copy["annotations"]] == [*range(1, 10), 25, 26, 27, *range(13, 25)]
    assert [r["image_id"] for r in copy["annotations"]][:6] == [1, 1, 1, 9, 9, 9]
    assert [r["bbox"] for r in copy["annotations"]] == [r["bbox"] for r in content["annotations"]]


def test_other_fields_are_kept(folder):
    content = {**make_set(folder), "info": {"year": 2020, "bad": float("nan")}, "licenses": []}
    content["annotations"][3]["attributes"] = {"occluded": True, "score": float("-inf")}
    content["images"][3]["date"] = "today"
    write(folder, content)
    copy = cleaned(folder)
    assert copy["info"] == {"year": 2020, "bad": None} and copy["licenses"] == []
    assert copy["annotations"][3]["attributes"] == {"occluded": True, "score": None}
    assert copy["images"][3]["date"] == "today"


def read_by_paddledetection(folder, name):
    """Boxes by image, corners, as PaddleDetection trains on them."""
    from ppdet.data.source.coco import COCODataSet

    fields = ["image", "gt_bbox", "gt_class", "is_crowd"]
    dataset = COCODataSet(str(folder), "images", name, fields)
    dataset.parse_dataset()
    return {int(record["im_id"][0]): record["gt_bbox"] for record in dataset.roidbs}


def test_paddledetection_loses_what_the_check_says(folder, monkeypatch):
    """Boxes that it leaves out in silence, and records that end it; the cleaned copy loses nothing more."""
    monkeypatch.setattr(logging, "raiseExceptions", False)
    content = make_set(folder)
    broken = {3: [4, 5, 0, 10], 4: [4, 5, -3, 10], 5: [float("nan")] * 4}
    for row, box in broken.items():
        content["annotations"][row]["bbox"] = box
    content["annotations"][6]["area"] = 0  # a box that the copy gives back
    write(folder, content)
    sound = {row for row in range(24) if row not in broken}
    before = read_by_paddledetection(folder, "train.json")
    assert sum(map(len, before.values())) == len(sound - {6}) and 2 not in before
    kinds = check(folder)[1]["kinds"]
    assert kinds["box-no-area"] == 2 and kinds["box-not-finite"] == 1 and kinds["area-zero"] == 1
    copy = cleaned(folder)
    (folder / "copy.json").write_text(json.dumps(copy))
    after = read_by_paddledetection(folder, "copy.json")
    want = np.array([content["annotations"][row]["bbox"] for row in sorted(sound)], float)
    want[:, 2:] += want[:, :2]
    np.testing.assert_array_equal(np.concatenate([after[number] for number in sorted(after)]), want)


@pytest.mark.parametrize(
    "list_name, key", [("annotations", "area"), ("annotations", "iscrowd"), ("images", "width")]
)
def test_paddledetection_ends_where_the_check_refuses(folder, list_name, key):
    content = make_set(folder)
    del content[list_name][4][key]
    write(folder, content)
    with pytest.raises(KeyError, match=key):
        read_by_paddledetection(folder, "train.json")


def test_coco_counts_the_detection_of_annotation_0_as_false(folder):
    """Why the id 0 is a finding: the same detections, perfect, score less."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    def ap(first):
        content = make_set(folder)
        content["annotations"] = [{**r, "id": r["id"] - 1 + first} for r in content["annotations"]]
        truth = COCO()
        truth.dataset = content
        truth.createIndex()
        found = truth.loadRes([{**r, "score": 0.9} for r in map(dict, content["annotations"])])
        evaluation = COCOeval(truth, found, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
        return evaluation.stats[0]

    assert ap(1) == pytest.approx(1) and ap(0) < 0.99
