"""State dicts of effdet: of narrow networks with what the reference makes of them, and lists of names."""

import json
import lzma
from pathlib import Path

import numpy as np

from benchmarks.efficientdet_reference import random_weights
from benchmarks.random_reference import random_image

FOLDER = Path(__file__).with_name("reference")
SEED = 7
NARROW_OVERRIDES = (
    "EfficientNet.width_mult=0.25",
    "EfficientNet.depth_mult=0.5",
    "WeightedBiFPN.out_channels=12",
    "WeightedBiFPN.num_cells=2",
    "EfficientDetHead.num_repeats=2",
    "EfficientDetHead.num_scales=1",
    "num_classes=3",
)
# name: side of the image, config.
NARROW = {"d0": (128, "efficientdet_d0_coco"), "d7x": (96, "efficientdet_d7x_coco")}


def narrow(name):
    """One narrow network: config, overrides, state dict, image and the reference's outputs."""
    size, config = NARROW[name]
    with np.load(FOLDER / f"effdet_{name}.npz") as stored:
        stored = dict(stored)
    shapes = json.loads(str(stored.pop("shapes")))
    state, statistics = random_weights(shapes, SEED), stored.pop("statistics")
    for key, shape in shapes.items():
        if "running" in key:
            state[key], statistics = statistics[: shape[0]], statistics[shape[0] :]
        elif "num_batches" in key:
            state[key] = np.zeros(shape, "int64")
    assert not len(statistics)
    state = {key: state[key] for key in shapes}
    return config, list(NARROW_OVERRIDES), state, random_image(1, size, SEED), stored


def listed():
    """{network: {name: shape}}."""
    return json.loads(lzma.decompress((FOLDER / "effdet_names.json.xz").read_bytes()))


def hollow(shapes):
    """A state dict of these names that takes no memory: zeros."""
    return {
        name: np.broadcast_to(np.int64(0) if "num_batches" in name else np.float32(0), shape)
        for name, shape in shapes.items()
    }


def levels_first(state):
    """The state dict after the reference's toggle_head_bn_level_first()."""
    toggled = {}
    for name, value in state.items():
        parts = name.split(".")
        if parts[1] == "bn_rep":
            net, place, repeat, level, _, leaf = parts
            name = ".".join((net, place, level, repeat, leaf))
        toggled[name] = value
    return toggled
