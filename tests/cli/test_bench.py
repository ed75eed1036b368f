import json
import subprocess
import sys

import numpy as np
import pytest

from ppdet_ext.cli import main
from ppdet_ext.evaluation.bench.table import bench_table
from ppdet_ext.runtime.backends import MODELS

from ..runtime.tiny_model import write_folder

QUICK = ["--rounds", "2", "--steps", "1", "--warmup", "1", "--threads", "1"]


def test_report_table_and_plot(model, tmp_path, capfd):
    file = tmp_path / "new" / "bench.json"
    arguments = ["--backends", "onnxruntime", "openvino", "--batch", "1", "2", *QUICK, "--json", str(file)]
    assert main(["bench", "--model", model, *arguments]) == 0
    report = json.loads(file.read_text(encoding="utf-8"))
    said = capfd.readouterr()
    assert said.out == bench_table(report) + "\n" and said.err == ""
    assert said.out.count("openvino") == said.out.count("onnxruntime") == 2
    assert [row["batch"] for row in report["rows"]] == [1, 1, 2, 2]
    assert sorted(path.name for path in file.parent.iterdir()) == ["bench.json", "bench.png"]


def test_images_and_plot_of_the_user(model, tmp_path):
    import cv2

    images, plot = tmp_path / "in", tmp_path / "plot.png"
    images.mkdir()
    for name in ("a.png", "b.jpg", "c.png"):
        cv2.imwrite(str(images / name), np.full((64, 128, 3), 255, np.uint8))
    arguments = ["--backends", "onnxruntime", "--images", str(images), "--plot", str(plot), *QUICK]
    assert main(["bench", "--model", model, *arguments, "--json", str(tmp_path / "a.json")]) == 0
    report = json.loads((tmp_path / "a.json").read_text())
    assert report["images"] == {"source": str(images), "count": 3}
    assert plot.is_file() and not (tmp_path / "a.png").exists()


def test_the_device_reaches_the_engines(tmp_path, capsys):
    """One that does not run there is not measured, and says why."""
    folder = write_folder(tmp_path / "lite")
    (folder / MODELS["paddle_lite"][0]).touch()
    arguments = ["--backends", "paddle_lite", "--device", "gpu", *QUICK, "--json", str(tmp_path / "a.json")]
    assert main(["bench", "--model", str(folder), *arguments]) == 2
    (row,) = json.loads((tmp_path / "a.json").read_text())["rows"]
    assert (row["status"], row["device"]) == ("not measured", "gpu") and "paddle" in row["reason"]
    arguments[1], arguments[3] = "onnxruntime", "cpu"
    assert main(["bench", "--model", str(folder), *arguments]) == 0
    (row,) = json.loads((tmp_path / "a.json").read_text())["rows"]
    assert (row["status"], row["device"]) == ("measured", "cpu")


@pytest.mark.parametrize("batches, status", [(["2", "1"], 1), (["1"], 2)])
def test_status_says_what_was_not_measured(tmp_path, capsys, batches, status):
    folder = str(write_folder(tmp_path / "fixed", batch_size=2))
    arguments = ["--backends", "onnxruntime", "--batch", *batches, *QUICK, "--json", str(tmp_path / "a.json")]
    assert main(["bench", "--model", folder, *arguments]) == status
    name = "onnxruntime, batch 1" if len(batches) > 1 else "onnxruntime"
    assert f"{name}  not measured: {folder}: takes batches of 2 only" in capsys.readouterr().out
    assert json.loads((tmp_path / "a.json").read_text())["rows"][-1]["status"] == "not measured"


@pytest.mark.parametrize(
    "options, message",
    [
        (["--backends", "onnx"], "did you mean 'onnxruntime'"),
        (["--device", "tpu"], "device 'tpu' is not known"),
        (["--sizes", "320"], "takes 32x64 only, not 320; export it"),
        (["--batch", "0"], "batch size 0: give 1 or more"),
        (["--threads", "0"], "threads is 0; give a number above 0"),
        (["--images", "nowhere"], "nowhere: no such file or folder"),
        (["-o", "weights=a.pdparams"], "-o changes a config, and --model has none"),
        (["--model", "bare"], "bare: has no infer_cfg.yml"),
    ],
)
def test_what_cannot_work_ends_with_2(model, tmp_path, monkeypatch, capsys, options, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bare").mkdir()
    assert main(["bench", "--model", model, *options]) == 2
    error = capsys.readouterr().err
    assert error.startswith("ppdet-ext bench: ") and message in error and error.count("\n") == 1
    assert not (tmp_path / "output").exists()


def test_a_config_is_exported_once_a_size(tmp_path):
    """In a process of its own, as a user runs it: Paddle and its exporters print from C++ too."""
    command = [sys.executable, "-m", "ppdet_ext.cli", "bench", "-c", "configs/demo/ppyoloe_nano_demo.yml"]
    command += ["-o", f"weights={tmp_path / 'random.pdparams'}", "norm_type=bn"]
    command += ["TestDataset.dataset_dir=null", "TestDataset.anno_path=tests/export/labels.txt"]
    command += ["--sizes", "64", "96", "--backends", "onnxruntime", *QUICK]
    command += ["--json", str(tmp_path / "bench.json")]
    _save_weights(tmp_path / "random.pdparams")
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "bench.json").read_text())
    assert done.stdout == bench_table(report) + "\n"
    assert report["model"] == "configs/demo/ppyoloe_nano_demo.yml"
    assert [row["size"] for row in report["rows"]] == [[64, 64], [96, 96]]
    assert all(row["precision"] == "fp32" and row["model_mib"] > 0.5 for row in report["rows"])


def _save_weights(file):
    import paddle
    from ppdet.core.workspace import create

    from ppdet_ext.config import load_config

    cfg = load_config("configs/demo/ppyoloe_nano_demo.yml", {"norm_type": "bn"})
    paddle.save(create(cfg.architecture).state_dict(), str(file))
