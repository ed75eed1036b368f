"""Where pairs stand, and what levels they give: hand-made graphs, NumPy and the engines."""

import numpy as np
import pytest
from onnx import TensorProto, helper

from ppdet_ext.export.onnx_qdq import place
from tests.export.qdq_graphs import (
    PAD,
    SHAPE,
    SIDE,
    TARGETS,
    constant,
    kernel,
    node_of,
    pairs,
    quantized,
    run,
)

LIST = np.array([0, 2, -1], np.int64)
SIMPLE = [
    ("Conv", "image w b", "a", PAD),
    ("Relu", "a", "r", {}),
    ("Conv", "r v", "c", {}),
    ("Reshape", "c shape", "out", {}),
]


def simple(known=None, **changes):
    constants = {"w": kernel(0, 4), "b": np.float32([0.5, -1, 0, 2]), "v": kernel(1, 2, 4, 1)}
    constants["shape"] = LIST
    known = {"image": 1.0, "r": 6.0, "a": 7.0, "c": 3.0} if known is None else known
    return quantized(SIMPLE, {**constants, **changes}, known)


@pytest.mark.parametrize(
    "target, expected",
    [
        ("onnx", {"image": (1 / 255, 0), "r": (6 / 255, 0), "c": (6 / 255, 128)}),
        ("openvino", {"image": (1 / 255, 0), "r": (6 / 255, 0)}),
        ("tensorrt", {"image": (1 / 127, 0), "r": (6 / 127, 0)}),
    ],
)
def test_levels_of_activations(target, expected):
    model = place(simple(), target)
    assert pairs(model) == set(expected)
    for name, (scale, zero) in expected.items():
        assert constant(model, f"{name}.scale") == pytest.approx(scale, rel=1e-6)
        found = constant(model, f"{name}.zero")
        assert found == zero and found.dtype == (np.int8 if target == "tensorrt" else np.uint8)


SWISH = [
    ("Conv", "image w b", "a", PAD),
    ("Sigmoid", "a", "s", {}),
    ("Mul", "a s", "r", {}),
    ("Conv", "r v", "c", {}),
    ("Reshape", "c shape", "out", {}),
]


def swish():
    constants = {"w": kernel(0, 4), "b": np.float32([0.5, -1, 0, 2]), "v": kernel(1, 2, 4, 1)}
    return quantized(SWISH, {**constants, "shape": LIST}, {"image": 1.0, "a": 4.0, "r": 3.9, "c": 3.0})


@pytest.mark.parametrize("target", TARGETS)
def test_swish(target):
    """ONNX Runtime computes each of its ops in 8 bits; the others keep it within the convolution."""
    model = place(swish(), target)
    inside = {"a", "s", "c"} if target == "onnx" else set()
    assert pairs(model) == {"image", "r"} | inside
    if target == "tensorrt":
        assert constant(model, "r.scale") == pytest.approx(3.9 / 127)
        return
    scale = (3.9 + 0.2785) / 255
    assert constant(model, "r.scale") == pytest.approx(scale, rel=1e-6)
    assert constant(model, "r.zero") == round(0.2785 / scale)
    assert list(node_of(model, "s").input) == (["a.dequantized"] if inside else ["a"])
    assert list(node_of(model, "r").input) == (["a.dequantized", "s.dequantized"] if inside else ["a", "s"])
    if inside:
        assert constant(model, "s.scale") == pytest.approx(1 / 255) and constant(model, "s.zero") == 0
        assert constant(model, "a.zero") == 128


