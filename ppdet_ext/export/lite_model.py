"""The Paddle Lite target: `.nb` files for x86 and for arm processors."""

import os
import re
import subprocess
import sys
import tempfile

from ppdet_ext.compat import lite_reads, program_ops
from ppdet_ext.runtime.backends.paddle_int8 import image_size, is_quantized
from ppdet_ext.runtime.config import InferConfig
from ppdet_ext.runtime.preprocess import Preprocess
from ppdet_ext.versions import is_importable

from .device_cfg import write_device_cfg
from .graph import with_shifted_softmax, without_swish
from .lite_int8 import save_for_lite
from .paddle_model import save_paddle

OPTIMIZER = os.path.join(os.path.dirname(__file__), "lite_opt.py")
PADDLE_3 = (
    "Paddle Lite reads models of Paddle 2.6, and this is Paddle 3; run scripts/setup.sh --extras lite, and "
    "export with .venv/bin/ppdet-ext"
)
# target in the report -> (the optimizer's place, precision)
KINDS = {"lite_x86": ("x86", "fp32"), "lite_arm": ("arm", "fp32"), "lite_arm_fp16": ("arm", "fp16")}
# A line of its table of ops: the name, then a column for each kind of kernel, some with a Y.
SUPPORTED_OP = re.compile(r"^\s*(\w+)(?:\s+Y)+\s*$", re.M)
# In every program, and no kernels.
PORTS = {"feed", "fetch"}
# It has a kernel, but the optimizer of 2.13rc0 ends with a segmentation fault on it; a reshape is as good.
DEADLY = {"flatten_contiguous_range"}


def save_lite(graph, folder, size, fp16=False):
    """Converts a graph to `model_x86.nb` and `model_arm.nb`, with ``fp16`` also `model_arm_fp16.nb`, and
    writes `detector.txt`, the settings that the C++ program reads.

    Args:
        graph (RawGraph): re-parameterised, in evaluation mode.
        folder (str): holds `infer_cfg.yml`.
        size (list[int]): [H, W]; Paddle Lite's programs take images one by one, of one size.
        fp16 (bool): also for arm processors with half precision (ARMv8.2).

    Returns:
        dict: target -> (path, precision).

    Raises:
        ValueError: Paddle Lite is absent, the size is free, or an op has no kernel there.
    """
    _check_setting(folder, size)
    made = {}
    with tempfile.TemporaryDirectory() as workplace:
        with without_swish(graph), with_shifted_softmax(graph):
            program = save_paddle(graph, workplace, [1, 3, *size])
        for target, (place, precision) in KINDS.items():
            if precision == "fp16" and not fp16:
                continue
            output = os.path.join(folder, "model_" + target[len("lite_") :])
            _convert(program, place, output, precision == "fp16")
            made[target] = (output + ".nb", precision)
    write_device_cfg(folder)
    return made


def save_lite_int8(program, folder, size):
    """Converts a quantised program to `model_x86.nb` and `model_arm.nb`, and writes `detector.txt`.

    Convolutions are computed in 8 bits, on x86 with weights of 7; what `lite_int8` says stays float.

    Args:
        program (str): `model.pdmodel` as PaddleSlim quantises it for ONNX (``onnx_format=True``), without
            swish (see ``without_swish``); `model.pdiparams` stands beside it.
        folder (str): holds `infer_cfg.yml`.
        size (list[int]): [H, W] of the program's images.

    Returns:
        dict: target -> (path, precision), as :func:`save_lite`.

    Raises:
        ValueError: Paddle Lite is absent, the program is not quantised or for other images, or an op has no
            kernel there.
    """
    _check_setting(folder, size)
    if not program.endswith(".pdmodel"):
        raise ValueError(PADDLE_3)
    with open(program, "rb") as file:
        content = file.read()
    if not is_quantized(content):
        raise ValueError(
            f"{program}: holds no quantize_linear; quantise it with PaddleSlim's onnx_format=True, or "
            "convert it as FP32"
        )
    if "swish" in program_ops(program):
        raise ValueError(
            f"{program}: holds swish, on which Paddle Lite's optimizer aborts; quantise the model with SiLU "
            "in its place"
        )
    sides = image_size(content)
    if sides != list(size):
        raise ValueError(
            f"{program}: takes images of {sides[1]}x{sides[0]}, not of {size[1]}x{size[0]}; quantise the "
            "model exported for that size"
        )
    made = {}
    for target in ("lite_x86", "lite_arm"):
        place, _ = KINDS[target]
        output = os.path.join(folder, "model_" + place)
        with tempfile.TemporaryDirectory() as workplace:
            _convert(save_for_lite(program, workplace, place), place, output, False)
        made[target] = (output + ".nb", "int8")
    write_device_cfg(folder)
    return made


def _check_setting(folder, size):
    if not lite_reads():
        raise ValueError(PADDLE_3)
    if not is_importable("paddlelite"):
        raise ValueError(
            "the target lite needs paddlelite (Python 3.8 or 3.10); run: scripts/setup.sh --extras lite"
        )
    if -1 in size:
        raise ValueError("Paddle Lite takes images of one size; give --size H W for the target lite")
    _check_images(folder, size)


def _check_images(folder, size):
    """Refuses a preprocessing that gives images of other sizes: the library aborts on them."""
    config = InferConfig.load(folder)
    shape = Preprocess(config.preprocess, config.file).shape
    if shape != (3, *size):
        given = "images of many sizes" if shape is None else f"images of {shape[2]}x{shape[1]}"
        raise ValueError(
            f"TestReader gives {given} and Paddle Lite takes one size, {size[1]}x{size[0]}; set keep_ratio: "
            "false in its Resize, or leave the target lite out"
        )


def _tell_threshold(program):
    """Writes the bound that Paddle 2.6 leaves out of ReLU6, and the optimizer wants, into a program file."""
    from paddle.base import core

    with open(program, "rb") as file:
        description = core.ProgramDesc(file.read())
    block = description.block(0)
    for op in map(block.op, range(block.op_size())):
        if op.type() == "relu6":
            op._set_attr("threshold", 6.0)
    with open(program, "wb") as file:
        file.write(description.serialize_to_string())


def _convert(program, place, output, fp16):
    ops = set(program_ops(program))
    unsupported = sorted(ops - supported_ops(place) - PORTS | ops & DEADLY)
    if unsupported:
        raise ValueError(
            f"Paddle Lite has no kernel for {', '.join(unsupported)} on {place}; take another activation or "
            "part in the config, or leave the target lite out"
        )
    if "relu6" in ops:
        _tell_threshold(program)
    weights = os.path.splitext(program)[0] + ".pdiparams"
    run = _optimizer("convert", program, weights, place, output, *(["fp16"] if fp16 else []))
    if run.returncode or not os.path.isfile(output + ".nb"):
        said = [line.strip() for line in run.stdout.splitlines() if line.strip()]
        raise ValueError(
            f"Paddle Lite's optimizer failed for {place} (exit status {run.returncode}): "
            f"{(said or ['no message'])[-1]}"
        )


def supported_ops(place):
    """The ops that Paddle Lite has kernels for on a place, 'x86' or 'arm'."""
    return set(SUPPORTED_OP.findall(_optimizer("ops", place).stdout))


def _optimizer(*arguments):
    return subprocess.run(
        [sys.executable, OPTIMIZER, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
