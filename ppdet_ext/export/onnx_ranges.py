"""From a Paddle model that PaddleSlim has quantised to a float ONNX graph and the ranges of its tensors.

Each engine wants the quantisation in other places, so that the pairs of the Paddle model are taken out here
and put in by `onnx_qdq`, from the ranges.
"""

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import numpy_helper
from paddle.base import core

from ppdet_ext.runtime.backends.paddle_int8 import PAIR

from .onnx_model import DEFAULT_OPSET, check_opset, name_outputs
from .onnx_simplify import simplify

PADDLESLIM_LEVELS = 127
# Half a level, and what single precision adds.
ROUNDING = 0.51
# The first one in which DequantizeLinear takes a scale a channel.
LEAST_OPSET = 13
# Converts without Paddle2ONNX's own placement of the pairs; it writes a table into the folder it runs in.
CONVERTER = """
import sys, paddle2onnx
from ppdet_ext.compat import paddle2onnx_options
model, weights, target, opset = sys.argv[1:]
paddle2onnx.export(model, weights, save_file=target, opset_version=int(opset), auto_upgrade_opset=False,
                   verbose=False, enable_onnx_checker=True, enable_optimize=False, deploy_backend="other",
                   **paddle2onnx_options())
"""
# Functions whose output has no value below: what an 8-bit range need not hold.
LEAST = {"Relu": 0.0, "Sigmoid": 0.0, "HardSigmoid": 0.0, "Clip": 0.0, "HardSwish": -0.375}
# Of x * f(x), which is how a graph says swish and hard swish.
LEAST_PRODUCT = {"Sigmoid": -0.2785, "HardSigmoid": -0.375}
# Their output holds nothing but values of their input.
PASSING = ("MaxPool", "Resize", "GlobalAveragePool", "AveragePool", "Concat", "Transpose", "Reshape", "Slice")
# Of these, whose input may hold larger values: a mean, a part.
NARROWING = ("GlobalAveragePool", "AveragePool", "Slice")


@dataclass
class QuantizedGraph:
    """A float graph and what is known of its quantisation.

    Args:
        model (onnx.ModelProto): float, simplified; weights of quantised convolutions hold 8-bit levels only.
        ranges (dict[str, tuple[float, float]]): activation -> least and largest value.
        weights (set[str]): of the quantised convolutions.
        maps (set[str]): tensors of rank 4: behind the last of them everything stays float.
    """

    model: onnx.ModelProto
    ranges: dict = field(default_factory=dict)
    weights: set = field(default_factory=set)
    maps: set = field(default_factory=set)


def read_quantized(model_file, opset=DEFAULT_OPSET, more=None, weights=None):
    """Reads a quantised Paddle model.

    Args:
        model_file (str): `model.pdmodel` of PaddleSlim's ``onnx_format``; the weights stand beside it.
        opset (int): of the ONNX graph, ``LEAST_OPSET`` or later.
        more (dict | None): magnitudes of activations, by their name in the Paddle model, that the model does
            not say.
        weights (dict | None): the float arrays that the model's weights were, by their name, so that a graph
            with other levels rounds them once.

    Returns:
        QuantizedGraph: with the Paddle model's names for tensors.

    Raises:
        ValueError: Paddle2ONNX refuses the graph, or nothing in it is quantised.
    """
    check_opset(model_file, opset)
    model = _float_graph(model_file, opset)
    graph = model.graph
    _name_as_paddle(graph)
    values = {node.output[0]: node.attribute[0].t for node in graph.node if node.op_type == "Constant"}
    thresholds = {
        name: numpy_helper.to_array(values[scale])
        for name, scale in _scales(model_file).items()
        if scale in values
    }
    name_outputs(model)
    model = simplify(model)
    constants = {tensor.name for tensor in model.graph.initializer}
    kernels = {node.input[1] for node in model.graph.node if node.op_type == "Conv"}
    found = QuantizedGraph(model, weights=kernels & set(thresholds))
    if not found.weights:
        raise ValueError(f"{model_file}: no convolution in it is quantised; quantise the model again")
    magnitudes = {name: value for name, value in (more or {}).items() if np.ndim(value) == 0}
    magnitudes.update(
        (name, float(value.ravel()[0]))
        for name, value in thresholds.items()
        if name not in constants and value.size == 1
    )
    found.ranges = _ranges(model.graph, magnitudes)
    found.maps = _maps(model)
    for tensor in model.graph.initializer:
        if tensor.name in found.weights and tensor.name in (weights or {}):
            _restore(tensor, weights[tensor.name], thresholds[tensor.name])
    return found


def _scales(model_file):
    """Tensor -> name of the constant that holds its range, for each tensor that the model quantises.

    A weight, stored in 8 bits, has the second op of a pair alone.
    """
    with open(model_file, "rb") as file:
        program = core.ProgramDesc(file.read())
    block = program.block(0)  # belongs to `program`, which has to live as long
    ops = [block.op(i) for i in range(block.op_size())]
    return {op.input("X")[0]: op.input("Scale")[0] for op in ops if op.type() in PAIR}