@pytest.mark.parametrize("levels", [127, 63])
@pytest.mark.parametrize("target", TARGETS)
def test_weights_a_channel(target, levels):
    weight = kernel(2, 4)
    weight[1] = 0
    weight[2] *= 1e-4
    model = place(simple(w=weight, b=np.zeros(4, "float32")), target, weight_levels=levels)
    found, scale = constant(model, "w.quantized"), constant(model, "w.scale")
    assert found.dtype == np.int8 and np.abs(found).max() == levels and (found[1] == 0).all()
    largest = np.abs(weight).max((1, 2, 3))
    assert scale[[0, 2, 3]] == pytest.approx(largest[[0, 2, 3]] / levels, rel=1e-6) and scale[1] > 0
    back = found * scale[:, None, None, None]
    assert (np.abs(back - weight) <= 0.501 * scale[:, None, None, None]).all()
    assert (constant(model, "w.zero") == 0).all() and constant(model, "w.zero").shape == (4,)
    node = node_of(model, "w.dequantized")
    assert helper.get_attribute_value(node.attribute[0]) == 0 and node.attribute[0].name == "axis"
    assert "w" not in {t.name for t in model.graph.initializer}, "the float weight would be shipped, too"


def test_biases_are_integers_of_the_products_scale():
    bias = np.float32([0.5, -1, 0, 2])
    model = place(simple(b=bias), "onnx")
    scale = constant(model, "w.scale") * constant(model, "image.scale")
    found = constant(model, "a.bias.quantized")
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, np.rint(bias.astype("float64") / scale))
    np.testing.assert_allclose(constant(model, "a.bias.scale"), scale, rtol=1e-6)
    assert list(node_of(model, "a").input) == ["image.dequantized", "w.dequantized", "a.bias.dequantized"]
    for target in ("openvino", "tensorrt"):
        assert node_of(place(simple(b=bias), target), "a").input[2] == "b"


@pytest.mark.parametrize("tiny", [1e-12, 1e-37, 1e-44])
@pytest.mark.parametrize("target", TARGETS)
def test_a_silenced_channel_keeps_its_bias(target, tiny):
    """BatchNorm's factor is next to nothing and its shift is not: the bias has to fit into 32 bits."""
    weight, bias = kernel(0, 4), np.float32([0.5, -1, 0, 2])
    weight[[1, 3]] = tiny
    graph = simple(w=weight, b=bias)
    graph.model.graph.output.append(helper.make_tensor_value_info("r", TensorProto.FLOAT, SHAPE))
    image = np.random.default_rng(0).random([1, 3, SIDE, SIDE], "float32")
    exact, found = run(graph.model, image)[1], run(place(graph, target), image)[1]
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, exact, atol=6 / 127 / 2 + 0.05)
    assert np.abs(exact[:, 3] - 2).max() < 1e-6 and np.abs(found[:, 3] - 2).max() < 6 / 127


@pytest.mark.parametrize("target", TARGETS)
def test_constants_that_two_convolutions_share(target):
    """Equal weights and biases are one constant after simplification; the inputs have other scales."""
    nodes = [
        ("Conv", "image w b", "a", PAD),
        ("Relu", "a", "r", {}),
        ("Conv", "r w b", "c", PAD),
        ("Relu", "c", "q", {}),
        ("Conv", "q w", "out", PAD),
    ]
    constants = {"w": kernel(0, 3), "b": np.float32([0.5, -1, 2])}
    graph = quantized(nodes, constants, {"image": 1.0, "r": 3.0, "q": 5.0})
    model = place(graph, target)
    assert [node.op_type for node in model.graph.node].count("DequantizeLinear") == 4 + 2 * (target == "onnx")
    if target == "onnx":
        for bias, source in (("a", "image"), ("c", "r")):
            scale = constant(model, "w.scale") * constant(model, f"{source}.scale")
            expected = np.rint(constants["b"].astype("float64") / scale)
            np.testing.assert_array_equal(constant(model, f"{bias}.bias.quantized"), expected)
    image = np.random.default_rng(0).random([2, 3, SIDE, SIDE], "float32")
    (exact,), (found,) = run(graph.model, image), run(model, image)
    assert 0 < np.abs(found - exact).max() < 0.05 * np.abs(exact).max()


