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

    half = OnnxModel(convert_float_to_float16(model, keep_io_types=True, node_block_list=_whole(model)))
    half.topological_sort()  # the converter appends its casts at the end
    _join_casts(half.model.graph)
    return half.model


def _whole(model):
    """Names of the nodes that stay FP32: from the first tensors of rank 3 on, and all about sizes."""
    inferred = onnx.shape_inference.infer_shapes(model)
    ranks = {port.name: len(port.type.tensor_type.shape.dim) for port in inferred.graph.value_info}
    pixels, tail, names = {port.name for port in model.graph.input}, set(), []
    for number, node in enumerate(model.graph.node):  # in the order of computation
        of_pixels = node.op_type != "Shape" and pixels & set(node.input)
        if of_pixels:
            pixels.update(node.output)
        in_tail = any(ranks.get(name) == 3 for name in node.output) or tail & set(node.input)
        if in_tail:
            tail.update(node.output)
        if in_tail or not of_pixels:
            node.name = node.name or f"whole.{number}"
            names.append(node.name)
    return names


def _join_casts(graph):
    """Takes out the way through FP16 between two nodes that compute in FP32.

    The converter puts casts around every node that it leaves alone, and so rounds what passes between them.
    """
    makers = {output: node for node in graph.node for output in node.output}

    def whole(name):
        """The FP32 tensor that was cast to FP16 as `name`, or None."""
        node = makers.get(name)
        return node.input[0] if _casts_to(node, onnx.TensorProto.FLOAT16) else None

    origins = {
        node.output[0]: whole(node.input[0])
        for node in graph.node
        if _casts_to(node, onnx.TensorProto.FLOAT) and whole(node.input[0])
    }
    outputs = {port.name for port in graph.output}
    # A graph's output keeps its name: what was cast to it takes it over.
    renamed = {origins[name]: name for name in outputs if name in origins}
    for node in graph.node:
        for i, name in enumerate(node.input):
            origin = origins.get(name, name)
            node.input[i] = renamed.get(origin, origin)
        for i, name in enumerate(node.output):
            node.output[i] = f"{name}.rounded" if name in renamed.values() else renamed.get(name, name)
    _drop_dead(graph, outputs)


def _drop_dead(graph, outputs):
    """Removes the nodes, which stand in the order of computation, that nothing asks for."""
    used = set(outputs)
    for node in reversed(list(graph.node)):
        if used & set(node.output):
            used.update(node.input)
        else:
            graph.node.remove(node)


def _casts_to(node, kind):
    return node is not None and node.op_type == "Cast" and node.attribute[0].i == kind
