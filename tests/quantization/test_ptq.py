"""`ppdet-ext quantize ptq` from a checkpoint to a proven folder, and what it turns down."""

import json
import logging
import os
import shutil

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import cv2
import numpy as np
import onnx
import paddle
import pytest
from onnx import numpy_helper
from ppdet.core.workspace import create

from ppdet_ext.cli import main
from ppdet_ext.compat import quantizes
from ppdet_ext.config import load_config
from ppdet_ext.export.onnx_ranges import QuantizedGraph
from ppdet_ext.quantization import ptq, quantizers
from ppdet_ext.quantization.qat import DetectorQAT
from tests.quantization.tiny_int8 import make_pixels, prepare
from tests.training.tiny import ROOT

PTQ = ["quantize", "ptq", "-c", "tiny.yml"]
WEIGHTS = ["-o", "weights=float"]
ALL = 82  # convolutions of the deployed nano network that are quantised
STEM = "backbone.stem.conv1.conv"
needs_slim = pytest.mark.skipif(not quantizes(), reason="PaddleSlim quantises with Paddle 2.6 only")


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    return prepare(tmp_path_factory.mktemp("ptq"))


@pytest.fixture
def here(workplace, monkeypatch):
    """The workplace as the current folder, which gets nothing but what a test names."""
    monkeypatch.chdir(workplace)
    return workplace


def float_convolutions(graph):
    """Names of the weights of the convolutions that an ONNX graph computes in float."""
    return [n.input[1] for n in graph.node if n.op_type == "Conv" and not n.input[1].endswith(".dequantized")]


@pytest.fixture(scope="module")
def exported(workplace):
    """A run whose budget three float layers keep: its folder, and how many were float when AP was asked."""
    if not quantizes():
        pytest.skip("PaddleSlim quantises with Paddle 2.6 only")
    asked = []

    def score(detector, anno_file, image_dir):
        graph = onnx.load(str(detector.backend.file)).graph
        # Float anyway: the first, and the mean of the distribution.
        count = len(float_convolutions(graph)) - 2
        asked.append(count)
        return {"ap": 0.6 - (0.01 * max(0, 3 - count) if count < ALL else 0)}

    honest = quantizers.rank_layers

    def rank(quantized, images, levels):
        few = sorted(quantized.weights)[::10]
        return honest(
            QuantizedGraph(quantized.model, quantized.ranges, set(few), quantized.maps), images[:2], levels
        )

    folder = workplace / "out" / "int8"
    folder.mkdir(parents=True)
    (folder / "model.engine").write_text("of an earlier export")
    (folder / "notes.txt").write_text("mine")
    before = sorted(os.listdir(workplace))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(workplace)
        patch.setattr(ptq, "evaluate", score)
        patch.setattr(quantizers, "rank_layers", rank)
        targets = ["--to", "onnx", "openvino", "tensorrt", "--output", str(folder)]
        assert main([*PTQ, *WEIGHTS, "--images", "4", "--max-drop", "0.5", *targets]) == 0
    assert paddle.in_dynamic_mode()
    assert sorted(os.listdir(workplace)) == before and os.listdir(folder.parent) == ["int8"]
    return folder, asked


def test_files(exported):
    folder, _ = exported
    assert sorted(os.listdir(folder)) == [
        "export.json",
        "infer_cfg.yml",
        "model.bin",
        "model.onnx",
        "model.pdiparams",
        "model.pdmodel",
        "model.xml",
        "model_trt.onnx",
        "notes.txt",
        "quantization.png",
    ]
    picture = cv2.imread(str(folder / "quantization.png"))
    orange = np.abs(picture.astype(int) - (0x00, 0x5E, 0xD5)).max(2) < 3
    assert np.ptp(picture) > 200 and orange.sum() > 500, "the layers that stay float"
    assert (folder / "model.bin").stat().st_size < 3e6 and (folder / "model.onnx").stat().st_size < 3e6


