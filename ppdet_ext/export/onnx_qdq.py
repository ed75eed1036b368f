"""Where an ONNX graph is quantised: QuantizeLinear and DequantizeLinear pairs, as an engine wants them.

Every engine runs an op in 8 bits only if pairs stand on all of its inputs and on its output, and fuses what
it can in between. One pair missing and the map goes back to float; one too many and a fusion is lost.
"""

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper, numpy_helper

# Besides convolutions: what engines compute on 8-bit maps.
MAP_OPS = ("Concat", "MaxPool", "Resize", "Add", "Mul", "GlobalAveragePool")
# Values pass through unchanged, so that one scale serves both sides.
SAME_SCALE = ("MaxPool", "Resize")
# Largest level of a bias: a 32-bit sum has room for the products beside it.
MOST_BIAS_LEVELS = 2**30
# A kernel without a larger weight is nothing, and would have a scale that single precision can't hold.
SILENT = 1e-30
# Within the convolution before it: the pair stands behind.
FUSED = ("Relu", "Clip")
SMOOTH = ("HardSwish",)


# Largest level of a weight. x86 processors without VNNI sum two products of 0..255 and a weight in 16 bits:
# with 8 bits the sum saturates, in OpenVINO as in ONNX Runtime, and AP may fall by a point; with 7 it fits.
FULL, FITTING = 127, 63


@dataclass(frozen=True)
class Placement:
    """How an engine wants its pairs.

    Args:
        unsigned (bool): activations in 0..255 with a zero point, else -127..127 without.
        outputs (bool): the result of every 8-bit op is 8-bit; else only what another one reads, and what is
            computed in float gets it in float.
        bias (bool): biases as 32-bit integers, without which the engine does not fuse.
        sigmoid (bool): a sigmoid is computed in 8 bits by itself; else x * sigmoid(x), and hard-swish,
            belong to the convolution before it and stay float within.
    """

    unsigned: bool
    outputs: bool
    bias: bool
    sigmoid: bool


PLACEMENTS = {
    "onnx": Placement(unsigned=True, outputs=True, bias=True, sigmoid=True),
    "openvino": Placement(unsigned=True, outputs=False, bias=False, sigmoid=False),
    "tensorrt": Placement(unsigned=False, outputs=False, bias=False, sigmoid=False),
}


def place(quantized, target, float_weights=(), weight_levels=FULL):
    """Quantises a graph for an engine.

    Args:
        quantized (QuantizedGraph): it stays as it is.
        target (str): of ``PLACEMENTS``.
        float_weights (iterable[str]): convolutions, by their weight, that stay float.
        weight_levels (int): largest level of a weight: ``FULL`` or ``FITTING``.

    Returns:
        onnx.ModelProto: with the same inputs and outputs, float32.
    """
    return _Placer(quantized, PLACEMENTS[target], set(float_weights), weight_levels).model


