"""Ranges of an ONNX graph: what is known, what follows, and how far below zero values go."""

import os

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from ppdet_ext.compat import quantizes
from ppdet_ext.export.onnx_ranges import _maps, _name_as_paddle, _ranges, read_quantized
from tests.runtime.quantized_model import SIDE, run_plainly, static_mode, write_quantized


def graph(*nodes, constants=()):
    """Of nodes (op, inputs, output), on an image; 'a b' are two inputs."""
    made = [helper.make_node(op, inputs.split(), [output]) for op, inputs, output in nodes]
    port = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 8, 8])
    return helper.make_graph(made, "graph", [port], [], [numpy_helper.from_array(*c) for c in constants])


CONVS = [("Conv", "image w", "a"), ("Conv", "image v", "b")]


@pytest.mark.parametrize(
    "nodes, known, expected",
    [
        ([("Conv", "image w", "a")], {"image": 1.0, "a": 3.0}, {"image": (0, 1), "a": (-3, 3)}),
        ([*CONVS, ("Relu", "a", "r")], {"r": 2.0}, {"r": (0, 2)}),
        # Sigmoid is within 0..1 where nobody measured it.
        ([*CONVS, ("Sigmoid", "a", "s")], {"a": 4.0}, {"a": (-4, 4), "s": (0, 1)}),
        ([*CONVS, ("Sigmoid", "a", "s")], {"s": 0.6}, {"s": (0, 0.6)}),
        # Swish is not below -0.2785, and its largest value is that of its largest input.
        (
            [*CONVS, ("Sigmoid", "a", "s"), ("Mul", "a s", "p")],
            {"a": 4.0, "p": 2.5},
            {"a": (-4, 4), "s": (0, 1), "p": (-0.2785, 2.5)},
        ),
        ([*CONVS, ("Sigmoid", "a", "s"), ("Mul", "s a", "p")], {"p": 0.1}, {"s": (0, 1), "p": (-0.1, 0.1)}),
        (
            [*CONVS, ("Sigmoid", "a", "s"), ("Mul", "s a", "p")],
            {"a": 4.0},
            {"a": (-4, 4), "s": (0, 1), "p": (-0.2785, 4 / (1 + np.exp(-4)))},
        ),
        (
            [*CONVS, ("HardSigmoid", "a", "s"), ("Mul", "a s", "p")],
            {"p": 3.0},
            {"s": (0, 1), "p": (-0.375, 3)},
        ),
        # A gate makes nothing smaller than it was; two maps of any sign do.
        (
            [*CONVS, ("Relu", "b", "r"), ("Sigmoid", "a", "s"), ("Mul", "r s", "p")],
            {"p": 3.0, "r": 3.0},
            {"r": (0, 3), "s": (0, 1), "p": (0, 3)},
        ),
        ([*CONVS, ("Mul", "a b", "p")], {"p": 3.0}, {"p": (-3, 3)}),
        # Concat holds its parts; their sum holds the terms.
        ([*CONVS, ("Concat", "a b", "c")], {"a": 1.0, "b": 5.0}, {"a": (-1, 1), "b": (-5, 5), "c": (-5, 5)}),
        ([*CONVS, ("Add", "a b", "c")], {"a": 1.0, "b": 5.0}, {"a": (-1, 1), "b": (-5, 5), "c": (-6, 6)}),
        ([*CONVS, ("Concat", "a b", "c")], {"c": 5.0}, {"a": (-5, 5), "b": (-5, 5), "c": (-5, 5)}),
        (
            [*CONVS, ("Relu", "a", "r"), ("Relu", "b", "q"), ("Add", "r q", "c")],
            {"c": 5.0},
            {"r": (0, 5), "q": (0, 5), "c": (0, 5)},
        ),
        (
            [*CONVS, ("Relu", "a", "r"), ("Concat", "r b", "c")],
            {"r": 1.0, "b": 2.0},
            {"r": (0, 1), "b": (-2, 2), "c": (-2, 2)},
        ),
        # What passes, passes its range on, in both directions; but a mean says nothing of what it is of.
        (
            [*CONVS, ("MaxPool", "a", "m"), ("Resize", "m", "r")],
            {"a": 2.0},
            {"a": (-2, 2), "m": (-2, 2), "r": (-2, 2)},
        ),
        ([*CONVS, ("MaxPool", "a", "m")], {"m": 2.0}, {"a": (-2, 2), "m": (-2, 2)}),
        ([*CONVS, ("GlobalAveragePool", "a", "m")], {"a": 2.0}, {"a": (-2, 2), "m": (-2, 2)}),
        ([*CONVS, ("GlobalAveragePool", "a", "m")], {"m": 2.0}, {"m": (-2, 2)}),
        # A map of zeros has no range.
        ([*CONVS, ("Relu", "a", "r")], {"r": 0.0}, {}),
    ],
)
def test_what_follows(nodes, known, expected):
    found = _ranges(graph(*nodes), known)
    assert found.keys() == expected.keys()
    for name, (least, most) in expected.items():
        assert found[name] == (pytest.approx(least), pytest.approx(most)), name