def test_the_account(exported):
    folder, asked = exported
    manifest = json.loads((folder / "export.json").read_text())
    assert set(manifest["files"]) == {"paddle", "onnx", "openvino", "tensorrt"}
    assert {entry["precision"] for entry in manifest["files"].values()} == {"int8"}
    for target in ("paddle", "onnx"):
        assert 1e-4 < manifest["files"][target]["max_error"] < 1
    account = manifest["quantization"]
    assert asked == [ALL, 0, 1, 2, 4, 3], "the float model, then as few float layers as keep the budget"
    assert account["ap_drop"] == pytest.approx(0) and account["max_drop"] == 0.5
    assert account["method"] == "hist" and account["calibration_images"] == 4
    ranked = [entry["layer"] for entry in account["ranking"]]
    errors = [entry["error"] for entry in account["ranking"]]
    assert errors == sorted(errors, reverse=True) and len(ranked) == 9
    assert account["float_layers"] == sorted([STEM, *ranked[:3]]) and STEM not in ranked
    assert all(name.startswith(("backbone.", "neck.", "yolo_head.")) for name in ranked)


@pytest.mark.parametrize("file", ["model.onnx", "model_trt.onnx"])
def test_the_layers_that_stay_float_do(exported, file):
    graph = onnx.load(str(exported[0] / file)).graph
    found = float_convolutions(graph)
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    assert len(found) == 3 + 2 and {(8, 3, 3, 3), (1, 17, 1, 1)} <= {shapes[name] for name in found}


def verify(folder, *more):
    return main(["verify", "--model", str(folder), "-c", "tiny.yml", "--compared", "2", *more])


@needs_slim
def test_verification(exported, here, tmp_path, capsys):
    arguments = ["--backends", "onnxruntime", *WEIGHTS]
    assert verify(exported[0], *arguments) == 0
    row = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("onnxruntime"))
    assert "int8" in row and row.rstrip().endswith("pass")
    # The levels of the class logits, which are below zero, a thousand times as far apart.
    copy = shutil.copytree(exported[0], tmp_path / "copy")
    model = onnx.load(str(copy / "model.onnx"))
    channels = {
        f"{t.name[: -len('quantized')]}dequantized": t.dims[0] for t in model.graph.initializer if t.dims
    }
    convs = [node for node in model.graph.node if node.op_type == "Conv"]
    classes = [node for node in convs if channels.get(node.input[1]) == 10]
    assert len(classes) == 3
    for node in classes:
        name = f"{node.output[0]}.scale"
        scale = next(t for t in model.graph.initializer if t.name == name)
        wrecked = numpy_helper.from_array(np.float32(1000 * numpy_helper.to_array(scale)), f"{name}.wrecked")
        model.graph.initializer.append(wrecked)
        for reader in model.graph.node:
            if reader.op_type == "DequantizeLinear" and reader.input[1] == name:
                reader.input[1] = f"{name}.wrecked"
    onnx.save(model, str(copy / "model.onnx"))
    assert verify(copy, *arguments) == 1
    assert "onnxruntime: FAIL: detects nothing" in capsys.readouterr().out


@pytest.fixture
def refused(here, monkeypatch, capfd):
    """`refused(*argv)`: the one line with which the command turns bad input down."""
    monkeypatch.setattr(logging, "raiseExceptions", False)
    kept = here / "kept"
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir()
    (kept / "model.onnx").write_text("of an earlier run")

    def run(*argv):
        capfd.readouterr()
        assert main([*PTQ, "--output", "kept", *argv]) == 2
        lines = [line for line in capfd.readouterr().err.splitlines() if line.startswith("ppdet-ext")]
        assert len(lines) == 1 and lines[0].startswith("ppdet-ext quantize: ")
        assert os.listdir("kept") == ["model.onnx"] and not os.path.exists("kept.partial")
        assert (kept / "model.onnx").read_text() == "of an earlier run"
        return lines[0]

    return run


