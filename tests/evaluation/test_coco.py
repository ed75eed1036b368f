import json

import cv2
import numpy as np
import pytest

from ppdet_ext.evaluation import evaluate
from ppdet_ext.runtime import Detections

from ..runtime.tiny_model import BOXES, KEPT, NAMES, write_folder

# Ids out of order and with gaps: label 0 is the category with the lowest id.
CATEGORIES = [{"id": 7, "name": "dog"}, {"id": 3, "name": "cat"}, {"id": 9, "name": "owl"}]
SORTED_NAMES = ["cat", "dog", "owl"]


def write_annotations(folder, boxes, categories=CATEGORIES, count=2, **changes):
    """A COCO file with (image_id, category_id, xyxy) boxes; some sections replaced, or (None) left out."""
    content = {
        "images": [
            {"id": number, "file_name": f"{number}.png", "width": 128, "height": 64}
            for number in range(1, count + 1)
        ],
        "annotations": [
            {"id": number + 1, "image_id": image, "category_id": category, "bbox": [x0, y0, x1 - x0, y1 - y0]}
            for number, (image, category, (x0, y0, x1, y1)) in enumerate(boxes)
        ],
        "categories": categories,
        **changes,
    }
    file = folder / "val.json"
    file.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))
    return file


def test_a_case_counted_by_hand(tmp_path, capsys):
    """Three cats and one dog.

    Cats by falling score: a hit (IoU 1), a miss, a hit with IoU 0.82, while the third cat is not found. At
    thresholds up to 0.80 precision is 1 up to recall 1/3 and 2/3 up to recall 2/3: of the 101 points 0, .01,
    .. 1 there are 34 and 33, so AP = (34 + 33 * 2/3) / 101. Above, only the first hit counts: 34/101. The
    dog is found once: AP 1.
    """
    cats = [(1, 3, (0, 0, 50, 50)), (1, 3, (60, 0, 110, 50)), (2, 3, (0, 0, 40, 40))]
    file = write_annotations(tmp_path, [*cats, (2, 7, (50, 0, 100, 50))])
    first = Detections(
        [[0, 0, 50, 50], [0, 20, 40, 60], [60, 0, 101, 50]], [0.9, 0.8, 0.7], [0, 0, 0], SORTED_NAMES
    )
    second = Detections([[50, 0, 100, 50]], [0.6], [1], SORTED_NAMES)
    result = evaluate(iter([first, second]), file, tmp_path, progress=False)
    high, low = (34 + 33 * 2 / 3) / 101, 34 / 101
    cat = (7 * high + 3 * low) / 10  # 0.50 .. 0.80 are seven of the ten thresholds
    assert result["per_class"]["cat"] == pytest.approx(cat, abs=1e-9)
    assert result["per_class"]["dog"] == pytest.approx(1)
    assert result["per_class"]["owl"] is None
    assert result["ap"] == pytest.approx((cat + 1) / 2, abs=1e-9)
    assert result["ap50"] == pytest.approx((high + 1) / 2, abs=1e-9)
    assert result["ap75"] == pytest.approx((high + 1) / 2, abs=1e-9)
    assert result["ar100"] == pytest.approx(((7 * 2 / 3 + 3 * 1 / 3) / 10 + 1) / 2)
    assert result["ap_small"] is None and result["ap_large"] is None
    assert result["ap_medium"] == result["ap"]
    assert result["images"] == 2 and result["seconds"] >= 0
    assert capsys.readouterr().out == ""
    json.dumps(result)


