"""`--json` of train, infer and eval: one document alone on stdout, which says what the files say."""

import json

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import pytest

from ppdet_ext.cli import main
from tests.training.tiny import VAL, history, make_workplace, run_python

WEIGHTS = ["-o", "weights=output/tiny/model_final"]
INFER = ["infer", "-c", "tiny.yml", "--infer_dir", "demo/images/val", "--draw_threshold", "0.001"]
EVAL = ["eval", "-c", "tiny.yml", "--output_eval", "boxes"]


def command(folder, *arguments):
    return run_python(["-m", "ppdet_ext.cli", *arguments], folder)


def document(run):
    """What stands on stdout, all of it."""
    assert run.status == 0, run.log[-3000:]
    return json.loads(run.out)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a training of two epochs, and its document."""
    folder = make_workplace(tmp_path_factory.mktemp("json"))
    run = command(folder, "train", "-c", "tiny.yml", "--eval", "--json", "-o", "epoch=2")
    assert "Save checkpoint" in run.err and "report:" in run.err
    return folder, document(run)


def test_train_says_where_all_is(trained):
    folder, found = trained
    evaluations = [record for record in history(folder / "output") if "ap" in record]
    best = max(evaluations, key=lambda record: (record["ap"], record["epoch"]))
    assert (found["config"], found["folder"], found["epochs"]) == ("tiny.yml", "output/tiny", 2)
    assert (found["best_epoch"], found["ap"]) == (best["epoch"] + 1, pytest.approx(best["ap"]))
    for path in (*found["weights"].values(), found["history"], found["report"]):
        assert (folder / path).is_file(), path
    assert [path.rsplit("/")[-1] for path in found["weights"].values()] == [
        "best_model.pdparams",
        "model_final.pdparams",
    ]


def test_train_in_two_processes_without_evaluation(trained):
    """One document, of the first process; nothing was evaluated, so nothing is the best."""
    folder, _ = trained
    options = ["save_dir=two", "TrainReader.batch_size=4"]
    run = command(folder, "train", "-c", "tiny.yml", "--processes", "2", "--json", "-o", *options)
    found = document(run)
    assert (found["folder"], found["epochs"]) == ("two/tiny", 1)
    assert found["best_epoch"] is found["ap"] is found["report"] is found["weights"]["best"] is None
    assert (folder / found["weights"]["last"]).is_file()


def test_a_training_that_fails_leaves_stdout_empty(trained):
    folder, _ = trained
    run = command(folder, "train", "-c", "tiny.yml", "--json", "-o", "pretrain_weights=nowhere")
    assert (run.status, run.out) == (2, "") and "nowhere" in run.err


def test_infer_tells_what_it_saves(trained):
    folder, _ = trained
    found = document(command(folder, *INFER, "--save_results", "true", "--json", *WEIGHTS))
    saved = {}
    for box in json.loads((folder / "output" / "bbox.json").read_text()):
        saved.setdefault(box["image_id"], []).append(box)
    assert (found["config"], found["weights"], found["threshold"]) == ("tiny.yml", WEIGHTS[1][8:], 0.001)
    assert found["names"] == [str(digit) for digit in range(10)] and len(found["images"]) == VAL
    assert any(image["detections"] for image in found["images"])
    for number, image in enumerate(found["images"]):
        assert (folder / image["file"]).is_file() and (folder / image["picture"]).is_file()
        ours = [box for box in image["detections"]]
        theirs = sorted(saved.get(number, []), key=lambda box: -box["score"])
        theirs = [box for box in theirs if box["score"] >= 0.001]
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs):
            assert one["score"] == pytest.approx(other["score"])
        if ours:
            x, y, width, height = theirs[0]["bbox"]
            assert ours[0]["box"] == pytest.approx([x, y, x + width, y + height], abs=1e-3)
            assert ours[0]["name"] == found["names"][ours[0]["label"]]


def test_infer_into_a_file_without_pictures_above_a_threshold(trained):
    folder, _ = trained
    flags = ["--visualize", "false", "--json", "found.json"]
    run = command(folder, *INFER[:-1], "0.9999", *flags, *WEIGHTS)
    assert run.status == 0, run.log[-3000:]
    found = json.loads((folder / "found.json").read_text())
    assert all(image["detections"] == [] and "picture" not in image for image in found["images"])


def test_infer_refuses_what_hands_out_no_boxes(trained):
    run = command(trained[0], *INFER, "--slice_infer", "--json", *WEIGHTS)
    assert (run.status, run.out) == (2, "") and "--save_results true writes bbox.json" in run.err


def test_eval_of_the_boxes_alone_says_the_same_ap(trained):
    folder, _ = trained
    whole = document(command(folder, *EVAL, "--json", *WEIGHTS))
    again = document(command(folder, *EVAL, "--json_eval", "--json", *WEIGHTS))
    assert again["metrics"] == whole["metrics"] and again["images"] == whole["images"] == VAL
    assert again["boxes"] == "boxes/bbox.json"


@pytest.mark.parametrize(
    "text, words",
    [
        ("[]", "holds no results"),
        ("{}", "is no list of COCO results"),
        ('[{"image_id": 1, ', "is truncated"),
        ('[{"image_id": 999, "category_id": 1, "bbox": [0, 0, 1, 1], "score": 1}]', "of image 999"),
    ],
)
def test_boxes_that_can_t_be_evaluated(trained, tmp_path, text, words, monkeypatch, capfd):
    (tmp_path / "bbox.json").write_text(text)
    monkeypatch.chdir(trained[0])
    assert main(["eval", "-c", "tiny.yml", "--output_eval", str(tmp_path), "--json_eval", *WEIGHTS]) == 2
    (line,) = [line for line in capfd.readouterr().err.splitlines() if line.startswith("ppdet-ext ")]
    assert f"{tmp_path}/bbox.json" in line and words in line
