"""`ppdet-ext threshold` on a model whose answers are known."""

import json

import pytest

from ppdet_ext.cli import main
from ppdet_ext.runtime.image import read_image

from ..report.sets import write_set
from ..runtime.tiny_model import BOXES

WHITE = (255, 256)


@pytest.fixture
def data(tmp_path):
    """Three white pictures; in each the model finds a cat (0.9) and a dog (0.6), at one place each. The first
    two hold both; the third holds a dog where the model sees the cat.
    """
    cat, dog = (
        [*(2 * box[:2]).tolist(), *(2 * (box[2:] - box[:2])).tolist()] for box in (BOXES[0], BOXES[2])
    )
    anno, images, _ = write_set(tmp_path, cat, dog, WHITE)
    return ["--anno", str(anno), "--images", str(images)]


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
        (["--device", "tpu"], "device 'tpu' is not known"),
        (["--threads", "0"], "threads is 0; give a whole number from 1 up"),
    ],
)
def test_bad_arguments_are_one_line(model, data, arguments, said, capsys):
    assert main(["threshold", "--model", model, *data, *arguments]) == 2
    err = capsys.readouterr().err.strip()
    assert said in err and "\n" not in err