class _Placer:
    def __init__(self, quantized, placement, float_weights, weight_levels):
        self.model = onnx.ModelProto()
        self.model.CopyFrom(quantized.model)
        self.graph = self.model.graph
        self.placement, self.weight_levels = placement, weight_levels
        self.fused = FUSED if placement.sigmoid else FUSED + SMOOTH
        self.constants = {t.name: t for t in self.graph.initializer}
        self.readers = {}
        for node in self.graph.node:
            for name in node.input:
                self.readers.setdefault(name, []).append(node)
        self.makers = {name: node for node in self.graph.node for name in node.output}
        self.ranges = {n: r for n, r in quantized.ranges.items() if n in quantized.maps}
        self.scales, self.weight_scales = {}, {}
        convolutions = quantized.weights - float_weights
        chosen, tensors = self._choose(convolutions)
        self._share_scales(chosen)
        self._insert(chosen, tensors)

    def _choose(self, convolutions):
        """The nodes that are quantised, in the order of computation, and the activations that get a pair."""
        chosen, tensors, within = [], set(), set()
        for node in self.graph.node:
            activations = [name for name in node.input if name and name not in self.constants]
            if node.op_type == "Conv":
                wanted = node.input[1] in convolutions
            elif node.op_type in MAP_OPS or (node.op_type == "Sigmoid" and self.placement.sigmoid):
                wanted = within & set(activations) and not self._is_swish_product(node)
            else:
                continue
            end = self._end(node)
            paired = (*activations, end) if self.placement.outputs else activations
            if not wanted or any(name not in self.ranges for name in paired):
                continue
            chosen.append(node)
            tensors.update(paired)
            within.update((*activations, end))
        return chosen, tensors

    def _is_swish_product(self, node):
        """Whether a node ends an x * sigmoid(x) that belongs to the convolution before it."""
        if self.placement.sigmoid or node.op_type != "Mul":
            return False
        makers = [self.makers.get(name) for name in node.input]
        return any(
            maker is not None and maker.op_type == "Sigmoid" and maker.input[0] in node.input
            for maker in makers
        )

    def _end(self, node):
        """The output of a node, or of the activation that is computed with it."""
        name = node.output[0]
        readers = self.readers.get(name, [])
        if len(readers) == 1 and readers[0].op_type in self.fused:
            return readers[0].output[0]
        if not self.placement.sigmoid and len(readers) == 2:
            products = [reader for reader in readers if self._is_swish_product(reader)]
            if products:
                return products[0].output[0]
        return name

    def _share_scales(self, chosen):
        """Gives both sides of an op that passes values on one range."""
        for node in chosen:
            if node.op_type in SAME_SCALE and node.output[0] in self.ranges:
                self.ranges[node.output[0]] = self.ranges[node.input[0]]

    def _insert(self, chosen, tensors):
        before, after = {}, {}
        for name in sorted(tensors):
            maker = self.makers.get(name)
            pair = self._pair(name)
            if maker is None:
                before.setdefault(None, []).extend(pair)
            else:
                after.setdefault(id(maker), []).extend(pair)
        within = {id(node) for node in chosen}
        quantized_makers = set(map(id, chosen)) | {
            id(self.makers[self._end(node)]) for node in chosen if self._end(node) in self.makers
        }
        nodes = list(before.get(None, []))
        for node in self.graph.node:
            for i, name in enumerate(node.input):
                maker = self.makers.get(name)
                if name in tensors and (id(node) in within or (maker and id(maker) in quantized_makers)):
                    node.input[i] = f"{name}.dequantized"
            if node.op_type == "Conv" and id(node) in within:
                nodes += self._weight(node)
            nodes.append(node)
            nodes += after.get(id(node), [])
        copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
        del self.graph.node[:]
        self.graph.node.extend(copies)
        used = {name for node in copies for name in node.input}
        kept = [tensor for tensor in self.graph.initializer if tensor.name in used]
        del self.graph.initializer[:]
        self.graph.initializer.extend(kept)

    def _pair(self, name):
        scale, zero = self._levels(*self.ranges[name])
        self.scales[name] = scale
        ports = [self._constant(f"{name}.scale", np.float32(scale)), self._constant(f"{name}.zero", zero)]
        return [
            helper.make_node("QuantizeLinear", [name, *ports], [f"{name}.quantized"]),
            helper.make_node("DequantizeLinear", [f"{name}.quantized", *ports], [f"{name}.dequantized"]),
        ]

    def _levels(self, least, most):
        """Scale and zero point of a range."""
        if self.placement.unsigned:
            scale = (most - least) / 255
            return np.float32(scale), np.uint8(round(-least / scale))
        return np.float32(max(-least, most) / 127), np.int8(0)

    def _weight(self, node):
        """Nodes that give a convolution its quantised weight and, where wanted, bias."""
        name = node.input[1]
        weight = numpy_helper.to_array(self.constants[name])
        if name not in self.weight_scales:  # a weight may serve several convolutions
            self.weight_scales[name] = self._weight_scale(name, weight)
        scale = self.weight_scales[name]
        levels = np.rint(weight / scale[:, None, None, None])
        levels = levels.clip(-self.weight_levels, self.weight_levels).astype(np.int8)
        made = [] if f"{name}.quantized" in self.constants else [self._dequantized(name, levels, scale)]
        input_scale = self.scales[self._source(node.input[0])]
        node.input[1] = f"{name}.dequantized"
        if len(node.input) > 2 and self.placement.bias:
            name, product = f"{node.output[0]}.bias", scale * input_scale
            bias = numpy_helper.to_array(self.constants[node.input[2]])
            levels = np.rint(bias.astype(np.float64) / product)
            levels = levels.clip(-MOST_BIAS_LEVELS, MOST_BIAS_LEVELS).astype(np.int32)
            made.append(self._dequantized(name, levels, product))
            node.input[2] = f"{name}.dequantized"
        return made

    def _weight_scale(self, name, weight):
        """Scale of each channel: the largest level is its largest weight, unless its biases need a wider one.

        A channel that BatchNorm has silenced has a tiny kernel and a bias that counts.
        """
        largest = np.abs(weight).reshape(len(weight), -1).max(1)
        scale = np.where(largest > SILENT, largest, 1) / self.weight_levels
        for node in self.readers[name] if self.placement.bias else ():
            input_scale = self.scales.get(self._source(node.input[0]))
            if input_scale is not None and len(node.input) > 2 and node.input[2] in self.constants:
                bias = np.abs(numpy_helper.to_array(self.constants[node.input[2]]).astype(np.float64))
                scale = np.maximum(scale, bias / (input_scale * MOST_BIAS_LEVELS))
        return scale.astype(np.float32)

    @staticmethod
    def _source(name):
        return name[: -len(".dequantized")] if name.endswith(".dequantized") else name

    def _dequantized(self, name, levels, scale):
        """A node that gives a constant back from its levels, one scale a channel of axis 0."""
        zero = np.zeros(len(scale), levels.dtype)
        ports = [
            self._constant(f"{name}.quantized", levels),
            self._constant(f"{name}.scale", scale.astype(np.float32)),
            self._constant(f"{name}.zero", zero),
        ]
        return helper.make_node("DequantizeLinear", ports, [f"{name}.dequantized"], axis=0)

    def _constant(self, name, value):
        tensor = numpy_helper.from_array(np.asarray(value), name)
        self.constants[name] = tensor
        self.graph.initializer.append(tensor)
        return name
