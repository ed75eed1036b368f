"""The ONNX graph without what a fixed size makes needless."""

import numpy as np
import onnx
from onnx import numpy_helper

# From here on Resize takes sizes without a region and factors before them.
OPTIONAL_ROI_OPSET = 13


def simplify(model):
    """Folds constants and takes out what is dead, double or without effect.

    Args:
        model (onnx.ModelProto): from Paddle2ONNX.

    Returns:
        onnx.ModelProto: the same function, with the same inputs and outputs.
    """
    import onnxslim

    model = onnxslim.slim(model)  # first, since shape inference sees through constants that are folded
    return onnxslim.slim(model) if _resize_by_factor(model) else model


def _resize_by_factor(model):
    """Gives a Resize between two known sizes its factors, in place; returns how many it changed.

    As sizes, they hold the batch: a free one would be read off a shape at every run.
    """
    inferred = onnx.shape_inference.infer_shapes(model)
    sides = {
        port.name: [side.dim_value for side in port.type.tensor_type.shape.dim[2:]]
        for port in inferred.graph.value_info
    }
    makers = {output: node for node in model.graph.node for output in node.output}
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    opset = next(entry.version for entry in model.opset_import if not entry.domain)
    changed = 0
    for node in model.graph.node:
        if node.op_type != "Resize" or len(node.input) < 4:
            continue
        before, after = sides.get(node.input[0]), _trailing_constant(makers.get(node.input[3]), constants)
        if not before or after is None or 0 in before or any(a % b for a, b in zip(after, before)):
            if opset >= OPTIONAL_ROI_OPSET:
                node.input[1] = node.input[2] = ""  # empty tensors, which a conversion to FP16 stumbles over
                changed += 1
            continue
        factors = np.array([1, 1, *(a / b for a, b in zip(after, before))], np.float32)
        name = node.output[0] + ".factors"
        model.graph.initializer.append(numpy_helper.from_array(factors, name))
        del node.input[2:]
        node.input.append(name)
        changed += 1
    return changed


def _trailing_constant(joined, constants):
    """[H, W] where they are the constant end of joined sizes, else None."""
    if joined is None or joined.op_type != "Concat" or joined.input[-1] not in constants:
        return None
    value = numpy_helper.to_array(constants[joined.input[-1]]).ravel()
    return value.tolist() if value.size == 2 else None
