"""A training in a static graph (`--to_static`) has the losses of one without, to rounding."""

import numpy as np
import paddle
import pytest

from ppdet_ext.config import load_config

from ..training.tiny import EFFICIENTDET, PPYOLOE, SIZE, YOLOV6, make_workplace


def batch(epoch):
    random = np.random.RandomState(0)
    corners = random.uniform(0, SIZE / 2, [2, 3, 2])
    boxes = np.concatenate([corners, corners + random.uniform(12, 32, [2, 3, 2])], -1)
    return {
        "image": paddle.to_tensor(random.rand(2, 3, SIZE, SIZE).astype("float32")),
        "gt_class": paddle.to_tensor(random.randint(0, 10, (2, 3, 1)).astype("int32")),
        "gt_bbox": paddle.to_tensor(boxes.astype("float32")),
        "pad_gt_mask": paddle.ones([2, 3, 1]),
        "epoch_id": epoch,
    }


def losses(config, epoch, static):
    from ppdet.core.workspace import create

    paddle.seed(0)
    model = create(config.architecture)
    model.train()
    outputs = (paddle.jit.to_static(model) if static else model)(batch(epoch))
    return {name: float(value) for name, value in outputs.items() if "loss" in name}


@pytest.mark.parametrize(
    "family, epoch",
    [
        pytest.param(PPYOLOE, 0, id="PP-YOLOE-ATSS"),
        pytest.param(PPYOLOE, 5, id="PP-YOLOE-TAL"),
        pytest.param(YOLOV6, 5, id="YOLOv6", marks=pytest.mark.slow),
        pytest.param(EFFICIENTDET, 0, id="EfficientDet", marks=pytest.mark.slow),
    ],
)
def test_losses_are_the_same(family, epoch, tmp_path):
    config = load_config(str(make_workplace(tmp_path, train=1, family=family) / "tiny.yml"))
    expected = losses(config, epoch, static=False)
    assert expected["loss"] > 0
    assert losses(config, epoch, static=True) == pytest.approx(expected, rel=1e-6)
