"""Quantised Paddle programs, in the form that oneDNN and Paddle Lite take.

PaddleSlim writes (``onnx_format=True``) a quantize_linear and a dequantize_linear before each convolution,
and more of them behind ops that it has only observed, where they change nothing. Both engines want the
convolutions' alone, and the bias where they fold it into the convolution.
"""

from paddle.base import core

CONVOLUTIONS = ("conv2d", "depthwise_conv2d")
PAIR = ("quantize_linear", "dequantize_linear")


def is_quantized(program):
    """Whether a program, the bytes of a `model.pdmodel`, holds quantised convolutions."""
    return b"quantize_linear" in program


def image_size(program):
    """[H, W] of the images that a program, its bytes, takes; -1 is free."""
    description = core.ProgramDesc(program)
    return list(description.block(0).find_var(b"image").shape()[2:])


def simplify(program):
    """A quantised program that computes the same with less.

    - Pairs of quantize_linear and dequantize_linear stay before convolutions with quantised weights only.
    - A convolution's bias is added as the vector it is; PaddlePaddle 2.6 writes it reshaped to [1, C, 1, 1],
      which no engine of Paddle fuses.
    - A float 1x1 convolution to one channel, the mean of the box sides' distribution, becomes a product and a
      sum: oneDNN's passes take its weights, whole numbers, for quantised ones, and fail to find their scale.

    Args:
        program (bytes): a `model.pdmodel` of PaddlePaddle 2.6.

    Returns:
        bytes: the same.
    """
    description = core.ProgramDesc(program)
    block = description.block(0)
    makers = _makers(block)
    for op in _ops(block):
        if op.type() == "elementwise_add" and _takes_bias(block, makers, op):
            continue
        if op.type() in PAIR or op.type() in CONVOLUTIONS and op.input("Filter")[0] in makers:
            continue
        for port in op.input_names():
            names = op.input(port)
            if names:
                op.set_input(port, [_source(makers, name) for name in names])
    _means_as_sums(block, makers)
    _remove_unused(block)
    return description.serialize_to_string()


def _ops(block):
    return [block.op(index) for index in range(block.op_size())]


def _makers(block):
    """Name of a variable -> the op that makes it."""
    return {name: op for op in _ops(block) for name in op.output_arg_names() if op.type() != "feed"}


def _source(makers, name):
    """The variable behind pairs of quantisation."""
    while name in makers and makers[name].type() in PAIR:
        name = makers[name].input("X")[0]
    return name


def _stored(block, name, rank):
    """Whether a variable is a weight of so many dimensions."""
    variable = block.find_var(name.encode())
    return variable is not None and variable.persistable() and len(variable.shape()) == rank


def _takes_bias(block, makers, op):
    """Adds the bias of a convolution as a vector, if that is what the op does."""
    output, reshaped = (_source(makers, op.input(port)[0]) for port in "XY")
    if output not in makers or makers[output].type() not in CONVOLUTIONS:
        return False
    if reshaped not in makers or makers[reshaped].type() != "reshape2":
        return False
    bias = makers[reshaped].input("X")[0]
    if not _stored(block, bias, 1):
        return False
    op.set_input("X", [output])
    op.set_input("Y", [bias])
    op._set_attr("axis", 1)
    return True


def _means_as_sums(block, makers):
    index = 0
    while index < block.op_size():
        op = block.op(index)
        weights = op.input("Filter")[0] if op.type() == "conv2d" else ""
        if weights and weights not in makers and _stored(block, weights, 4):
            shape = block.find_var(weights.encode()).shape()
            if shape[0] == 1 and list(shape[2:]) == [1, 1]:
                _as_sum(block, index, op.input("Input")[0], weights, op.output("Output")[0])
                index += 1
        index += 1


def _as_sum(block, index, given, weights, result):
    """Puts sum(given * weights) over the channels in the place of the op at an index."""
    terms = result + ".terms"
    variable = block.var(terms.encode())
    variable.set_type(core.VarDesc.VarType.LOD_TENSOR)
    variable.set_dtype(core.VarDesc.VarType.FP32)
    variable.set_shape(block.find_var(given.encode()).shape())
    block._remove_op(index, index + 1)
    _insert(block, index, "elementwise_mul", {"X": given, "Y": weights}, terms, {"axis": -1})
    to_one = {"dim": [1], "keep_dim": True, "reduce_all": False, "in_dtype": -1, "out_dtype": -1}
    _insert(block, index + 1, "reduce_sum", {"X": terms}, result, to_one)


def _insert(block, index, kind, inputs, output, attributes):
    op = block._insert_op(index)
    op.set_type(kind)
    for port, name in inputs.items():
        op.set_input(port, [name])
    op.set_output("Out", [output])
    for name, value in attributes.items():
        op._set_attr(name, value)
    op.check_attrs()


def _remove_unused(block):
    used = set()
    for index in reversed(range(block.op_size())):
        op = block.op(index)
        if op.type() in ("feed", "fetch") or used & set(op.output_arg_names()):
            used.update(op.input_arg_names())
        else:
            block._remove_op(index, index + 1)
