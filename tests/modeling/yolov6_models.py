"""Small YOLOv6 of every way of building, with weights as if trained."""

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import numpy as np
import paddle
import pytest
from ppdet.core.workspace import create

from ppdet_ext.config import load_config

from ..nn.reference import random_input
from .steady import steady
from .upstream import CONFIGS, raw_outputs

CLASSES = 7
BACKBONE, NECK, HEAD = "EfficientRep", "RepBiFPAN", "EfficientRepHead"
NARROW = {"width_mult": 0.125, "depth_mult": 0.33}
DIRECT = {"reg_max": 16, "direct_boxes": True}
# Config and what is overridden: every way of building, in widths that take a second. The paths of m's stages
# are two thirds as wide as the stage: 0.375 keeps that a whole number.
FORMS = {
    "n": ("yolov6_n_coco", {}),
    "n, direct": ("yolov6_n_coco", {HEAD: DIRECT, **NARROW}),
    "s, qarepvgg": ("yolov6_s_qarep_coco", NARROW),
    "s, heavier head": ("yolov6_s_rep_head_coco", NARROW),
    "m": ("yolov6_m_coco", {**NARROW, "width_mult": 0.375}),
    "l": ("yolov6_l_coco", NARROW),
    "v2": ("yolov6_v2_n_coco", {}),
    "n6": ("yolov6_n6_coco", {}),
    "l6": ("yolov6_l6_coco", NARROW),
}
all_forms = pytest.mark.parametrize("form", FORMS)


def build(config, overrides=None):
    paddle.seed(0)
    cfg = load_config(
        str(CONFIGS / "yolov6" / f"{config}.yml"), {"num_classes": CLASSES, **(overrides or {})}
    )
    return create(cfg.architecture)


def strides_of(form):
    return [64, 32, 16, 8] if "6_" in FORMS[form][0].partition("yolov6_")[2] else [32, 16, 8]


def prepared(form):
    side = 4 * strides_of(form)[0]
    return steady(build(*FORMS[form]), random_input(2, 3, side, side, seed=5))


def batch_of(height, width, seed=6):
    return {"image": random_input(2, 3, height, width, seed=seed)}


def outputs_of(model, batch):
    return [output.numpy() for output in raw_outputs(model, batch)]


def norms(model):
    return [layer for layer in model.sublayers() if isinstance(layer, paddle.nn.BatchNorm2D)]


def distances_in_numpy(regression, bins):
    """[B, 4 * bins, h, w] to [B, h w, 4], the mean of each side's distribution."""
    values = regression.reshape(len(regression), 4, bins, -1)
    if bins == 1:
        return values[:, :, 0].transpose(0, 2, 1)
    weights = np.exp(values - values.max(2, keepdims=True))
    weights /= weights.sum(2, keepdims=True)
    return (weights * np.arange(bins)[:, None]).sum(2).transpose(0, 2, 1)
