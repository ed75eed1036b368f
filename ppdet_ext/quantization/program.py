"""What of a Paddle program is quantised: convolutions and what passes between them, up to the last maps.

From where maps become lists of anchors (tensors of rank 3) everything stays float: the distribution of the
box sides and its mean, the decoding, the sigmoid of the scores.
"""

CONVOLUTIONS = ("conv2d", "depthwise_conv2d")
# An engine applies them within the op before: what goes into them needs no levels of its own.
FUSED_ACTIVATIONS = ("relu", "relu6", "leaky_relu")
GATES = ("sigmoid", "hard_sigmoid")
# Ops that engines run on 8-bit maps.
QUANTIZED = (
    *FUSED_ACTIVATIONS,
    "swish",
    "silu",
    "sigmoid",
    "hard_swish",
    "hard_sigmoid",
    "concat",
    "elementwise_add",
    "elementwise_mul",
    "pool2d",
    "nearest_interp_v2",
    "bilinear_interp_v2",
)


def quantized_tensors(program):
    """The activations that get a range.

    Args:
        program (paddle.static.Program): of an exported model with raw outputs.

    Returns:
        set[str]: names of variables.
    """
    block = program.global_block()
    constant = _constants(block)
    tail = _tail(block)
    readers = {}
    for op in block.ops:
        for name in op.input_arg_names:
            readers.setdefault(name, []).append(op)
    names = set()
    for op in block.ops:
        if op.type in CONVOLUTIONS and op.output("Output")[0] not in tail:
            names.update(op.input("Input"))
        elif op.type not in QUANTIZED:
            continue
        for name in op.output_arg_names:
            users = readers.get(name, [])
            biased = op.type in CONVOLUTIONS and users and all(_adds_bias(user, constant) for user in users)
            fused = users and all(user.type in FUSED_ACTIVATIONS for user in users)
            if not (biased or fused):
                names.add(name)
    return names - tail - constant


def gates(program):
    """Names of the outputs of functions whose values are within 0 to 1 (set[str])."""
    return {op.output("Out")[0] for op in program.global_block().ops if op.type in GATES}


def convolution_filters(program):
    """Names of the weights of all convolutions (set[str])."""
    return {op.input("Filter")[0] for op in program.global_block().ops if op.type in CONVOLUTIONS}


def tail_convolutions(program):
    """Weights of the convolutions behind the last maps, such as the mean of a distribution, by name."""
    block = program.global_block()
    tail = _tail(block)
    return [
        op.input("Filter")[0]
        for op in block.ops
        if op.type in CONVOLUTIONS and op.output("Output")[0] in tail
    ]


def _constants(block):
    """Names of the variables that no image changes."""
    names = {name for name, var in block.vars.items() if var.persistable}
    for op in block.ops:
        if op.type not in ("feed", "fetch") and all(name in names for name in op.input_arg_names):
            names.update(op.output_arg_names)
    return names


def _tail(block):
    """Names of the variables from the first of rank 3 on."""
    tail = set()
    for op in block.ops:
        if op.type in ("feed", "fetch"):
            continue
        lists = any(len(block.var(name).shape) == 3 for name in op.output_arg_names if _is_dense(block, name))
        if lists or any(name in tail for name in op.input_arg_names):
            tail.update(op.output_arg_names)
    return tail


def _is_dense(block, name):
    return block.has_var(name) and hasattr(block.var(name), "shape") and not name.endswith("@xshape")


def _adds_bias(op, constant):
    return op.type == "elementwise_add" and any(name in constant for name in op.input_arg_names)
