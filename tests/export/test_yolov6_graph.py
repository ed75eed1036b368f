"""The deployed ONNX graphs of YOLOv6: every op is accounted for."""

from collections import Counter

import onnx
import pytest

from ppdet_ext.export import export_model

from ..modeling.steady import steady
from ..nn.reference import random_input
from .test_exporter import random_detector

SIDE = 64
HEAD = "EfficientRepHead"
LEVELS = 3
# Repeats at depth 0.33: the backbone's stages, each after a block of stride 2, and the neck's four stages.
STAGES, NECK_BLOCKS = (2, 4, 6, 2), 4 * 4
BACKBONE_BLOCKS = 1 + sum(1 + blocks for blocks in STAGES)
CSPSPPF, SPPF, BI_FUSION = 7, 2, 4  # convolutions in each
REDUCE = DOWN = 2
HEAD_ACTIVATED = 3 * LEVELS  # a stem and a block for each of the two branches

# After the last maps: classes and boxes of each level to rows and joined, the sigmoid of the scores; centre
# minus and plus distances, times strides.
DECODE = Counter(Reshape=2 * LEVELS, Concat=2 + 1, Sigmoid=1, Transpose=1, Split=1, Sub=1, Add=1, Mul=1)
# With 17 bins: each side's apart, their softmax, the projection (a 1x1 convolution), together again.
BINS = Counter(Reshape=2, Transpose=1, Softmax=1, Conv=1)


def network(relu, silu, concat):
    """Convolutions with an activation, those that predict, and what joins and pools them."""
    return Counter(
        Conv=relu + silu + 2 * LEVELS,
        Relu=relu,
        Sigmoid=silu,
        Mul=silu,
        ConvTranspose=2,
        MaxPool=3,
        Concat=concat,
    )


N = (
    network(
        BACKBONE_BLOCKS + CSPSPPF + NECK_BLOCKS + REDUCE + DOWN + 2 * BI_FUSION,
        HEAD_ACTIVATED,
        concat=2 + 2 + 2,  # CSPSPPF; BiFusion; the way up
    )
    + DECODE
)

# Stages of BepC3, at the least depth: a BottleRep of two blocks, whose weighted shortcut is a Mul and an Add,
# three 1x1 and a concatenation.
BEP, BEPS = Counter(Mul=1, Add=1, Concat=1), 4 + 4
SHALLOW = {"width_mult": 0.1875, "depth_mult": 0.1}
STAGED, UNSTAGED = 1 + 4 + SPPF + BEPS * (2 + 3), REDUCE + DOWN + 2 * BI_FUSION


def csp(relu, silu):
    beps = Counter({kind: BEPS * count for kind, count in BEP.items()})
    return network(relu, silu + HEAD_ACTIVATED, concat=1 + 2 + 2) + DECODE + BINS + beps


NARROW = {"width_mult": 0.125}
GRAPHS = {
    "n": ("yolov6_n_coco", NARROW, N),
    "s": ("yolov6_s_coco", {}, N),
    "n, direct": ("yolov6_n_coco", {HEAD: {"reg_max": 16, "direct_boxes": True}, **NARROW}, N),
    "m": ("yolov6_m_coco", SHALLOW, csp(STAGED + UNSTAGED, 0)),
    # The stages of l are SiLU, what is between those of its neck is ReLU.
    "l": ("yolov6_l_coco", SHALLOW, csp(UNSTAGED, STAGED)),
}


@pytest.mark.parametrize(
    "name", ["n", *(pytest.param(name, marks=pytest.mark.slow) for name in GRAPHS if name != "n")]
)
@pytest.mark.smoke
def test_ops_of_the_deployed_graph(tmp_path, name):
    """And, as in every export, its answers are those of the model as trained."""
    config, overrides, expected = GRAPHS[name]
    cfg, model = random_detector({"num_classes": 10, **overrides}, config=f"configs/yolov6/{config}.yml")
    steady(model, random_input(1, 3, 2 * SIDE, 2 * SIDE))
    report = export_model(cfg, model, str(tmp_path), ["onnx"], [SIDE, SIDE], 1, say=lambda line: None)
    assert report["onnx"]["max_error"] < 1e-4
    graph = onnx.load(str(tmp_path / "model.onnx")).graph
    assert Counter(node.op_type for node in graph.node) == expected
    used = {name for node in graph.node for name in node.input}
    assert {tensor.name for tensor in graph.initializer} <= used, "an initializer is dead"
    boxes, scores = ([d.dim_value for d in port.type.tensor_type.shape.dim] for port in graph.output)
    cells = sum((SIDE // stride) ** 2 for stride in (32, 16, 8))
    assert (boxes, scores) == ([1, cells, 4], [1, 10, cells])