def _float_graph(model_file, opset):
    folder = os.path.dirname(os.path.abspath(model_file))
    with tempfile.TemporaryDirectory() as workplace:
        target = os.path.join(workplace, "float.onnx")
        arguments = [os.path.abspath(model_file), os.path.join(folder, "model.pdiparams"), target, str(opset)]
        run = subprocess.run(
            [sys.executable, "-c", CONVERTER, *arguments],
            cwd=workplace,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        if run.returncode or not os.path.isfile(target):
            said = [line for line in run.stdout.splitlines() if line.strip()] or ["no message"]
            raise ValueError(f"{model_file}: Paddle2ONNX refuses this graph at opset {opset}: {said[-1]}")
        return onnx.load(target)


def _name_as_paddle(graph):
    """Takes out the nodes that only rename, so that tensors have their Paddle names."""
    renamed, kept = {}, []
    inputs = {port.name for port in graph.input}
    for node in graph.node:
        if node.op_type == "Identity" and node.input[0] not in inputs and node.input[0] not in renamed:
            renamed[node.input[0]] = node.output[0]
        else:
            kept.append(node)
    del graph.node[:]
    graph.node.extend(kept)
    for node in graph.node:
        for ports in (node.input, node.output):
            for i, name in enumerate(ports):
                while name in renamed:
                    name = renamed[name]
                ports[i] = name


def _restore(tensor, weight, thresholds):
    """Gives a constant the float weight that it was rounded from, if it was."""
    rounded = numpy_helper.to_array(tensor)
    if weight.shape == rounded.shape and thresholds.size == len(weight):
        level = (thresholds.ravel() / PADDLESLIM_LEVELS)[:, None, None, None]
        if (np.abs(weight - rounded) <= ROUNDING * level).all():
            tensor.CopyFrom(numpy_helper.from_array(weight, tensor.name))


def _maps(model):
    inferred = onnx.shape_inference.infer_shapes(model).graph
    ports = [*inferred.value_info, *inferred.input]
    return {port.name for port in ports if len(port.type.tensor_type.shape.dim) == 4}


def _ranges(graph, magnitudes):
    """Least and largest value of each tensor whose magnitude is known or follows from its neighbours'."""
    known = _complete(graph, dict(magnitudes))
    least = {port.name: 0.0 for port in graph.input}  # pixels
    makers = {name: node for node in graph.node for name in node.output}
    for node in graph.node:
        least[node.output[0]] = _least(node, least, makers)
    return {
        name: (max(-value, least.get(name, -np.inf)), value) for name, value in known.items() if value > 0
    }


def _least(node, least, makers):
    """The value that a node's output is never below, minus infinity if there is none."""
    inputs = [least.get(name, -np.inf) for name in node.input]
    if node.op_type in LEAST:
        return LEAST[node.op_type]
    if node.op_type == "Concat":
        return min(inputs)
    if node.op_type in PASSING:
        return inputs[0]
    if node.op_type == "Add":
        return sum(inputs)
    if node.op_type == "Mul":
        return _least_product(node, inputs, makers)
    return -np.inf


def _least_product(node, inputs, makers):
    for gate, other, least in ((0, 1, inputs[1]), (1, 0, inputs[0])):
        maker = makers.get(node.input[gate])
        if maker is not None and maker.op_type in LEAST_PRODUCT:
            if maker.input[0] == node.input[other]:
                return max(LEAST_PRODUCT[maker.op_type], min(least, 0.0))
            return min(least, 0.0)  # times 0 to 1
    return 0.0 if min(inputs) >= 0 else -np.inf


def _complete(graph, known):
    """Adds magnitudes that follow: what passes is within what it came from, a part within the whole."""
    for node in graph.node:
        output = node.output[0]
        inputs = [known.get(name) for name in node.input]
        if output in known or not inputs:
            continue
        if node.op_type == "Concat" and None not in inputs:
            known[output] = max(inputs)
        elif node.op_type == "Add" and None not in inputs:
            known[output] = sum(inputs)
        elif node.op_type in PASSING and node.op_type != "Concat" and inputs[0] is not None:
            known[output] = inputs[0]
        elif node.op_type in ("Sigmoid", "HardSigmoid"):
            known[output] = 1.0
    for node in reversed(graph.node):
        whole = known.get(node.output[0])
        if whole is not None and node.op_type in ("Add", *PASSING) and node.op_type not in NARROWING:
            for name in node.input:
                known.setdefault(name, whole)
    makers = {name: node for node in graph.node for name in node.output}
    for node in graph.node:
        value = known.get(_swish_input(node, makers))
        if value is not None and node.output[0] not in known:
            known[node.output[0]] = max(value / (1 + np.exp(-value)), -LEAST_PRODUCT["Sigmoid"])
    return known


def _swish_input(node, makers):
    """x, if a node gives x * sigmoid(x), else None."""
    if node.op_type == "Mul":
        for gate, name in (node.input, reversed(node.input)):
            maker = makers.get(gate)
            if maker is not None and maker.op_type == "Sigmoid" and maker.input[0] == name:
                return name
    return None
