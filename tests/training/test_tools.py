"""The four commands over one tiny training: each test reads what one process left."""

import json
import logging
import math
import os
import shutil
import subprocess
import sys

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import cv2
import numpy as np
import pytest

from ppdet_ext.cli import main
from tests.training.tiny import (
    BATCH,
    ROOT,
    SIZE,
    TRAIN,
    VAL,
    history,
    make_workplace,
    run_python,
    the_one_line,
)

WEIGHTS = "weights=output/tiny/model_final"


def tool(name, *arguments, folder, **options):
    return run_python([ROOT / "tools" / f"{name}.py", *arguments], folder, **options)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder in which tools/train.py has run, and its output."""
    folder = make_workplace(tmp_path_factory.mktemp("tools"))
    run = tool("train", "-c", "tiny.yml", "--eval", "--use_vdl", "true", folder=folder)
    assert run.status == 0, run.log[-3000:]
    return folder, run


@pytest.fixture
def workplace(trained, monkeypatch, capfd):
    """The same folder as the current one, for commands within this process: `workplace(*argv)` is to fail."""
    monkeypatch.chdir(trained[0])
    # PaddleDetection's log goes to the stdout of its first import, which is gone by now.
    monkeypatch.setattr(logging, "raiseExceptions", False)

    def refused(*argv):
        """The one line with which a command turns bad input down."""
        capfd.readouterr()
        assert main(list(argv)) == 2
        return the_one_line(capfd.readouterr().err)

    return refused


def visualdl(folder):
    """{tag: values in order} of the one log in a folder, as VisualDL reads it."""
    from visualdl import LogReader

    (file,) = folder.iterdir()
    reader = LogReader(file_path=str(file))
    return {
        tag: [entry.value for entry in reader.get_data("scalar", tag)] for tag in reader.get_tags()["scalar"]
    }


@pytest.mark.smoke
def test_training_writes_checkpoints_history_and_logs(trained):
    folder, run = trained
    output = folder / "output" / "tiny"
    for name in ("model_final", "best_model"):
        for extension in ("pdparams", "pdema", "pdopt"):
            assert (output / f"{name}.{extension}").stat().st_size > 10_000
    *steps, evaluation = history(folder / "output")
    assert [(s["epoch"], s["step"], s["steps_per_epoch"]) for s in steps] == [(0, 0, 2), (0, 1, 2)]
    for step in steps:
        for name in ("loss", "loss_cls", "loss_iou", "loss_dfl"):
            assert math.isfinite(step[name]) and step[name] > 0
        total = step["loss_cls"] + 2.5 * step["loss_iou"] + 0.5 * step["loss_dfl"]
        assert step["loss"] == pytest.approx(total, rel=1e-4)
    assert steps[0]["lr"] < steps[1]["lr"] < 0.002  # warming up
    assert evaluation["epoch"] == 0 and 0 <= evaluation["ap"] <= evaluation["ap50"] <= 1
    assert "Average Precision" in run.out
    logged = visualdl(folder / "vdl_log_dir" / "scalar")
    for name in ("loss", "loss_cls", "loss_iou", "loss_dfl"):
        assert logged[name] == pytest.approx([step[name] for step in steps], rel=1e-5)
    assert logged["bbox-mAP"] == pytest.approx([evaluation["ap"]])
    assert "this PaddlePaddle is built for the CPU" in run.out
    # Half the batch of the schedule.
    assert f"does not fit a total batch of {BATCH} (1 x {BATCH})" in run.log
    assert "-o LearningRate.base_lr=0.00212132" in run.log


def test_training_changed_the_weights_and_kept_the_average_apart(trained):
    import paddle

    root = str(trained[0] / "output" / "tiny" / "model_final")
    averaged, raw = paddle.load(root + ".pdparams"), paddle.load(root + ".pdema")
    assert averaged.keys() == raw.keys()
    changed = [key for key in raw if not np.array_equal(np.asarray(raw[key]), np.asarray(averaged[key]))]
    assert len(changed) > 0.9 * len(raw)
    assert all(np.isfinite(np.asarray(value)).all() for value in raw.values())


@pytest.mark.smoke
def test_evaluation_finds_what_training_found(trained):
    folder, _ = trained
    assert not (folder / "bbox.json").exists()  # an evaluation in training writes beside the checkpoints
    run = tool("eval", "-c", "tiny.yml", "--classwise", "-o", WEIGHTS, folder=folder)
    assert run.status == 0, run.log[-3000:]
    assert f"Total sample number: {VAL}" in run.log
    found = next(line for line in run.out.splitlines() if "IoU=0.50:0.95 | area=   all | maxDets=100" in line)
    assert float(found.split("=")[-1]) == pytest.approx(history(folder / "output")[-1]["ap"], abs=1e-3)
    boxes = json.loads((folder / "bbox.json").read_text())
    assert boxes and {box["image_id"] for box in boxes} <= set(range(1, VAL + 1))
    assert all(1 <= box["category_id"] <= 10 for box in boxes)
    # The boxes again, without the model.
    again = tool("eval", "-c", "tiny.yml", "--json_eval", "-o", WEIGHTS, folder=folder)
    assert again.status == 0 and found in again.out, again.log[-3000:]


@pytest.mark.smoke
def test_prediction_writes_pictures_and_boxes(trained):
    folder, _ = trained
    flags = ["--infer_dir", "demo/images/val", "--output_dir", "pictures", "--draw_threshold", "0.001"]
    run = tool("infer", "-c", "tiny.yml", *flags, "--save_results", "true", "-o", WEIGHTS, folder=folder)
    assert run.status == 0, run.log[-3000:]
    for path in (folder / "demo" / "images" / "val").iterdir():
        before, after = cv2.imread(str(path)), cv2.imread(str(folder / "pictures" / path.name))
        assert after.shape == before.shape == (SIZE, SIZE, 3)
        assert (cv2.absdiff(before, after) > 64).any(), "nothing is drawn"
    assert json.loads((folder / "pictures" / "bbox.json").read_text())


def test_resuming_goes_on_where_the_run_ended(trained, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(trained[0], folder)
    run = tool("train", "-c", "tiny.yml", "-r", "output/tiny/model_final", "-o", "epoch=2", folder=folder)
    assert run.status == 0, run.log[-3000:]
    records = history(folder / "output")
    assert records[:3] == history(trained[0] / "output")  # kept
    assert [record["epoch"] for record in records] == [0, 0, 0, 1, 1]
    assert records[3]["lr"] > records[1]["lr"]  # the warm-up goes on
    assert records[3]["loss"] == pytest.approx(records[1]["loss"], rel=0.5)


def test_a_typo_is_one_line_and_status_2(trained):
    run = tool("train", "-c", "tiny.yml", "-o", "ETHead.reg_mxa=3", folder=trained[0])
    assert run.status == 2
    said = "ppdet-ext train: tiny.yml: ETHead has no option 'reg_mxa'; did you mean 'reg_max'?"
    assert the_one_line(run.err) == said


@pytest.mark.parametrize(
    "override, words",
    [
        ("eopch=1", "did you mean 'epoch'?"),
        ("epoch=many", "epoch is 'many'; give a whole number"),
        ("use_gpu=true", "this PaddlePaddle is built for the CPU"),
        ("TrainDataset.dataset_dir=nowhere", "nowhere"),
        ("TrainReader.batch_size=64", f"demo/annotations/train.json: {TRAIN} images make no step of 1 x 64"),
        ("num_classes=9", "10 classes, but num_classes is 9; set num_classes: 10"),
        ("pretrain_weights=nowhere", "nowhere.pdparams: no such checkpoint"),
        ("ETHead.fpn_strides=[8,16,32]", "level 0 comes with stride 32 but fpn_strides says 8"),
    ],
)
def test_training_turns_bad_input_down(workplace, override, words):
    assert words in workplace("train", "-c", "tiny.yml", "-o", "save_dir=refused", override)
    assert not os.path.exists("refused")


@pytest.mark.parametrize("verb", ["train", "eval", "infer"])
def test_a_checkpoint_of_another_model_is_turned_down(workplace, verb):
    narrow = ["-o", "width_mult=0.125", WEIGHTS, "save_dir=refused"]
    options = {"train": ["-r", "output/tiny/model_final"], "infer": ["--infer_dir", "demo/images/val"]}
    line = workplace(verb, "-c", "tiny.yml", *options.get(verb, []), *narrow)
    assert "output/tiny/model_final" in line and "have another shape" in line


def test_resuming_without_the_optimiser_or_past_the_end_is_said(workplace, caplog, tmp_path):
    weights = str(tmp_path / "alone.pdparams")
    shutil.copy("output/tiny/model_final.pdparams", weights)
    flags = ["-c", "tiny.yml", "-o", f"save_dir={tmp_path}", "TrainReader.batch_size=16"]
    assert main(["train", "-r", weights, *flags]) == 0
    assert "alone.pdopt is missing" in caplog.text
    assert main(["train", "-r", "output/tiny/model_final", *flags]) == 0
    assert "its run is complete (1 of 1 epochs)" in caplog.text


def test_prediction_turns_bad_input_down(workplace, tmp_path):
    assert "name an image" in workplace("infer", "-c", "tiny.yml", "-o", WEIGHTS)
    line = workplace("infer", "-c", "tiny.yml", "--infer_dir", str(tmp_path), "-o", WEIGHTS)
    assert str(tmp_path) in line and "no images" in line
    (tmp_path / "text.jpg").write_text("hello")
    line = workplace("infer", "-c", "tiny.yml", "--infer_dir", str(tmp_path), "-o", WEIGHTS)
    assert "text.jpg: not a picture" in line
    missing = str(tmp_path / "none.jpg")
    assert missing in workplace("infer", "-c", "tiny.yml", "--infer_img", missing, "-o", WEIGHTS)
    assert "no such checkpoint" in workplace("eval", "-c", "tiny.yml", "-o", "weights=none")


def test_sliced_evaluation_of_a_dataset_that_is_not_sliced_is_turned_down(workplace):
    said = workplace("eval", "-c", "tiny.yml", "-o", WEIGHTS, "--slice_infer")
    assert "EvalDataset is a COCODataSet, which cuts nothing; give it name: SlicedCOCODataSet" in said


def test_a_slim_config_runs_no_code(workplace, tmp_path):
    slim = tmp_path / "slim.yml"
    slim.write_text(f"slim: QAT\nx: !!python/object/apply:os.system ['touch {tmp_path}/proof']\n")
    assert f"{slim}:2: the tag" in workplace("train", "-c", "tiny.yml", "--slim_config", str(slim))
    assert not (tmp_path / "proof").exists()


def test_an_image_that_is_broken_ends_training_instead_of_stopping_it(trained, tmp_path):
    """Paddle 2.6 waits forever for a reader without workers that died."""
    folder = tmp_path / "copy"
    shutil.copytree(trained[0], folder)
    for path in sorted((folder / "demo" / "images" / "train").iterdir())[1:]:
        path.write_text("no picture")
    code = "import sys; from ppdet_ext.cli import main; sys.exit(main(['train', '-c', 'tiny.yml']))"
    run = run_python(["-c", code], folder, timeout=60, env={"PYTHONPATH": str(ROOT)})
    line = run.err.splitlines()[-1]
    assert run.status == 2 and "demo/images/train/0000" in line and "is not an image" in line


def test_images_without_a_box_train(workplace, tmp_path):
    """Batches of nothing but background, first with the static assigner, then with the task-aligned one."""
    with open("demo/annotations/train.json", encoding="utf-8") as file:
        annotations = json.load(file)
    annotations["annotations"] = annotations["annotations"][:1]
    path = tmp_path / "bare.json"
    path.write_text(json.dumps(annotations))
    overrides = [f"TrainDataset.anno_path={path}", f"save_dir={tmp_path}", "epoch=2", "use_ema=false"]
    assert main(["train", "-c", "tiny.yml", "-o", *overrides]) == 0
    records = history(tmp_path)
    assert len(records) == 4 and all(math.isfinite(record["loss"]) for record in records)
    # One image of sixteen has a box: in each epoch one batch of the two has none.
    assert sum(record["loss_iou"] == 0 for record in records) >= 1


@pytest.mark.parametrize("name", ["train", "eval", "infer", "export_model"])
def test_help_is_quick_and_imports_no_paddle(name):
    code = (
        "import runpy, sys\n"
        f"sys.argv = ['{name}.py', '--help']\n"
        "try:\n"
        f"    runpy.run_path(r'{ROOT / 'tools' / (name + '.py')}', run_name='__main__')\n"
        "except SystemExit as end:\n"
        "    print(end.code, 'paddle' in sys.modules)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert run.stdout.splitlines()[-1] == "0 False", run.stderr
    assert "--config" in run.stdout and "--opt" in run.stdout
