"""Half precision for an ONNX graph, boxes kept whole."""

import onnx


def to_half(model):
    """Converts a graph to FP16, all but its end.

    From where maps become lists of anchors it stays FP32, since FP16 tells boxes at 640 pixels only half a
    pixel apart; so do its inputs and outputs.

    Args:
        model (onnx.ModelProto): with raw outputs.

    Returns:
        onnx.ModelProto: to be run on a GPU; CPUs convert every tensor back and forth.
    """
    from onnxruntime.transformers.float16 import convert_float_to_float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    half = OnnxModel(convert_float_to_float16(model, keep_io_types=True, node_block_list=_tail(model)))
    half.topological_sort()  # the converter appends its casts at the end
    return half.model


def _tail(model):
    """Names of the nodes from the first tensors of rank 3 on."""
    inferred = onnx.shape_inference.infer_shapes(model)
    ranks = {port.name: len(port.type.tensor_type.shape.dim) for port in inferred.graph.value_info}
    inside, names = set(), []
    for number, node in enumerate(model.graph.node):  # in the order of computation
        if any(ranks.get(name) == 3 for name in node.output) or inside & set(node.input):
            inside.update(node.output)
            node.name = node.name or f"tail.{number}"
            names.append(node.name)
    return names
