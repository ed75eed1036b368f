"""YOLOv6: what each branch of the head learns, and what training alone has."""

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import numpy as np
import paddle
import pytest

from ppdet_ext.nn import reparameterize

from ..nn.reference import array, relative_error
from .upstream import make_batch, train
from .yolov6_models import (
    CLASSES,
    DIRECT,
    HEAD,
    NARROW,
    batch_of,
    build,
    distances_in_numpy,
    outputs_of,
    prepared,
)

WEIGHTS = {
    "loss_cls": 1.0,
    "loss_iou": 2.5,
    "loss_dfl": 0.5,
    "loss_direct_iou": 2.5,
    "loss_aided_cls": 1.0,
    "loss_aided_iou": 2.5,
}


def wake(head):
    """Prediction kernels start from 0, through which nothing flows back; this gives them values."""
    paddle.seed(1)
    aided = [head.anchor_aided] if head.anchor_aided is not None else []
    for part in [head.pred_cls, head.pred_reg, *filter(None, [head.pred_direct])]:
        aided.append(part)
    for part in aided:
        for conv in part.sublayers():
            if isinstance(conv, paddle.nn.Conv2D):
                conv.weight.set_value(paddle.randn(conv.weight.shape) * 0.02)


ALL_BRANCHES = {**DIRECT, "anchor_aided": True}


@pytest.mark.parametrize("gts", [(4, 2), (4, 0), (0, 0)], ids=["boxes", "one image without", "no box"])
def test_every_branch_learns(gts):
    model = build("yolov6_n_coco", {HEAD: ALL_BRANCHES, **NARROW})
    wake(model.yolo_head)
    losses = train(model, make_batch(96, gts=gts, classes=CLASSES))
    assert set(losses) == {"loss", "loss_l1", *WEIGHTS}
    assert losses["loss"] == pytest.approx(sum(w * losses[k] for k, w in WEIGHTS.items()), rel=1e-5)
    for name in WEIGHTS:
        background = "cls" in name
        assert (losses[name] > 0) == (background or any(gts)), name
    for name, parameter in model.named_parameters():
        if parameter.stop_gradient:
            continue
        assert parameter.grad is not None and np.isfinite(parameter.grad.numpy()).all(), name
        if ".pred_" in name:  # 0 is what a distributed run waits for
            boxes = ".pred_reg." in name or ".pred_direct." in name
            assert (np.abs(parameter.grad.numpy()).max() > 0) == (any(gts) or not boxes), name
    assert np.abs(model.backbone.stem.conv1.conv.weight.grad.numpy()).max() > 0


@pytest.mark.parametrize("direct", [False, True])
@pytest.mark.parametrize("aided", [False, True])
def test_losses_are_those_of_the_branches_there_are(direct, aided):
    options = {"reg_max": 16, "direct_boxes": direct, "anchor_aided": aided}
    model = build("yolov6_n_coco", {HEAD: options, **NARROW})
    losses = train(model, make_batch(96, classes=CLASSES))
    absent = [] if direct else ["loss_direct_iou"]
    absent += [] if aided else ["loss_aided_cls", "loss_aided_iou"]
    assert set(losses) == {"loss", "loss_l1", *WEIGHTS} - set(absent)
    expected = sum(w * losses[k] for k, w in WEIGHTS.items() if k in losses)
    assert losses["loss"] == pytest.approx(expected, rel=1e-5)
    prefixes = {name.split(".")[1] for name in model.state_dict() if name.startswith("yolo_head.")}
    assert ("pred_direct" in prefixes, "anchor_aided" in prefixes) == (direct, aided)


def test_what_only_training_has_is_dropped_in_deployment():
    model = build("yolov6_n_coco", {HEAD: ALL_BRANCHES, **NARROW})
    model.eval()
    reparameterize(model)
    plain = build(
        "yolov6_n_coco", {HEAD: {"anchor_aided": False}, **NARROW}
    )  # without distributions from the start
    plain.eval()
    reparameterize(plain)
    shapes, expected = (
        {key: tuple(value.shape) for key, value in one.state_dict().items()} for one in (model, plain)
    )
    assert shapes == expected
    assert model.yolo_head.reg_max == 0


def test_the_anchor_aided_branch_changes_no_prediction():
    model = prepared("n")
    batch = batch_of(64, 64)
    expected = outputs_of(model, batch)
    for parameter in model.yolo_head.anchor_aided.parameters():
        parameter.set_value(parameter * 0 + 9)
    for value, wanted in zip(outputs_of(model, batch), expected):
        np.testing.assert_array_equal(value, wanted)


def level_distances(model, batch, convs, bins):
    """[B, L, 4] as NumPy makes it of what these convolutions say."""
    head, feats = model.yolo_head, model.features(batch)
    made = []
    for level, feat in enumerate(feats):
        _, boxes = head._branches(level, feat)
        made.append(distances_in_numpy(array(convs[level](boxes)), bins))
    return np.concatenate(made, 1)


def test_evaluation_takes_the_direct_boxes_and_a_teacher_the_distributions():
    model, batch = prepared("n, direct"), batch_of(64, 96)
    head = model.yolo_head
    direct = level_distances(model, batch, head.pred_direct, 1)
    teaching = level_distances(model, batch, head.pred_reg, 17)
    assert relative_error(direct, teaching) > 0.1
    assert relative_error(outputs_of(model, batch)[1], direct) <= 1e-5
    levels = [boxes.shape[1] for _, boxes in head.predict_levels(model.features(batch))]
    assert levels == [4] * 3
    head.keep_distributions()
    assert relative_error(outputs_of(model, batch)[1], teaching) <= 1e-5
    levels = [boxes.shape[1] for _, boxes in head.predict_levels(model.features(batch))]
    assert levels == [4 * 17] * 3
    assert not [key for key in model.state_dict() if "pred_direct" in key or "anchor_aided" in key]


def test_boxes_are_direct_in_the_deployed_form_too():
    model, batch = prepared("n, direct"), batch_of(64, 64)
    direct = level_distances(model, batch, model.yolo_head.pred_direct, 1)
    reparameterize(model)
    assert relative_error(outputs_of(model, batch)[1], direct) <= 1e-4
    assert [conv.weight.shape[0] for conv in model.yolo_head.pred_reg] == [4] * 3
    assert not hasattr(model.yolo_head.proj_conv, "weight")
