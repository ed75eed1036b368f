"""The deployed ONNX graphs hold nothing that a fixed size makes needless: their ops are counted."""

from collections import Counter

import numpy as np
import onnx
import onnxruntime
import paddle
import pytest

from ppdet_ext.export import export_model
from ppdet_ext.export.graph import RawGraph

from .test_exporter import random_detector

# PP-YOLOE of depth 0.33, counted from its structure.
BLOCKS = 1 + 2 + 2 + 1 + 5  # of two convolutions: in the backbone's stages, and one in each of the neck's
NECK_STAGES, STAGES, LEVELS = 5, 4, 3
# Convolutions with an activation: the stem; down, two ways in and out of a stage; blocks; a neck stage's two
# ways in and out; SPP; the neck's routes; the head's stems.
ACTIVATED = 3 + STAGES * 4 + 2 * BLOCKS + NECK_STAGES * 3 + 1 + 4 + 2 * LEVELS
GATES = 2 * LEVELS


def deployed_ops(tmp_path, act, size=None, batch=None):
    overrides = {name: {"act": act} for name in ("CSPRepResNet", "CSPRepPAN", "ETHead")}
    cfg, model = random_detector(overrides)
    export_model(cfg, model, str(tmp_path), ["onnx"], size, batch, say=lambda line: None)
    graph = onnx.load(str(tmp_path / "model.onnx")).graph
    used = {name for node in graph.node for name in node.input} | {port.name for port in graph.output}
    for node in graph.node:
        assert used & set(node.output), f"{node.op_type} {node.name} is dead"
    assert {tensor.name for tensor in graph.initializer} <= used, "an initializer is dead"
    return Counter(node.op_type for node in graph.node)


@pytest.mark.parametrize("act", ["relu", "swish"])
@pytest.mark.parametrize("batch", [None, 1])
def test_ops_of_a_fixed_size(tmp_path, act, batch):
    ops = deployed_ops(tmp_path, act, batch=batch)
    swish = ACTIVATED if act == "swish" else 0
    expected = {
        "Conv": ACTIVATED + STAGES + GATES + 2 * LEVELS + 1,
        "Sigmoid": GATES + 1 + swish,
        "Mul": STAGES + GATES + 1 + swish,
        "Relu": ACTIVATED - swish,
        "HardSigmoid": STAGES,
        "GlobalAveragePool": STAGES + LEVELS,
        "MaxPool": 3,
        "Resize": 2,
        # stages; neck stages, their joins with a finer or coarser level, SPP; levels twice; boxes
        "Concat": STAGES + NECK_STAGES + 4 + 1 + 2 + 1,
        # residual sums of the backbone; the class branches; the boxes' far corner
        "Add": 1 + 2 + 2 + 1 + LEVELS + 1,
        "Sub": 1,
        "Split": 1,
        "Softmax": 1,
        # each level's two outputs to rows, the bins apart, the distances together
        "Reshape": 2 * LEVELS + 2,
        "Transpose": 2,
    }
    assert ops == {kind: count for kind, count in expected.items() if count}


def test_a_free_size_computes_only_its_shapes(tmp_path):
    ops = deployed_ops(tmp_path, "relu", size=[-1, -1])
    assert ops["Conv"] == ACTIVATED + STAGES + GATES + 2 * LEVELS + 1
    assert not {"BatchNormalization", "Identity", "Dropout", "NonMaxSuppression"} & set(ops)


@pytest.mark.parametrize("size", [None, [-1, -1]])
def test_half_precision_keeps_boxes_whole(tmp_path, size):
    cfg, model = random_detector()
    report = export_model(cfg, model, str(tmp_path), ["onnx"], size, fp16=True, say=lambda line: None)
    assert report["onnx"]["precision"] == "fp16" and report["onnx"]["max_error"] > 1e-5
    graph = onnx.load(str(tmp_path / "model.onnx")).graph
    kernels = {t.name: t.data_type for t in graph.initializer}
    kinds = {kernels[node.input[1]] for node in graph.node if node.op_type == "Conv"}
    assert kinds == {onnx.TensorProto.FLOAT16, onnx.TensorProto.FLOAT}, "the projection alone stays whole"
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"])
    image = np.random.RandomState(5).rand(1, 3, 128, 128).astype("float32")
    boxes, scores = session.run(None, {"image": image})
    with paddle.no_grad():
        expected = [output.numpy() for output in RawGraph(model)(paddle.to_tensor(image))]
    assert boxes.dtype == scores.dtype == np.float32
    np.testing.assert_allclose(boxes, expected[0], atol=0.5)
    np.testing.assert_allclose(scores, expected[1], atol=5e-3)
    # Boxes that went through FP16 would all lie on its grid.
    assert (boxes != boxes.astype(np.float16)).any()
