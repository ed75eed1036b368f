"""Losses and assigners in mixed precision: nothing in them is of the kind that O1 does in half precision."""

import contextlib

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import paddle
import pytest
from paddle.base import core
from ppdet.core.workspace import create

from ppdet_ext.config import load_config

from .upstream import CONFIGS, make_batch

CLASSES = 5
# Names by which Paddle's list of operators in use and its white list of O1 know one another.
HALF = {"conv2d", "depthwise_conv2d", "einsum", "matmul", "matmul_v2", "bmm", "mul", "max_pool2d_with_index"}
HEADS = {
    "PP-YOLOE, ATSS": ("ppyoloe", {}, 0),
    "PP-YOLOE, TAL": ("ppyoloe", {}, 200),
    "PP-YOLOE, SimOTA": ("ppyoloe", {"ETHead": {"assigner": "SimOTALabelAssigner"}}, 200),
    "YOLOv6 with every branch": (
        "yolov6",
        {"EfficientRepHead": {"reg_max": 16, "direct_boxes": True, "iou_loss": "siou"}},
        0,
    ),
    "EfficientDet": ("efficientdet", {"EfficientNet": {"width_mult": 0.25, "depth_mult": 0.33}}, 0),
}


@contextlib.contextmanager
def operators():
    """The names of the operators that run meanwhile."""
    found = set()
    core.clear_low_precision_op_list()
    paddle.set_flags({"FLAGS_low_precision_op_list": 1})
    try:
        yield found
    finally:
        paddle.set_flags({"FLAGS_low_precision_op_list": 0})
        found.update(core.get_low_precision_op_list())


def test_the_list_is_a_list():
    with operators() as found:
        paddle.matmul(paddle.ones([2, 3]), paddle.ones([3, 2]))
    assert "matmul_v2" in found and found & HALF == {"matmul_v2"}


@pytest.mark.parametrize("name", HEADS)
def test_losses_are_in_full_precision(name):
    family, sections, epoch = HEADS[name]
    small = {"num_classes": CLASSES, "width_mult": 0.25, "depth_mult": 0.33, **sections}
    model = create(load_config(str(CONFIGS / "_base_" / "models" / f"{family}.yml"), small).architecture)
    model.train()
    model.head.set_class_weight([1.0, 2.0, 1.0, 1.0, 0.5])
    batch = make_batch(128, classes=CLASSES, epoch=epoch)
    feats = [feat.detach() for feat in model.features(batch)]
    with operators() as found:
        losses = model.head(feats, batch)
    # Its predictions alone: what they are turned into is in float32, whatever they come in.
    assert found & HALF <= {"conv2d", "depthwise_conv2d"} and "conv2d" in found
    assert {str(value.dtype) for value in losses.values()} == {"paddle.float32"}
    assert all(float(value) >= 0 for value in losses.values()) and float(losses["loss"]) > 0
