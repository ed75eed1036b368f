"""YOLOv6's published sizes: parameters to the last one, and multiply-accumulates."""

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
from pathlib import Path

import paddle
import pytest
from ppdet.core.workspace import create

from ppdet_ext.config import load_config
from ppdet_ext.nn import reparameterize
from ppdet_ext.nn.cost import multiply_accumulates, trainable_parameters

CONFIGS = Path(__file__).resolve().parents[2] / "configs" / "yolov6"
# The reference counts the values of its bins, 0..16, among the parameters, twice.
BINS = 34
# Counted on meituan/YOLOv6 (0.4, and 0.2 for v2) with its own classes: parameters in training form, without
# the anchor-aided branch, and deployed; GMACs of the deployed convolutions at a side in pixels.
COUNTS = {
    "n": (5_058_270, 4_646_974, 5.6580, 640),
    "s": (20_147_358, 18_537_310, 22.4834, 640),
    "m": (37_740_982, 34_855_958, 42.5429, 640),
    "l": (59_638_731, 59_607_563, 74.7332, 640),
    "n6": (11_239_346, 10_373_970, 24.6657, 1280),
    "s6": (44_797_426, 41_394_482, 98.0509, 1280),
    "m6": (85_490_770, 79_640_114, 187.6365, 1280),
    "l6": (140_413_550, 140_359_342, 332.9147, 1280),
    "v2_n": (4_737_566, 4_317_246, 5.5204, 640),
    "v2_s": (18_869_022, 17_220_446, 21.9329, 640),
}
SIDE = 64
# Beyond so many parameters a model takes seconds to be made.
LARGE = 30e6


@pytest.mark.parametrize(
    "size", [pytest.param(s, marks=pytest.mark.slow) if c[0] > LARGE else s for s, c in COUNTS.items()]
)
def test_published_counts(size):
    training, deployed, gmacs, side = COUNTS[size]
    config = load_config(str(CONFIGS / f"yolov6_{size}_coco.yml"), ["EfficientRepHead.anchor_aided=false"])
    model = create(config.architecture)
    model.eval()
    assert trainable_parameters(model) == training - BINS
    reparameterize(model)
    assert trainable_parameters(model) == deployed - BINS
    image = {"image": paddle.zeros([1, 3, SIDE, SIDE])}
    macs = multiply_accumulates(model, lambda: model.yolo_head(model.features(image)))
    assert macs * (side / SIDE) ** 2 / 1e9 == pytest.approx(gmacs, rel=5e-3)


def test_the_anchor_aided_branch_is_not_deployed():
    """Three anchors a cell, 80 classes and 4 numbers each, on maps of 32, 64 and 128 channels."""
    model = create(load_config(str(CONFIGS / "yolov6_n_coco.yml")).architecture)
    model.eval()
    branch = sum(3 * 84 * (width + 1) for width in (32, 64, 128))
    assert trainable_parameters(model) == COUNTS["n"][0] - BINS + branch
    reparameterize(model)
    assert trainable_parameters(model) == COUNTS["n"][1] - BINS
