"""State dicts of YOLOv6: of narrow networks with what the reference makes of them, and lists of names."""

import json
import lzma
from pathlib import Path

import numpy as np

from benchmarks.random_reference import random_image
from benchmarks.yolov6_reference import random_weights

FOLDER = Path(__file__).with_name("reference")
SEED = 7
EPSILON = 1e-3
# name: side of the image, config, width and depth.
NARROW = {
    "n": (64, "yolov6_n_coco", 0.0625, 0.33),
    "m": (64, "yolov6_m_coco", 0.125, 0.2),
    "l": (64, "yolov6_l_coco", 0.0625, 0.2),
    "n6": (128, "yolov6_n6_coco", 0.0625, 0.2),
    "l_0.3": (64, "yolov6_l_coco", 0.0625, 0.2),
    "v2_n": (64, "yolov6_v2_n_coco", 0.0625, 0.33),
    "n_distilled": (64, "yolov6_n_distill_coco", 0.0625, 0.2),
    "n_distilled_0.3": (64, "yolov6_n_distill_coco", 0.0625, 0.2),
}


def complete(shapes, known):
    """A state dict of these names, as torch would save it: what `known` lacks is constants and counters."""
    state = {}
    for name, shape in shapes.items():
        if name in known:
            state[name] = known[name]
        elif ".proj" in name:
            state[name] = np.arange(17, dtype="float32").reshape(shape)
        else:
            assert name.endswith("num_batches_tracked")
            state[name] = np.zeros(shape, "int64")
    return state


def narrow(name):
    """One narrow network: config, overrides, state dict, image and the reference's outputs."""
    size, config, width, depth = NARROW[name]
    with np.load(FOLDER / f"narrow_{name}.npz") as stored:
        stored = dict(stored)
    shapes = json.loads(str(stored.pop("shapes")))
    known, statistics = random_weights(shapes, SEED), stored.pop("statistics")
    for key in shapes:
        if "running" in key:
            count = shapes[key][0]
            known[key], statistics = statistics[:count], statistics[count:]
    assert not len(statistics)
    overrides = [f"width_mult={width}", f"depth_mult={depth}", "num_classes=3"]
    return config, overrides, complete(shapes, known), random_image(1, size, SEED), stored


def listed():
    """{network: {name: shape}}."""
    return json.loads(lzma.decompress((FOLDER / "names.json.xz").read_bytes()))


def hollow(shapes):
    """A state dict of these names that takes no memory: zeros, but for the constants."""
    zeros = {name: np.broadcast_to(np.float32(0), shape) for name, shape in shapes.items()}
    return complete(
        shapes, {name: value for name, value in zeros.items() if "num_b" not in name and ".proj" not in name}
    )


def scale_shift(state, norm):
    """A BatchNorm as a scale and a shift a channel, float64."""
    weight, bias, mean, variance = (
        state[f"{norm}.{leaf}"].astype("float64")
        for leaf in ("weight", "bias", "running_mean", "running_var")
    )
    scale = weight / np.sqrt(variance + EPSILON)
    return scale, bias - mean * scale


def folded(state, block):
    """A convolution and its BatchNorm as a kernel and a bias."""
    scale, shift = scale_shift(state, f"{block}.bn")
    shift = shift + scale * state.get(f"{block}.conv.bias", 0.0)
    return state[f"{block}.conv.weight"] * scale[:, None, None, None], shift


def deployed(state):
    """The state dict after the reference's fusion: its names, RepVGG's algebra once more."""
    result = {}
    for name, value in state.items():
        block, _, leaf = name.partition(".rbr_")
        if leaf:
            if f"{block}.rbr_reparam.weight" in result:
                continue
            kernel, bias = folded(state, f"{block}.rbr_dense")
            small, more = folded(state, f"{block}.rbr_1x1")
            kernel[:, :, 1:2, 1:2] += small
            bias = bias + more
            if f"{block}.rbr_identity.weight" in state:
                scale, shift = scale_shift(state, f"{block}.rbr_identity")
                kernel[range(len(scale)), range(len(scale)), 1, 1] += scale
                bias = bias + shift
            result[f"{block}.rbr_reparam.weight"] = kernel.astype("float32")
            result[f"{block}.rbr_reparam.bias"] = bias.astype("float32")
        elif name.endswith(".conv.weight"):
            block = name[: -len(".conv.weight")]
            kernel, bias = folded(state, block)
            result[name], result[f"{block}.conv.bias"] = kernel.astype("float32"), bias.astype("float32")
        elif not name.endswith("num_batches_tracked") and ".bn." not in name and ".conv.bias" not in name:
            result[name] = value
    return result
