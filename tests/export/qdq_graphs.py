"""Hand-made graphs that get pairs, and what to ask of them."""

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from ppdet_ext.export.onnx_qdq import PLACEMENTS
from ppdet_ext.export.onnx_ranges import QuantizedGraph, _maps, _ranges

SIDE = 8
SHAPE = ["batch", "channels", "height", "width"]
TARGETS = list(PLACEMENTS)


def quantized(nodes, constants, known, outputs=("out",)):
    """A QuantizedGraph of nodes (op, inputs, output, attributes), all convolutions quantised."""
    made = [
        helper.make_node(op, inputs.split(), [out], **attributes) for op, inputs, out, attributes in nodes
    ]
    port = helper.make_tensor_value_info("image", TensorProto.FLOAT, [None, 3, SIDE, SIDE])
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, SHAPE) for name in outputs]
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    model = helper.make_model(
        helper.make_graph(made, "graph", [port], ends, tensors), opset_imports=[helper.make_opsetid("", 13)]
    )
    model.ir_version = 8
    weights = {node.input[1] for node in made if node.op_type == "Conv"}
    return QuantizedGraph(model, _ranges(model.graph, known), weights, _maps(model))


def kernel(seed, outputs, inputs=3, side=3):
    return np.random.default_rng(seed).normal(0, 0.2, [outputs, inputs, side, side]).astype("float32")


def constant(model, name):
    return next(numpy_helper.to_array(t) for t in model.graph.initializer if t.name == name)


def pairs(model):
    """The tensors that have a pair of their own."""
    return {node.input[0] for node in model.graph.node if node.op_type == "QuantizeLinear"}


def node_of(model, output):
    return next(node for node in model.graph.node if output in node.output)


def run(model, image, level=None):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if level is not None:
        options.graph_optimization_level = level
    onnx.checker.check_model(model)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"image": image})


PAD = {"pads": [1, 1, 1, 1]}
