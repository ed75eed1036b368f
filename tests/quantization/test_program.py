"""What of a real captured network gets levels, and what stays float."""

import paddle
import pytest

from ppdet_ext.quantization.layers import convolution_weights
from ppdet_ext.quantization.post_training import _static_mode
from ppdet_ext.quantization.program import convolution_filters, quantized_tensors, tail_convolutions


@pytest.fixture
def program(tiny):
    path = tiny.float_file[: -len(".pdmodel")]
    with _static_mode():
        yield paddle.static.load_inference_model(path, paddle.static.Executor(paddle.CPUPlace()))[0]


def test_what_is_quantised(program, request):
    act = "silu" if "swish" in request.node.name else "relu"
    block = program.global_block()
    chosen, tail = quantized_tensors(program), set(tail_convolutions(program))
    readers = {}
    for op in block.ops:
        for name in op.input_arg_names:
            readers.setdefault(name, []).append(op.type)
    seen = {"conv": 0, "fused": 0, act: 0, "sum": 0}
    for op in block.ops:
        if op.type == "conv2d" and op.input("Filter")[0] not in tail:
            seen["conv"] += 1
            assert op.input("Input")[0] in chosen
            assert op.output("Output")[0] not in chosen, "the bias is still to come"
        elif op.type == "elementwise_add" and op.input("Y")[0].startswith("reshape2"):
            # A convolution's end, unless the activation is part of it.
            fused = readers[op.output("Out")[0]] == ["relu"]
            seen["fused"] += fused
            assert (op.output("Out")[0] in chosen) != fused
            assert op.input("Y")[0] not in chosen, "the shape of a bias"
        elif op.type in ("relu", "silu", "pool2d", "concat", "hard_sigmoid", "nearest_interp_v2"):
            lists = len(block.var(op.output("Out")[0]).shape) == 3
            assert (op.output("Out")[0] in chosen) != lists, op
            seen[act] += op.type == act
        elif op.type == "elementwise_add" and len(block.var(op.output("Out")[0]).shape) == 4:
            seen["sum"] += 1
            assert op.output("Out")[0] in chosen
    assert seen["conv"] == 83 and seen[act] == 67 and seen["sum"] == 9
    assert seen["fused"] == (67 if act == "relu" else 0)
    assert all(len(block.var(name).shape) == 4 for name in chosen)
    assert not any(block.var(name).persistable for name in chosen) and "image" in chosen


def test_what_stays_float(program, tiny):
    block = program.global_block()
    chosen = quantized_tensors(program)
    for op in block.ops:
        if op.type in ("softmax", "split", "elementwise_sub", "transpose2", "scale", "reshape2"):
            outputs = [name for port in ("Out", "Y") if port in op.output_names for name in op.output(port)]
            assert outputs and not chosen & set(outputs), op.type
    scores = [op for op in block.ops if op.type == "sigmoid"][-1]
    assert len(block.var(scores.output("Out")[0]).shape) == 3
    projection = convolution_weights(tiny.raw)["yolo_head.proj_conv"]
    assert tail_convolutions(program) == [projection]
    (op,) = (op for op in block.ops if op.type == "conv2d" and op.input("Filter")[0] == projection)
    assert not chosen & set(op.input_arg_names + op.output_arg_names)
    assert convolution_filters(program) == set(convolution_weights(tiny.raw).values())
