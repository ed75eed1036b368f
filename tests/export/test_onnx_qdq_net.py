"""A whole quantised net: integers by NumPy, ONNX Runtime, and every target beside the float net."""

import numpy as np
import onnxruntime
import pytest

from ppdet_ext.export.onnx_qdq import place
from tests.export.qdq_graphs import (
    PAD,
    SIDE,
    TARGETS,
    constant,
    kernel,
    quantized,
    run,
)
from tests.nn.reference import convolution

NET = [
    ("Conv", "image w b", "a", {"strides": [2, 2], **PAD}),
    ("Relu", "a", "r", {}),
    ("Conv", "r v c", "d", {}),
    ("Relu", "d", "q", {}),
    ("MaxPool", "q", "m", {"kernel_shape": [3, 3], "strides": [1, 1], **PAD}),
    ("Concat", "q m", "j", {"axis": 1}),
    ("Conv", "j u e", "end", PAD),
    ("Relu", "end", "z", {}),
    ("Reshape", "z shape", "out", {}),
]


def net(image):
    rng = np.random.default_rng(5)
    constants = {"w": kernel(0, 8), "v": kernel(1, 6, 8, 1), "u": kernel(2, 4, 12)}
    constants.update({name: rng.normal(0, 0.3, n).astype("float32") for name, n in zip("bce", (8, 6, 4))})
    constants["shape"] = np.array([0, 4, -1], np.int64)
    maps = dict(zip("rqjz", run(quantized(NET, constants, {}, outputs="rqjz").model, image)))
    # Some values are above the range: they saturate.
    known = {name: 0.9 * float(values.max()) for name, values in maps.items()}
    graph = quantized(NET, constants, {"image": float(image.max()), **known, "m": known["q"]})
    return graph, np.minimum(maps["z"], known["z"]).reshape(len(image), 4, -1)


def simulate(model, image, graph):
    """The quantised net in integers, by NumPy."""

    def scale(name):
        return np.float64(constant(model, f"{name}.scale"))

    def levels(values, name):
        return np.clip(np.rint(values / scale(name)), 0, 255)  # no value is negative: zero points are 0

    def conv(x, source, weight, bias, target, **how):
        products = convolution(x, constant(model, f"{weight}.quantized").astype("float64"), **how)
        products += constant(model, f"{bias}.bias.quantized").astype("float64")[:, None, None]
        unit = constant(model, f"{weight}.scale").astype("float64")[:, None, None] * scale(source)
        return levels(products * unit, target)

    r = conv(levels(image.astype("float64"), "image"), "image", "w", "a", "r", stride=2)
    q = conv(r, "r", "v", "d", "q")
    padded = np.pad(q, [(0, 0), (0, 0), (1, 1), (1, 1)])
    side = q.shape[2]
    shifts = [padded[:, :, i : i + side, k : k + side] for i in range(3) for k in range(3)]
    m = np.max(shifts, axis=0)
    j = levels(np.concatenate([q, m], 1) * scale("q"), "j")
    assert all(graph.ranges[name][0] == 0 for name in "rqmjz")
    return (conv(j, "j", "u", "end", "z") * scale("z")).reshape(len(image), 4, -1)


@pytest.mark.parametrize("levels", [63, 127])
def test_onnx_runtime_computes_what_integers_give(levels):
    image = np.random.default_rng(6).random([2, 3, SIDE, SIDE], "float32")
    graph, exact = net(image)
    model = place(graph, "onnx", weight_levels=levels)
    step = float(constant(model, "z.scale"))
    expected = simulate(model, image, graph)
    plain = run(model, image, onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL)[0]
    # A tie may go the other way in single precision, and then the next layer's levels with it: seldom.
    for found in [plain] + ([run(model, image)[0]] if levels == 63 else []):
        away = np.abs(found - expected) / step
        assert away.max() < 1.01 and np.mean(away > 0.5) < 0.02
    assert 0.5 * step < np.abs(exact - expected).max() < 16 * step


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_is_near_the_float_net(target):
    image = np.random.default_rng(6).random([2, 3, SIDE, SIDE], "float32")
    graph, exact = net(image)
    before = graph.model.SerializeToString()
    model = place(graph, target, weight_levels=63)
    most = graph.ranges["z"][1]
    found = np.minimum(run(model, image)[0], most)
    assert 0 < np.abs(found - exact).max() < 0.08 * most
    assert graph.model.SerializeToString() == before
    assert [port.name for port in model.graph.input] == ["image"]
    assert [port.name for port in model.graph.output] == ["out"]