def test_pooling_and_resizing_share_a_scale():
    pool = {"kernel_shape": [3, 3], "strides": [1, 1], **PAD}
    nodes = [
        ("Conv", "image w", "a", PAD),
        ("Relu", "a", "r", {}),
        ("MaxPool", "r", "m", pool),
        ("MaxPool", "m", "n", pool),
        ("Resize", "n roi factors", "big", {"mode": "nearest"}),
        ("Conv", "big v", "out", {}),
    ]
    constants = {"w": kernel(0, 4), "v": kernel(1, 2, 4, 1)}
    constants.update(roi=np.zeros(0, "float32"), factors=np.float32([1, 1, 2, 2]))
    graph = quantized(nodes, constants, {"image": 1.0, "r": 6.0, "m": 5.0, "n": 5.5, "big": 4.0})
    before = dict(graph.ranges)
    for target in TARGETS:
        model = place(graph, target)
        assert pairs(model) == {"image", "r", "m", "n", "big"}
        for name in ("m", "n", "big"):
            assert constant(model, f"{name}.scale") == constant(model, "r.scale")
        assert list(node_of(model, "big").input) == ["n.dequantized", "roi", "factors"]
    assert graph.ranges == before, "the next placement starts from the same"


@pytest.mark.parametrize("target", TARGETS)
def test_float_layers(target):
    """Their output has levels where a quantised layer reads it, and only for that."""
    nodes = [
        *SIMPLE[:3],
        ("Relu", "c", "q", {}),
        ("Conv", "q u", "d", {}),
        ("Relu", "d", "e", {}),
        ("Reshape", "e shape", "out", {}),
        ("Reshape", "q shape", "other", {}),
    ]
    constants = {"w": kernel(0, 4), "b": np.float32([0.5, -1, 0, 2]), "v": kernel(1, 2, 4, 1)}
    constants.update(u=kernel(3, 2, 2, 1), shape=LIST)
    graph = quantized(nodes, constants, {"image": 1.0, "r": 6.0, "q": 3.0, "e": 2.0}, ["out", "other"])
    ends = (lambda *names: set(names)) if target == "onnx" else (lambda *names: set())
    model = place(graph, target, ["v"])
    assert pairs(model) == {"image", "q"} | ends("r", "e")
    np.testing.assert_array_equal(constant(model, "v"), constants["v"])
    assert node_of(model, "d").input[0] == "q.dequantized"
    assert node_of(model, "other").input[0] == "q", "a float op reads a float map"
    # The last one float, too: nobody needs levels of what it reads.
    model = place(graph, target, ["v", "u"])
    assert pairs(model) == {"image"} | ends("r") and node_of(model, "d").input[0] == "q"
    model = place(graph, target, ["w", "v", "u"])
    assert pairs(model) == set()
    image = np.random.default_rng(0).random([2, 3, SIDE, SIDE], "float32")
    np.testing.assert_array_equal(run(model, image)[0], run(graph.model, image)[0])


@pytest.mark.parametrize("target", TARGETS)
def test_lists_of_anchors_stay_float(target):
    nodes = [
        *SIMPLE[:3],
        ("Reshape", "c shape", "list", {}),
        ("Concat", "list list", "joined", {"axis": 2}),
        ("Sigmoid", "joined", "out", {}),
    ]
    constants = {"w": kernel(0, 4), "b": np.zeros(4, "float32"), "v": kernel(1, 2, 4, 1), "shape": LIST}
    graph = quantized(nodes, constants, {"image": 1.0, "r": 6.0, "c": 3.0, "list": 3.0, "joined": 3.0})
    model = place(graph, target)
    assert pairs(model) == {"image", "r"} | ({"c"} if target == "onnx" else set())
    assert list(node_of(model, "joined").input) == ["list", "list"]


def test_without_a_range_a_convolution_stays_float():
    """ONNX Runtime needs the output's, too; the other engines take it in float."""
    for missing in ("image", "r"):
        known = {"image": 1.0, "r": 6.0, "c": 3.0}
        del known[missing]
        model = place(simple(known), "onnx")
        assert "w" in {t.name for t in model.graph.initializer}
        assert pairs(model) == ({"r", "c"} if missing == "image" else set())
    for target in ("openvino", "tensorrt"):
        assert pairs(place(simple({"image": 1.0}), target)) == {"image"}
