"""Small networks that teach themselves, and the images that they are taught on."""

import copy
import functools

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import pytest
from ppdet.core.workspace import create

from ppdet_ext.config import load_config
from tests.modeling.steady import steady
from tests.modeling.upstream import make_batch
from tests.nn.reference import random_input
from tests.training.tiny import ROOT

CLASSES, SIDE, HEAD = 10, 64, "EfficientRepHead"
SMALL = {"width_mult": 0.125, "depth_mult": 0.1}
# Networks whose head predicts distributions: n and s, whose inference does without, the larger ones, another.
FORMS = {
    "n": ("yolov6_nano_demo", {HEAD: {"reg_max": 16, "direct_boxes": True, "anchor_aided": False}}),
    "m": ("yolov6_nano_demo", {HEAD: {"reg_max": 16, "anchor_aided": False}}),
    "PP-YOLOE": ("ppyoloe_nano_demo", {}),
}
all_forms = pytest.mark.parametrize("form", FORMS)


@functools.lru_cache(maxsize=None)
def original(form, **head):
    config, overrides = FORMS[form]
    if head:
        overrides = {HEAD: {**overrides[HEAD], **head}}
    config = load_config(str(ROOT / "configs" / "demo" / f"{config}.yml"), {**SMALL, **overrides})
    return steady(create(config.architecture), random_input(2, 3, 2 * SIDE, 2 * SIDE))


def detector(form="n", **head):
    """A network of random weights, the same ones each time."""
    return copy.deepcopy(original(form, **head))


def batch(epoch=0, objects=True):
    """The same images, with their boxes or without."""
    made = make_batch(SIDE, gts=(4, 3), classes=CLASSES, epoch=epoch)
    made["pad_gt_mask"] = made["pad_gt_mask"] * float(objects)
    return made