@needs_slim
@pytest.mark.parametrize(
    "arguments, options, words",
    [
        (["--calibration", "nowhere"], [], "nowhere"),
        (["--calibration", "nowhere.json"], [], "nowhere.json"),
        (["--images", "0"], [], "--images is 0"),
        (["--float-layers", "yolo_head.pred_rge.0"], [], "did you mean 'yolo_head.pred_reg.0'?"),
        (["--float-layers", "*"], [], "no convolution is left to quantise"),
        (["--max-drop", "-1"], [], "--max-drop is -1.0; give points of AP from 0 up"),
        (["--size", "-1", "-1"], [], "a quantised model has one size; give --size H W"),
        (["--size", "60", "64"], [], "multiple of the coarsest stride, 32"),
        (["--slim_config", "tiny_qat.yml"], [], "is quantised in training"),
        (
            ["--max-drop", "1"],
            ["EvalDataset.dataset_dir=gone"],
            "EvalDataset.dataset_dir gone: no such folder",
        ),
        ([], ["TrainDataset.dataset_dir=gone"], "TrainDataset.dataset_dir gone: no such folder"),
        (["--to", "onxx"], [], "did you mean 'onnx'?"),
        (["--opset", "12"], [], "opset 12: the graph needs 13"),
        ([], ["weights=nowhere"], "nowhere"),
    ],
)
def test_bad_input(refused, arguments, options, words):
    assert words in refused(*arguments, *WEIGHTS, *options)


@pytest.mark.skipif(quantizes(), reason="this Paddle quantises")
def test_paddle_3_is_refused(refused):
    assert "PaddleSlim quantises models of Paddle 2.6" in refused("--images", "4", *WEIGHTS)


@needs_slim
def test_a_network_of_quantisation_aware_training(here, capsys):
    """Through `ppdet-ext export`, with its own ranges; ranges of what is between are measured."""
    slim = f"_BASE_: ['{ROOT}/configs/slim/qat/ppyoloe_qat.yml']\nslim: DetectorQAT\n"
    (here / "tiny_qat.yml").write_text(slim)
    model = create(load_config("tiny.yml").architecture)
    model.set_state_dict(paddle.load("float.pdparams"))
    DetectorQAT()(model)
    pixels = paddle.to_tensor(make_pixels("demo/images/train"))
    model.train()
    with paddle.no_grad():
        for _ in range(40):  # a moving average, which starts at 1
            model.yolo_head.predict_levels(model.neck(model.backbone({"image": pixels})))
    paddle.save(model.state_dict(), "qat.pdparams")
    slim = ["--slim_config", "tiny_qat.yml"]
    assert (
        main(["export", "-c", "tiny.yml", *slim, "--to", "onnx", "--output", "qat", "-o", "weights=qat"]) == 0
    )
    manifest = json.loads((here / "qat" / "export.json").read_text())
    assert {entry["precision"] for entry in manifest["files"].values()} == {"int8"}
    assert manifest["quantization"]["by"] == "PaddleSlim, in training"
    assert manifest["quantization"]["calibration_images"] == 16
    graph = onnx.load(str(here / "qat" / "model.onnx")).graph
    assert len(float_convolutions(graph)) == 2
    # The range of what the first quantised convolution reads is the trained one.
    trained = float(model.backbone.stem.conv2.conv._fake_quant_input._scale)
    scales = [
        float(numpy_helper.to_array(t)) for t in graph.initializer if t.name.endswith(".scale") and not t.dims
    ]
    assert min(abs(scale * 255 / trained - 1) for scale in scales) < 1e-3
    capsys.readouterr()
    assert verify("qat", *slim, "--backends", "onnxruntime", "-o", "weights=qat") == 0
    assert "int8" in capsys.readouterr().out
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logging, "raiseExceptions", False)
        command = ["export", "-c", "tiny.yml", *slim, "--output", "no"]
        assert main([*command, "--nms", "-o", "weights=qat"]) == 2
        assert "--nms and --fp16 are for float models" in capsys.readouterr().err
        assert main([*command, "--size", "-1", "-1", "-o", "weights=qat"]) == 2
        assert "a quantised model has one size" in capsys.readouterr().err
    assert not os.path.exists("no")