def test_a_detector_on_files(tmp_path):
    from ppdet_ext.runtime import Detector

    categories = [{"id": 5, "name": NAMES[1]}, {"id": 2, "name": NAMES[0]}]
    truths = [(1, 2, BOXES[0] * 2), (1, 5, BOXES[2] * 2), (2, 2, BOXES[0] * 2)]
    truths = [(image, category, box.tolist()) for image, category, box in truths]
    file = write_annotations(tmp_path, truths, categories)
    for name, value in (("1.png", 255), ("2.png", 0)):  # white scores, black does not
        cv2.imwrite(str(tmp_path / name), np.full((64, 128, 3), value, np.uint8))
    detector = Detector(write_folder(tmp_path / "model"))
    result = evaluate(detector, file, tmp_path, batch_size=2, progress=False)
    assert len(detector.predict(tmp_path / "1.png")[0]) == len(KEPT["scores"])
    # The dog is found with full score first; of two cats the first is found: 51 of the 101 recall points
    assert result["per_class"] == pytest.approx({"cat": 51 / 101, "dog": 1.0})


def test_nothing_found_is_zero(tmp_path):
    file = write_annotations(tmp_path, [(1, 3, (0, 0, 50, 50))])
    result = evaluate([Detections([], [], [], SORTED_NAMES)] * 2, file, tmp_path, progress=False)
    assert result["ap"] == 0 and result["per_class"] == {"cat": 0, "dog": None, "owl": None}


def test_missing_images_are_listed_up_to_five(tmp_path):
    from ppdet_ext.runtime import Detector

    detector = Detector(write_folder(tmp_path / "model"))
    categories = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    file = write_annotations(tmp_path, [], categories, count=9)
    cv2.imwrite(str(tmp_path / "2.png"), np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(ValueError, match=r"8 of 9 images are missing: .*1.png.*6.png and 3 more"):
        evaluate(detector, file, tmp_path, progress=False)


def test_classes_have_to_agree(tmp_path):
    file = write_annotations(tmp_path, [])
    for names, message in (
        (["cat", "owl", "dog"], r"category 1 \(by rising id\) is 'dog', but the model's class 1 is 'owl'"),
        (["cat"], "has 3 categories, but the model knows 1 classes"),
    ):
        with pytest.raises(ValueError, match=message):
            evaluate([Detections([], [], [], names)] * 2, file, tmp_path, progress=False)


@pytest.mark.parametrize("count, message", [(1, "end before 2.png"), (3, "but more Detections")])
def test_one_detections_an_image(tmp_path, count, message):
    file = write_annotations(tmp_path, [])
    with pytest.raises(ValueError, match=message):
        evaluate([Detections([], [], [], SORTED_NAMES)] * count, file, tmp_path, progress=False)


@pytest.mark.parametrize(
    "boxes, changes, message",
    [
        ([], {"images": None}, "no list 'images'"),
        ([], {"images": []}, "'images' is empty"),
        (
            [],
            {"annotations": [{"id": 1, "image_id": 1, "bbox": [0, 0, 1, 1]}]},
            "record 0 .* no 'category_id'",
        ),
        ([], {"images": [{"id": 1, "file_name": "a"}] * 2}, "'images' has an id twice"),
        ([(5, 3, (0, 0, 1, 1))], {}, "annotation 1 has image_id 5, which does not exist"),
        ([(1, 4, (0, 0, 1, 1))], {}, "annotation 1 has category_id 4"),
        ([(1, 3, (0, 0, float("nan"), 1))], {}, "annotation 1 has bbox"),
    ],
)
def test_bad_annotations_name_file_and_record(tmp_path, boxes, changes, message):
    file = write_annotations(tmp_path, boxes, **changes)
    with pytest.raises(ValueError, match=f"val.json: .*{message}"):
        evaluate([], file, tmp_path, progress=False)


def test_files_that_are_no_json(tmp_path):
    (tmp_path / "cut.json").write_text('{"images": [')
    with pytest.raises(ValueError, match="cut.json: is not valid JSON"):
        evaluate([], tmp_path / "cut.json", tmp_path)
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(ValueError, match="list.json: has no list 'images'"):
        evaluate([], tmp_path / "list.json", tmp_path)
    with pytest.raises(ValueError, match="none.json: cannot be read"):
        evaluate([], tmp_path / "none.json", tmp_path)