def test_nodes_that_only_rename():
    made = graph(
        ("Conv", "image w", "p2o.1"),
        ("Identity", "p2o.1", "conv.tmp_0"),
        ("Identity", "conv.tmp_0", "conv.tmp_1"),
        ("Relu", "conv.tmp_1", "out"),
        ("Identity", "image", "copy"),
        ("Relu", "p2o.1", "again"),
    )
    _name_as_paddle(made)
    assert [(node.op_type, list(node.input), list(node.output)) for node in made.node] == [
        ("Conv", ["image", "w"], ["conv.tmp_1"]),
        ("Relu", ["conv.tmp_1"], ["out"]),
        ("Identity", ["image"], ["copy"]),
        ("Relu", ["conv.tmp_1"], ["again"]),
    ]


def test_maps_are_of_rank_4():
    shape = (np.array([1, -1], np.int64), "shape")
    weight = (np.zeros([2, 3, 1, 1], np.float32), "w")
    made = graph(("Conv", "image w", "a"), ("Reshape", "a shape", "list"), constants=[weight, shape])
    made.node.append(helper.make_node("Relu", ["list"], ["scores"]))
    made.output.append(helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 128]))
    assert _maps(helper.make_model(made)) == {"image", "a"}


needs_slim = pytest.mark.skipif(not quantizes(), reason="PaddleSlim quantises with Paddle 2.6 only")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("written")
    return folder, write_quantized(folder)


@needs_slim
def test_a_quantised_program(written, tmp_path, monkeypatch):
    folder, (images, *_) = written
    monkeypatch.chdir(tmp_path)
    found = read_quantized(str(folder / "model.pdmodel"))
    assert os.listdir() == [], "Paddle2ONNX writes a table into the folder that it runs in"
    convs = [node for node in found.model.graph.node if node.op_type == "Conv"]
    assert len(convs) == 7 and len(found.weights) == 6, "all but the mean of the distribution"
    assert not any("Linear" in node.op_type for node in found.model.graph.node)
    assert found.ranges["image"] == (0, pytest.approx(images.max(), rel=1e-5))
    assert [port.name for port in found.model.graph.output] == ["boxes", "scores"]
    # Each range holds what the float network has there.
    path = folder / "float"
    with static_mode():
        import paddle

        executor = paddle.static.Executor(paddle.CPUPlace())
        program, feeds, _ = paddle.static.load_inference_model(str(path / "model"), executor)
        block = program.global_block()
        names = [name for name in found.ranges if block.has_var(name) and not name.startswith("image")]
        maps = executor.run(program, {feeds[0]: images}, [block.var(name) for name in names])
    assert len(names) > 5
    for name, values in zip(names, maps):
        least, most = found.ranges[name]
        assert least - 1e-5 <= values.min() and values.max() <= most + 1e-5, name
    relus = [node.output[0] for node in found.model.graph.node if node.op_type == "Relu"]
    assert len(relus) == 3 and all(found.ranges[name][0] == 0 for name in relus)
    # More ranges, of tensors that the program says nothing of; those it says count.
    more = {"elsewhere": 7.0, "image": 9.0, "weight": [1.0, 2.0]}
    more = read_quantized(str(folder / "model.pdmodel"), more=more)
    assert more.ranges == {**found.ranges, "elsewhere": (-7, 7)}


@needs_slim
def test_the_graph_computes_what_the_network_does(written):
    """With weights of 8 bits and all else float: between the float and the quantised network."""
    import onnxruntime

    folder, (images, *answers) = written
    found = read_quantized(str(folder / "model.pdmodel")).model
    session = onnxruntime.InferenceSession(found.SerializeToString(), providers=["CPUExecutionProvider"])
    boxes, scores = session.run(["boxes", "scores"], {"image": images})
    with static_mode():
        exact = run_plainly(folder / "float", images)
    for ours, theirs in zip((boxes, scores), exact):
        assert 0 < np.abs(ours - theirs).max() < 0.03 * np.abs(theirs).max()
    assert images.shape[2] == SIDE


@needs_slim
def test_a_float_program_is_refused(written):
    with pytest.raises(ValueError, match="model.pdmodel: no convolution in it is quantised; quantise"):
        read_quantized(str(written[0] / "float" / "model.pdmodel"))
