"""The demo from its command, as small as it goes: every promised file is there and says what it should."""

import json
import subprocess
import sys

import cv2
import pytest


@pytest.mark.slow
def test_demo_leaves_a_model_a_report_and_pictures(tmp_path):
    output, data = tmp_path / "demo", tmp_path / "data"
    overrides = ["demo_data={size: 96, train: 32, val: 8}", "epoch=4", "snapshot_epoch=4", "log_iter=1"]
    for section in ("TrainDataset", "EvalDataset", "TestDataset"):
        overrides.append(f"{section}.dataset_dir={data}")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "ppdet_ext.cli",
            "demo",
            "--output",
            str(output),
            "--processes",
            "2",
            "-o",
            *overrides,
        ],
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    report = json.loads((output / "report.json").read_text())
    assert 0 <= report["ap"] <= report["ap50"] <= 1 and report["images"] == 8
    assert abs(report["training_form"]["ap"] - report["ap"]) < 0.002, "deployed and training form disagree"
    assert report["export"]["onnx"]["max_error"] < 1e-4
    for name in ("model.onnx", "model.pdiparams", "infer_cfg.yml"):
        assert (output / "exported" / name).stat().st_size > 0
    for name in ("predictions.png", "curves.png"):
        picture = cv2.imread(str(output / name))
        assert picture is not None and picture.std() > 5
    predicted = subprocess.run(
        [
            sys.executable,
            "-m",
            "ppdet_ext.cli",
            "predict",
            "--model",
            str(output / "exported"),
            str(data / "images" / "val"),
            "--output",
            str(tmp_path / "pictures"),
        ],
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert predicted.returncode == 0, predicted.stderr
    assert len(list((tmp_path / "pictures").glob("*.jpg"))) == 8


def test_demo_outside_the_repository_says_so(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "ppdet_ext.cli", "demo"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 2 and "run the demo from the root of the repository" in done.stderr
