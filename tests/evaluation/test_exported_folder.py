"""What an exported folder says of itself."""

import json
import subprocess
import sys

import pytest

from ppdet_ext.evaluation.exported_folder import describe_folder, folder_table

from ..runtime.tiny_model import NAMES, write_folder

MIB = 2**20
MANIFEST = {
    "config": "tiny",
    "weights": {"file": "model_final.pdparams", "sha256": "0123456789abcdef" * 4},
    "input": {"batch": None, "size": [32, 64], "normalization": "outside"},
    "outputs": "raw",
    "files": {
        "paddle": {"file": "model.pdmodel", "precision": "fp32", "max_error": 2e-7},
        "onnx": {"file": "model.onnx", "precision": "int8", "max_error": 0.0125},
        "lite_arm": {
            "file": "model_arm.nb",
            "precision": "fp16",
            "max_error": None,
            "not_measured": "runs on arm processors only",
        },
    },
    "versions": {"python": "3.10.13", "paddle": "2.6.2"},
}
QUANTIZATION = {
    "by": "PaddleSlim, after training",
    "method": "hist",
    "calibration_images": 32,
    "weight_levels": 127,
    "float_layers": ["a", "b"],
    "ap_drop": 0.4,
}


@pytest.fixture
def folder(tmp_path):
    folder = write_folder(tmp_path / "exported", fpn_stride=[32, 16, 8])
    (folder / "model.pdmodel").write_bytes(bytes(MIB))
    (folder / "model.pdiparams").write_bytes(bytes(2 * MIB))
    (folder / "model_arm.nb").write_bytes(bytes(10))
    (folder / "quantization.png").write_bytes(bytes(2048))
    write(folder)
    return folder


def write(folder, **changes):
    (folder / "export.json").write_text(json.dumps({**MANIFEST, **changes}))


def test_what_it_holds(folder):
    account = describe_folder(folder)
    models = {model["target"]: model for model in account["models"]}
    assert models["paddle"]["files"] == ["model.pdmodel", "model.pdiparams"]
    assert models["paddle"]["bytes"] == 3 * MIB
    assert models["paddle"]["engines"] == ["paddle_inference", "paddle"]
    assert models["onnx"]["engines"] == ["onnxruntime", "openvino", "tensorrt"]
    assert models["onnx"]["bytes"] == (folder / "model.onnx").stat().st_size
    assert models["lite_arm"]["not_measured"] == "runs on arm processors only"
    assert [other["file"] for other in account["others"]] == [
        "export.json",
        "infer_cfg.yml",
        "quantization.png",
    ]
    assert account["classes"] == NAMES and account["stride"] == 32


def test_as_text(folder):
    write(folder, quantization=QUANTIZATION)
    text = folder_table(describe_folder(folder))
    for line in (
        f"{folder}: tiny with model_final.pdparams (sha256 0123456789ab)",
        "input: 32x64, any batch, normalisation outside the graph",
        "outputs: raw boxes and scores",
        "2 classes: cat, dog",
        "quantised: PaddleSlim, after training, method hist, 32 images to calibrate, weights to +-127, "
        "2 layers left in float, AP lower by 0.40 points",
        "lite_arm: not measured: runs on arm processors only",
    ):
        assert line in text.splitlines()
    words = [" ".join(line.split()) for line in text.splitlines()]
    assert "paddle model.pdmodel model.pdiparams fp32 3.00 2.0e-07 paddle_inference, paddle" in words
    assert "quantization.png (2.0 KiB)" in words[-1]


def test_free_sizes_nms_and_fixed_batches(folder):
    write_folder(folder, outputs="nms", fpn_stride=[64, 32])
    write(folder, input={"batch": 4, "size": [-1, -1], "normalization": "inside"})
    lines = folder_table(describe_folder(folder)).splitlines()
    assert "input: any size in steps of 64, batch 4, normalisation inside the graph" in lines
    assert "outputs: detections, NMS inside the graph" in lines


def test_a_file_that_is_missing_is_told(folder):
    (folder / "model.pdiparams").unlink()
    account = describe_folder(folder)
    assert account["models"][0]["bytes"] is None
    assert "missing" in folder_table(account)


def test_without_a_manifest(folder):
    (folder / "export.json").unlink()
    account = describe_folder(folder)
    assert account["models"] == [] and "model.onnx" in [other["file"] for other in account["others"]]
    assert "no export.json: how these files were made is not told" in folder_table(account)


def test_refusals(folder):
    write(folder, files={"onnx": {"file": "model.onnx"}})
    with pytest.raises(ValueError, match="entry 'onnx' of 'files' lacks 'file' or 'precision'; export"):
        describe_folder(folder)
    with pytest.raises(ValueError, match="no such folder; give the folder that 'ppdet-ext export' made"):
        describe_folder(folder / "none")


def test_paddle_is_not_imported(folder):
    program = (
        "import sys; from ppdet_ext.cli import main; assert main(['info', sys.argv[1]]) == 0; "
        "assert not {'paddle', 'ppdet', 'onnxruntime', 'openvino'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(folder)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
