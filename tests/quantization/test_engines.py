"""What the engines make of a placed graph: every convolution in 8 bits, but the mean of the distribution."""

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import onnx
import pytest

from ppdet_ext.export.onnx_qdq import PLACEMENTS, place
from ppdet_ext.quantization.layers import convolution_weights
from tests.quantization.tiny_int8 import relative, run_onnx

CONVOLUTIONS = 84  # of the deployed nano network, one of them the mean


def test_ranges_of_the_detector(tiny):
    """Every range holds what the network has there for the images it was calibrated on."""
    graph = tiny.graph
    assert len(graph.weights) == CONVOLUTIONS - 1
    assert convolution_weights(tiny.raw)["yolo_head.proj_conv"] not in graph.weights
    made = [name for node in graph.model.graph.node for name in node.output]
    names = [name for name in made if name in graph.ranges and name in graph.maps]
    assert len(names) > 120
    for name, values in zip(names, run_onnx(graph.model, tiny.pixels, names)):
        least, most = graph.ranges[name]
        # The weights here are rounded, those of the calibration were not.
        assert least - 0.3 * most <= values.min() and values.max() <= 1.3 * most, name
        assert most < 4 * max(abs(values.max()), abs(values.min())), name


@pytest.mark.parametrize("target", PLACEMENTS)
def test_raw_outputs_are_near(tiny, target):
    boxes, scores = run_onnx(place(tiny.graph, target), tiny.pixels)
    assert 1e-4 < relative(boxes, tiny.outputs[0]) < 0.03
    assert 1e-4 < relative(scores, tiny.outputs[1]) < 0.2


@pytest.mark.parametrize("target", PLACEMENTS)
def test_what_behind_the_last_maps_is_float(tiny, target):
    model = place(tiny.graph, target)
    ranked = [node.input[0] for node in model.graph.node if node.op_type == "QuantizeLinear"]
    assert set(ranked) <= tiny.graph.maps and len(ranked) == len(set(ranked)) > 80
    kinds = [node.op_type for node in model.graph.node]
    assert kinds.count("Conv") == CONVOLUTIONS
    weights = [node.input[1] for node in model.graph.node if node.op_type == "Conv"]
    assert [name for name in weights if not name.endswith(".dequantized")] == [
        convolution_weights(tiny.raw)["yolo_head.proj_conv"]
    ]


def test_onnx_runtime_runs_long_chains(tiny, tmp_path):
    target = tmp_path / "optimized.onnx"
    run_onnx(place(tiny.graph, "onnx"), tiny.pixels, optimized=target)
    nodes = onnx.load(str(target)).graph.node
    kinds = [node.op_type for node in nodes]
    convs = [node for node in nodes if node.op_type in ("Conv", "FusedConv", "NhwcFusedConv")]
    assert kinds.count("QLinearConv") == CONVOLUTIONS - 1
    assert [node.input[1] for node in convs] == [convolution_weights(tiny.raw)["yolo_head.proj_conv"]]
    swish = 67 if tiny.swish else 0
    assert kinds.count("QLinearSigmoid") == swish + 6
    assert kinds.count("QLinearMul") == swish + 10 and kinds.count("QLinearAdd") == 9
    # Float in between: hard sigmoids of the 1x1 gates, nothing else.
    makers = {name: node.op_type for node in nodes for name in node.output}
    sources = [makers.get(node.input[0], "image") for node in nodes if node.op_type == "QuantizeLinear"]
    assert set(sources) <= {"image", "HardSigmoid", "Concat", "MaxPool", "Resize"}
    assert sources.count("image") == 1 and len(sources) <= 12, sources


def test_openvino_computes_in_8_bits(tiny, tmp_path):
    openvino = pytest.importorskip("openvino")
    from ppdet_ext.export.onnx_model import write_onnx
    from ppdet_ext.export.openvino_model import save_openvino

    write_onnx(place(tiny.graph, "openvino"), str(tmp_path / "model.onnx"))
    core = openvino.Core()
    model = core.read_model(save_openvino(str(tmp_path / "model.onnx"), str(tmp_path)))
    model.reshape([1, *tiny.pixels.shape[1:]])
    compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found = {}
    for node in compiled.get_runtime_model().get_ordered_ops():
        info = node.get_rt_info()
        if str(info["layerType"].astype(str)) == "Convolution":
            precision = str(info["runtimePrecision"].astype(str))
            found.setdefault(precision, []).append(node.get_friendly_name())
    assert sum(map(len, found.values())) == CONVOLUTIONS
    assert len(found.pop("u8", [])) + len(found.pop("i8", [])) == CONVOLUTIONS - 1
    assert [len(names) for names in found.values()] == [1], found
    boxes, scores = (compiled([tiny.pixels[:1]])[name] for name in ("boxes", "scores"))
    assert relative(boxes, tiny.outputs[0][:1]) < 0.05 and relative(scores, tiny.outputs[1][:1]) < 0.25
