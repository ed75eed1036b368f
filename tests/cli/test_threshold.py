"""`ppdet-ext threshold` on a model whose answers are known."""

import json

import cv2
import numpy as np
import pytest

from ppdet_ext.cli import main
from ppdet_ext.runtime.image import read_image

from ..runtime.tiny_model import BOXES, write_folder


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(write_folder(tmp_path_factory.mktemp("export") / "tiny"))


@pytest.fixture
def data(tmp_path):
    """Three white pictures; in each the model finds a cat (0.9) and a dog (0.6), at one place each. The first
    two hold both; the third holds a dog where the model sees the cat.
    """
    cat, dog = (
        [*(2 * box[:2]).tolist(), *(2 * (box[2:] - box[:2])).tolist()] for box in (BOXES[0], BOXES[2])
    )
    boxes = [(1, 1, cat), (1, 2, dog), (2, 1, cat), (2, 2, dog), (3, 2, cat)]
    dataset = {
        "images": [{"id": i, "file_name": f"{i}.png", "width": 128, "height": 64} for i in (1, 2, 3)],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
        "annotations": [
            {"id": number, "image_id": image, "category_id": category, "bbox": box}
            for number, (image, category, box) in enumerate(boxes, 1)
        ],
    }
    for i in (1, 2, 3):
        cv2.imwrite(str(tmp_path / f"{i}.png"), np.full((64, 128, 3), 255, np.uint8))
    (tmp_path / "anno.json").write_text(json.dumps(dataset))
    return ["--anno", str(tmp_path / "anno.json"), "--images", str(tmp_path)]


def test_best_f_score_and_pictures(model, data, tmp_path, capsys):
    report_file, pictures = tmp_path / "new" / "report.json", tmp_path / "pictures"
    arguments = [
        "threshold",
        "--model",
        model,
        *data,
        "--json",
        str(report_file),
        "--pictures",
        str(pictures),
    ]
    assert main(arguments) == 0
    report = json.loads(report_file.read_text())
    point = report["point"]
    # At 0.6: four of five boxes; the third picture's cat and dog are wrong.
    assert point["threshold"] == pytest.approx(0.6)
    assert (point["missed"], point["false_alarms"]) == (1, 2)
    assert report["classes"]["dog"] == {"boxes": 3, "missed": 1, "false_alarms": 1}
    said = capsys.readouterr().out
    assert "80.00 %" in said and "best F score" in said
    misses, alarms = (read_image(pictures / f"{name}.png") for name in ("misses", "false_alarms"))
    assert misses.shape[1] < alarms.shape[1]  # one close-up, and two
    assert (pictures / "operating_point.png").stat().st_size > 10_000


def test_recall_costs_false_alarms_and_can_be_out_of_reach(model, data, capsys):
    # The dog of the third picture, on the cat's place, scores 0.2 there.
    assert main(["threshold", "--model", model, *data, "--recall", "1"]) == 0
    assert "threshold for a recall of 100 %: 0.200" in capsys.readouterr().out
    assert main(["threshold", "--model", model, *data, "--recall", "0.8", "--iou", "0.99"]) == 0
    assert main(["threshold", "--model", model, *data, "--any-class", "--recall", "1"]) == 0
    assert "threshold for a recall of 100 %: 0.600" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["--iou", "1.5"], "--iou is 1.5"),
        (["--recall", "0"], "--recall is 0.0"),
        (["--backend", "onnxrutime"], "onnxruntime"),
    ],
)
def test_bad_arguments_are_one_line(model, data, arguments, said, capsys):
    assert main(["threshold", "--model", model, *data, *arguments]) == 2
    err = capsys.readouterr().err.strip()
    assert said in err and "\n" not in err
