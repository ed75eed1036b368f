"""A quantised program in the form that Paddle Lite computes rightly."""

import os
from pathlib import Path

import numpy as np
import paddle

from ppdet_ext.runtime.backends.paddle_int8 import CONVOLUTIONS, simplify

# Paddle Lite's x86 kernel adds two products of 8-bit numbers in 16 bits, and the sum saturates
# (_mm256_maddubs_epi16 in lite/backends/x86/math/gemm_s8u8_kernel.cc): weights of 7 bits keep it from that.
SATURATES = ("x86",)
# Its 8-bit kernel for x86 moves on in the bias from group to group even where there is none, and the process
# dies (repack_bias in the same file).
NEEDS_BIAS = ("x86",)


def save_for_lite(program, folder, place):
    """Writes a quantised program as Paddle Lite wants it for a place.

    - Simplified, as for oneDNN.
    - Convolutions of pooled maps, [B, C, 1, 1], are float: Paddle Lite takes the scale of the map before the
      pooling for them. They cost nothing.
    - Convolutions of groups without a bias (a depthwise one before a pointwise one) are float where the
      kernels die of them.
    - Where the kernels would saturate, the weights have 7 bits.
    - Weights that several convolutions share become each one's own.

    Args:
        program (str): `model.pdmodel` as PaddleSlim quantises it; its weights stand beside it.
        folder (str): gets `model.pdmodel` and `model.pdiparams`.
        place (str): 'x86' or 'arm'.

    Returns:
        str: path of the graph.
    """
    weights = Path(program).with_suffix(".pdiparams").read_bytes()
    was_dynamic = paddle.in_dynamic_mode()
    paddle.enable_static()
    try:
        with paddle.static.scope_guard(paddle.static.Scope()):
            executor = paddle.static.Executor(paddle.CPUPlace())
            graph, feeds, fetches = paddle.static.load_inference_model(
                None,
                executor,
                model_filename=simplify(Path(program).read_bytes()),
                params_filename=weights,
            )
            block = graph.global_block()
            _unshare(block)
            _change(block, place in SATURATES, place in NEEDS_BIAS)
            target = os.path.join(folder, "model")
            inputs = [block.var(name) for name in feeds]
            paddle.static.save_inference_model(target, inputs, fetches, executor, program=graph)
    finally:
        if was_dynamic:
            paddle.disable_static()
    return target + ".pdmodel"


def _change(block, seven_bits, needs_bias):
    makers = {name: op for op in block.ops for name in op.output_arg_names if op.type != "feed"}
    biased = {
        op.input("X")[0]
        for op in block.ops
        if op.type == "elementwise_add" and block.var(op.input("Y")[0]).persistable
    }
    done = set()
    for op in block.ops:
        if op.type not in CONVOLUTIONS:
            continue
        quantized = makers.get(op.input("Filter")[0])
        if quantized is None or quantized.input("X")[0] in done:
            continue
        pairs = makers.get(op.input("Input")[0])
        output = op.output("Output")[0]
        pooled = tuple(block.var(output).shape[2:]) == (1, 1)
        dies = needs_bias and op.attr("groups") > 1 and output not in biased
        if pairs is not None and (pooled or dies):
            _make_float(block, op, quantized, makers)
        elif seven_bits:
            done.add(quantized.input("X")[0])
            values, scales = _tensor(quantized, "X"), _tensor(quantized, "Scale")
            _set(values, np.rint(np.array(values) / 2).astype("int8"))
            _set(scales, np.array(scales) * 2)


def _unshare(block):
    """Gives every convolution quantised weights of its own: the optimizer dies of a network that has some for
    several levels.
    """
    makers = {name: op for op in block.ops for name in op.output_arg_names}
    taken = set()
    for op in [op for op in block.ops if op.type in CONVOLUTIONS]:
        name = op.input("Filter")[0]
        if name in taken and name in makers:
            shared, number = makers[name], len(taken)
            inputs = {}
            for port in shared.input_names:
                inputs[port] = [block.var(_copy(block, source, number)) for source in shared.input(port)]
            values = block.var(name)
            own = block.create_var(name=f"{name}.{number}", shape=values.shape, dtype=values.dtype)
            attributes = {key: shared.attr(key) for key in ("quant_axis", "bit_length")}
            place = next(i for i, other in enumerate(block.ops) if other is op)
            block._insert_op(place, type=shared.type, inputs=inputs, outputs={"Y": [own]}, attrs=attributes)
            op.desc.set_input("Filter", [own.name])
            name = own.name
        taken.add(name)


def _copy(block, name, number):
    """A persistable variable of the same content; its name."""
    scope, source = paddle.static.global_scope(), block.var(name)
    target = f"{name}.{number}"
    block.create_var(name=target, shape=source.shape, dtype=source.dtype, persistable=True)
    _set(scope.var(target).get_tensor(), np.array(scope.find_var(name).get_tensor()))
    return target


def _make_float(block, op, quantized, makers):
    """Gives a convolution float weights and what stands before its pair."""
    source = op.input("Input")[0]
    while source in makers and makers[source].type in ("quantize_linear", "dequantize_linear"):
        source = makers[source].input("X")[0]
    op.desc.set_input("Input", [source])
    values, scales = np.array(_tensor(quantized, "X")), np.array(_tensor(quantized, "Scale"))
    shape = [1] * values.ndim
    shape[quantized.attr("quant_axis")] = -1
    name = quantized.input("X")[0] + ".float"
    block.create_var(name=name, shape=values.shape, dtype="float32", persistable=True)
    op.desc.set_input("Filter", [name])
    levels = 2 ** (quantized.attr("bit_length") - 1) - 1
    tensor = paddle.static.global_scope().var(name).get_tensor()
    _set(tensor, (values * scales.reshape(shape) / levels).astype("float32"))


def _tensor(op, port):
    return paddle.static.global_scope().find_var(op.input(port)[0]).get_tensor()


def _set(tensor, values):
    tensor.set(values, paddle.CPUPlace())
