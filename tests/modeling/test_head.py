"""ETHead and what it is made of: options, edge cases, anchors, losses, post-processing."""

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import math
from functools import partial

import numpy as np
import paddle
import pytest
from ppdet.core.workspace import create
from ppdet.modeling.layers import MultiClassNMS
from ppdet.modeling.shape_spec import ShapeSpec

from ppdet_ext.config import load_config
from ppdet_ext.modeling import anchors
from ppdet_ext.modeling.assigners import ATSSLabelAssigner, TALLabelAssigner
from ppdet_ext.modeling.heads import ETHead
from ppdet_ext.modeling.losses import (
    IOU_LOSSES,
    distribution_focal_loss,
    focal_loss,
    giou_loss,
    siou_loss,
    varifocal_loss,
)

from ..nn.reference import sigmoid
from .upstream import CONFIGS, make_batch, parameter_count

CLASSES = 7
# The labels' dtype is that of PaddleDetection's reader, on either Paddle.
small_batch = partial(make_batch, 96, classes=CLASSES, label_dtype="int32")
SMALL = {"num_classes": CLASSES, "width_mult": 0.25, "depth_mult": 0.33}


def build(**sections):
    """A small PP-YOLOE with sections of its config overridden."""
    config = load_config(str(CONFIGS / "_base_" / "models" / "ppyoloe.yml"), {**SMALL, **sections})
    paddle.seed(0)
    return create(config.architecture)


def wake(model):
    """Prediction kernels start from 0, through which nothing flows back; this gives them values."""
    for conv in [*model.yolo_head.pred_cls, *model.yolo_head.pred_reg]:
        conv.weight.set_value(paddle.randn(conv.weight.shape) * 0.02)
    return model


# --- options ------------------------------------------------------------------------------------------------

BACKBONE, NECK, HEAD = "CSPRepResNet", "CSPRepPAN", "ETHead"
# Sections that change, and the sign of the change in parameters.
OPTIONS = {
    "no DFL": ({HEAD: {"reg_max": 0}}, -1),
    "fewer bins": ({HEAD: {"reg_max": 7}}, -1),
    "no ESE in the head": ({HEAD: {"use_ese": False}}, -1),
    "no ESE in the backbone": ({BACKBONE: {"ese": "none"}}, -1),
    "ESE in the backbone's blocks": ({BACKBONE: {"ese": "block"}}, -1),
    "ESE in the neck's blocks": ({NECK: {"ese": "block"}}, +1),
    "no RepVGG": ({BACKBONE: {"use_rep": False}, NECK: {"use_rep": False}}, -1),
    "depthwise": ({BACKBONE: {"depth_wise": True}, NECK: {"depth_wise": True}}, -1),
    "small stem": ({BACKBONE: {"use_large_stem": False}}, -1),
    "alpha": ({BACKBONE: {"use_alpha": True}, NECK: {"use_alpha": True}}, +1),
    "no SPP": ({NECK: {"spp": False}}, -1),
    "two stages a node": ({NECK: {"stage_num": 2}}, +1),
    "DropBlock": ({NECK: {"drop_block": True}}, 0),
    "stem ese_rep": ({HEAD: {"stem": "ese_rep"}}, +1),
    "stem rep_ese": ({HEAD: {"stem": "rep_ese"}}, +1),
    "stem rep_ese without its ESE": ({HEAD: {"stem": "rep_ese", "use_ese": False}}, +1),
    "QARepVGG": ({BACKBONE: {"rep_block": "qarepvgg"}, NECK: {"rep_block": "qarepvgg"}}, 0),
    "stem ese_rep of QARepVGG": ({HEAD: {"stem": "ese_rep", "rep_block": "qarepvgg"}}, +1),
    "stem rep_ese of QARepVGG": ({HEAD: {"stem": "rep_ese", "rep_block": "qarepvgg"}}, +1),
    "relu": ({BACKBONE: {"act": "relu"}, NECK: {"act": "relu"}, HEAD: {"act": "relu"}}, 0),
    "swish spelt out": ({"trt": True}, 0),
    "focal loss": ({HEAD: {"use_varifocal_loss": False}}, 0),
    "ATSS alone": ({HEAD: {"assigner": None}}, 0),
    "TAL from the start": ({HEAD: {"static_assigner_epoch": 0}}, 0),
    "TAL with a centre radius": (
        {HEAD: {"assigner": {"name": "TALLabelAssigner", "center_radius": 2.5, "score": "alignment"}}},
        0,
    ),
    "SimOTA from the start": ({HEAD: {"assigner": "SimOTALabelAssigner", "static_assigner": None}}, 0),
    "SimOTA after ATSS": ({HEAD: {"assigner": "SimOTALabelAssigner"}}, 0),
    "SIoU": ({HEAD: {"iou_loss": "siou"}}, 0),
    "small objects": ({HEAD: {"assigner": {"name": "TALLabelAssigner", "topk": 20, "beta": 4.0}}}, 0),
}


@pytest.fixture(scope="module")
def published():
    return parameter_count(build())


def train(model, batch):
    """One backward pass; the loss terms as floats."""
    model.train()
    model.clear_gradients()
    losses = model(batch)
    losses["loss"].backward()
    return {key: float(value) for key, value in losses.items()}


@pytest.mark.parametrize("option", OPTIONS)
def test_option_trains_and_predicts(option, published):
    sections, direction = OPTIONS[option]
    model = wake(build(**sections))
    assert np.sign(parameter_count(model) - published) == direction
    for epoch in (0, 200):
        losses = train(model, small_batch(epoch=epoch))
        weights = {"class": 1.0, "iou": 2.5, "dfl": 0.5}
        total = sum(
            losses[f"loss_{name}"] * weights[key]
            for key, name in (("class", "cls"), ("iou", "iou"), ("dfl", "dfl"))
        )
        assert losses["loss"] == pytest.approx(total, rel=1e-5)
        assert losses["loss_cls"] > 0 and losses["loss_iou"] > 0
        assert (losses["loss_dfl"] > 0) == (option != "no DFL")
        for name, parameter in model.named_parameters():
            if not parameter.stop_gradient:
                assert parameter.grad is not None, name
                assert np.isfinite(parameter.grad.numpy()).all(), name
        assert np.abs(model.backbone.stem.conv1.conv.weight.grad.numpy()).max() > 0
    model.eval()
    with paddle.no_grad():
        batch = small_batch()
        scores, distances, points, strides = model.yolo_head(model.features(batch))
        predicted = model(batch)
    length = 9 + 36 + 144
    assert [list(t.shape) for t in (scores, distances, points, strides)] == [
        [2, CLASSES, length],
        [2, length, 4],
        [length, 2],
        [length, 1],
    ]
    boxes, counts = predicted["bbox"].numpy(), predicted["bbox_num"].numpy()
    assert counts.min() > 0 and boxes.shape == (counts.sum(), 6) and np.isfinite(boxes).all()


def test_the_assigner_decides_from_its_epoch_on():
    """With `assigner: ~` the static one goes on; otherwise the loss changes at the epoch."""

    def loss(model, epoch):
        return train(model, small_batch(epoch=epoch))["loss_iou"]

    both, static = build(), build(**{HEAD: {"assigner": None}})
    assert loss(both, 99) == pytest.approx(loss(static, 99), rel=1e-5)
    assert loss(both, 100) != pytest.approx(loss(both, 99), rel=1e-3)
    assert loss(static, 100) == pytest.approx(loss(static, 99), rel=1e-5)


def test_loss_weights_and_their_defaults():
    batch = small_batch()
    losses = train(build(**{HEAD: {"loss_weight": {"class": 0.0, "iou": 0.0, "dfl": 3.0}}}), batch)
    assert losses["loss"] == pytest.approx(3.0 * losses["loss_dfl"], rel=1e-5)
    weights = ETHead(assigner=None, loss_weight={"dfl": 2.0}).loss_weight
    assert weights == {"class": 1.0, "iou": 2.5, "dfl": 2.0}


@pytest.mark.parametrize("trt", [False, True])
def test_trt_reaches_the_nms(trt):
    nms = MultiClassNMS()
    ETHead(assigner=None, nms=nms, trt=trt)
    assert nms.trt is trt


# --- edge cases ---------------------------------------------------------------------------------------------


def without_boxes(epoch, padding):
    batch = small_batch(gts=(padding, padding), epoch=epoch)
    batch["pad_gt_mask"] = batch["pad_gt_mask"] * 0
    return batch


@pytest.mark.parametrize("reg_max", [16, 0])
@pytest.mark.parametrize("padding", [0, 3], ids=["n is 0", "all padded"])
@pytest.mark.parametrize("epoch", [0, 200], ids=["ATSS", "TAL"])
def test_a_batch_without_boxes_trains(epoch, padding, reg_max):
    model = wake(build(**{HEAD: {"reg_max": reg_max}}))
    losses = train(model, without_boxes(epoch, padding))
    assert losses["loss_cls"] > 0 and math.isfinite(losses["loss"])
    assert losses["loss"] == losses["loss_cls"] and losses["loss_iou"] == losses["loss_dfl"] == 0
    head = model.yolo_head
    for conv in head.pred_reg:  # there, for a distributed run that waits for it, and 0
        np.testing.assert_array_equal(conv.weight.grad.numpy(), np.zeros(conv.weight.shape))
    assert all(np.abs(conv.weight.grad.numpy()).max() > 0 for conv in head.pred_cls)
    for name, parameter in model.named_parameters():
        if not parameter.stop_gradient:
            assert parameter.grad is not None and np.isfinite(parameter.grad.numpy()).all(), name


@pytest.mark.parametrize("epoch", [0, 200], ids=["ATSS", "TAL"])
def test_the_loss_of_a_batch_without_boxes_is_that_of_background(epoch):
    model = wake(build())
    weights = {key: value.numpy().copy() for key, value in model.state_dict().items()}
    batch = without_boxes(epoch, 3)
    loss = train(model, batch)["loss_cls"]
    model.set_state_dict({key: paddle.to_tensor(value) for key, value in weights.items()})
    model.train()
    head = model.yolo_head
    logits = [outputs[0].numpy() for outputs in head.predict_levels(model.features(batch))]
    x = np.concatenate([level.ravel() for level in logits]).astype("float64")
    expected = (0.75 * sigmoid(x) ** 2 * np.log1p(np.exp(x))).sum()
    assert loss == pytest.approx(expected, rel=1e-4)


def test_an_image_without_boxes_beside_one_with():
    losses = train(wake(build()), small_batch(gts=(4, 0)))
    assert 0 < losses["loss"] < 1e4 and losses["loss_iou"] > 0


def test_padding_changes_nothing():
    """Rows of padding, with rubbish in them, give the loss of the boxes alone."""
    model = wake(build(**{NECK: {"drop_block": False}}))
    weights = {key: value.numpy().copy() for key, value in model.state_dict().items()}
    results = []
    for extra in (0, 4):
        model.set_state_dict({key: paddle.to_tensor(value) for key, value in weights.items()})
        batch = small_batch(gts=(3, 3), epoch=200)
        if extra:
            boxes = paddle.to_tensor(np.tile(np.float32([0, 0, 1, 1]), (2, extra, 1)))
            batch["gt_bbox"] = paddle.concat([batch["gt_bbox"], boxes], axis=1)
            for key in ("gt_class", "pad_gt_mask"):
                filler = paddle.zeros([2, extra, 1], batch[key].dtype)
                batch[key] = paddle.concat([batch[key], filler], axis=1)
        results.append(train(model, batch))
    assert results[0] == pytest.approx(results[1], rel=1e-5)


def specs(*strides):
    return [ShapeSpec(channels=64, stride=stride) for stride in strides]


def test_strides_that_disagree_name_the_level():
    config = {"fpn_strides": [32, 16, 8]}
    with pytest.raises(
        ValueError,
        match=r"level 1 comes with stride 8 but fpn_strides says 16; "
        r"set fpn_strides: \[32, 8, 4\]",
    ):
        ETHead.from_config(config, specs(32, 8, 4))
    with pytest.raises(ValueError, match="level 0 comes with stride 8 but fpn_strides says 32"):
        ETHead.from_config(config, specs(8, 16, 32))
    with pytest.raises(ValueError, match="gives 4 levels but fpn_strides has 3"):
        ETHead.from_config(config, specs(64, 32, 16, 8))
    assert ETHead.from_config(config, specs(32, 16, 8)) == {"in_channels": [64] * 3}
    assert ETHead.from_config(config, specs(None, None, None)) == {"in_channels": [64] * 3}


def test_wrong_strides_of_a_config_are_found_before_training():
    with pytest.raises(ValueError, match="ETHead: level 0 comes with stride 32 but fpn_strides says 64"):
        build(**{HEAD: {"fpn_strides": [64, 32, 16]}})


@pytest.mark.parametrize(
    "options, message",
    [
        ({"stem": "ese_conf"}, "stem 'ese_conf' is none of .*ese_conv"),
        ({"iou_loss": "diou"}, "iou_loss 'diou' is none of .*giou"),
    ],
)
def test_unknown_options_name_the_known(options, message):
    with pytest.raises(ValueError, match=message):
        ETHead(assigner=None, **options)


def test_a_missing_feature_map_is_named():
    head = ETHead(in_channels=[8], fpn_strides=[32], num_classes=3, assigner=None)
    with pytest.raises(ValueError, match="2 feature maps for 1 fpn_strides"):
        head([paddle.zeros([1, 8, 2, 2])] * 2)


# --- anchors ------------------------------------------------------------------------------------------------


def test_anchor_points():
    feats = [paddle.zeros([1, 4, 2, 3]), paddle.zeros([1, 4, 3, 5])]
    points, strides, counts = anchors.anchor_points(feats, (16, 8))
    expected = [(x + 0.5, y + 0.5) for h, w in ((2, 3), (3, 5)) for y in range(h) for x in range(w)]
    np.testing.assert_array_equal(points.numpy(), np.float32(expected))
    np.testing.assert_array_equal(strides.numpy(), np.float32([[16]] * 6 + [[8]] * 15))
    assert counts == [6, 15]
    shifted, _, _ = anchors.anchor_points(feats, (16, 8), offset=0.0)
    np.testing.assert_array_equal(shifted.numpy(), np.float32(expected) - 0.5)


def test_anchor_points_are_fresh_every_time():
    """What a caller does to them in place does not reach the next call."""
    feats = [paddle.zeros([1, 4, 2, 3])]
    first, strides, _ = anchors.anchor_points(feats, (16,))
    first.scale_(0.0)
    strides.scale_(0.0)
    again, strides, _ = anchors.anchor_points(feats, (16,))
    assert again.numpy().min() == 0.5 and strides.numpy().min() == 16


def test_grid_boxes():
    points, strides = paddle.to_tensor([[8.0, 24.0], [4.0, 4.0]]), paddle.to_tensor([[16.0], [8.0]])
    np.testing.assert_array_equal(
        anchors.grid_boxes(points, strides, 5.0).numpy(), np.float32([[-32, -16, 48, 64], [-16, -16, 24, 24]])
    )


def test_boxes_and_distances_are_inverse():
    rng = np.random.default_rng(0)
    points = rng.uniform(5, 10, (20, 2)).astype("float32")
    distances = rng.uniform(0, 5, (3, 20, 4)).astype("float32")
    boxes = anchors.distances_to_boxes(paddle.to_tensor(points), paddle.to_tensor(distances))
    expected = np.concatenate([points - distances[..., :2], points + distances[..., 2:]], -1)
    np.testing.assert_allclose(boxes.numpy(), expected, rtol=1e-6)
    back = anchors.boxes_to_distances(paddle.to_tensor(points), boxes, 100)
    np.testing.assert_allclose(back.numpy(), distances, atol=1e-5)


def test_distances_stay_inside_their_range():
    points, boxes = paddle.to_tensor([[4.0, 4.0]]), paddle.to_tensor([[5.0, -90.0, 4.5, 6.0]])
    distances = anchors.boxes_to_distances(points, boxes, 15.99).numpy()
    np.testing.assert_allclose(distances, [[0, 15.99, 0.5, 2]], rtol=1e-6)


# --- losses -------------------------------------------------------------------------------------------------


def scene(seed=0, size=60, positives=11):
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 3, size).astype("float32")
    index = rng.choice(size, positives, replace=False)
    targets = rng.uniform(0, 1, positives).astype("float32")
    return logits, index, targets


def cross_entropy(x, q):
    return np.maximum(x, 0) - x * q + np.log1p(np.exp(-np.abs(x)))


def dense(x, index, targets):
    x = np.asarray(x, "float64")
    q, positive = np.zeros_like(x), np.zeros_like(x, bool)
    q[index], positive[index] = targets, True
    return x, q, positive


def varifocal_numpy(x, index, targets, alpha=0.75, gamma=2.0):
    x, q, positive = dense(x, index, targets)
    weight = np.where(positive, q, alpha * sigmoid(x) ** gamma)
    return (weight * cross_entropy(x, q)).sum()


def focal_numpy(x, index, targets, alpha=0.25, gamma=2.0):
    x, q, _ = dense(x, index, targets)
    weight = np.abs(sigmoid(x) - q) ** gamma
    if alpha > 0:
        weight = weight * (alpha * q + (1 - alpha) * (1 - q))
    return (weight * cross_entropy(x, q)).sum()


CLASSIFICATION = {
    "varifocal": (varifocal_loss, varifocal_numpy, {}),
    "varifocal, other weights": (varifocal_loss, varifocal_numpy, {"alpha": 0.5, "gamma": 1.5}),
    "focal": (focal_loss, focal_numpy, {}),
    "focal, no balance": (focal_loss, focal_numpy, {"alpha": -1.0}),
}


def numeric_gradient(function, x, step=1e-5):
    x = np.asarray(x, "float64")
    gradient = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        ahead, behind = x.copy(), x.copy()
        ahead[place] += step
        behind[place] -= step
        gradient[place] = (function(ahead) - function(behind)) / (2 * step)
    return gradient


@pytest.mark.parametrize("positives", [11, 0])
@pytest.mark.parametrize("kind", CLASSIFICATION)
def test_classification_loss_and_gradient(kind, positives):
    loss, formula, options = CLASSIFICATION[kind]
    logits, index, targets = scene(positives=positives)
    x = paddle.to_tensor(logits, stop_gradient=False)
    value = loss(x, paddle.to_tensor(index.astype("int64")), paddle.to_tensor(targets), **options)
    assert float(value) == pytest.approx(formula(logits, index, targets, **options), rel=1e-5)
    value.backward()
    expected = numeric_gradient(lambda v: formula(v, index, targets, **options), logits)
    np.testing.assert_allclose(x.grad.numpy(), expected, rtol=1e-3, atol=1e-4)


def test_classification_loss_stays_finite_at_extreme_logits():
    logits = np.float32([-200, -90, 90, 200, -200, 200])
    for loss, formula, options in CLASSIFICATION.values():
        x = paddle.to_tensor(logits, stop_gradient=False)
        value = loss(x, paddle.to_tensor([4, 5]), paddle.to_tensor([0.9, 0.1]), **options)
        value.backward()
        assert float(value) == pytest.approx(formula(logits, [4, 5], [0.9, 0.1], **options), rel=1e-5)
        assert np.isfinite(x.grad.numpy()).all()


def test_the_epoch_sets_the_balance_of_the_focal_loss():
    logits, index, targets = scene()
    arguments = paddle.to_tensor(logits), paddle.to_tensor(index), paddle.to_tensor(targets)
    for balance in (0.25, -1.0):
        value = float(focal_loss(*arguments, alpha=0.6, epoch_alpha=balance))
        assert value == pytest.approx(focal_numpy(logits, index, targets, alpha=balance), rel=1e-5)
    assert float(varifocal_loss(*arguments, epoch_alpha=0.1)) == float(varifocal_loss(*arguments))


def test_distribution_focal_loss_and_gradient():
    rng = np.random.default_rng(2)
    logits = rng.normal(0, 1, (3, 4, 9)).astype("float32")
    targets = rng.uniform(0, 7.99, (3, 4)).astype("float32")
    targets[0, 0], targets[0, 1] = 3.0, 0.0  # on a bin: its neighbour has no weight

    def formula(x):
        log_probability = x - np.log(np.exp(x).sum(-1, keepdims=True))
        loss = np.zeros((3, 4))
        for place in np.ndindex(3, 4):
            left = int(np.floor(targets[place]))
            share = float(targets[place]) - left
            bins = log_probability[place]
            loss[place] = -(1 - share) * bins[left] - share * bins[left + 1]
        return loss.mean(-1, keepdims=True)

    x = paddle.to_tensor(logits, stop_gradient=False)
    value = distribution_focal_loss(x, paddle.to_tensor(targets))
    np.testing.assert_allclose(value.numpy(), formula(logits.astype("float64")), rtol=1e-5)
    value.sum().backward()
    expected = numeric_gradient(lambda v: formula(v).sum(), logits)
    np.testing.assert_allclose(x.grad.numpy(), expected, atol=1e-5)


def giou_numpy(a, b):
    """Written box by box, from the definition."""
    overlap = max(min(a[2], b[2]) - max(a[0], b[0]), 0) * max(min(a[3], b[3]) - max(a[1], b[1]), 0)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - overlap
    hull = (max(a[2], b[2]) - min(a[0], b[0])) * (max(a[3], b[3]) - min(a[1], b[1]))
    return 1 - (overlap / union - (hull - union) / hull)


def siou_numpy(a, b, theta=4):
    """Written box by box, from the paper's formulas."""
    # Two sides each, width and height or x and y.
    sizes = [(box[2] - box[0], box[3] - box[1]) for box in (a, b)]
    dx, dy = (((a[i] + a[i + 2]) - (b[i] + b[i + 2])) / 2 for i in (0, 1))
    around = [max(a[i + 2], b[i + 2]) - min(a[i], b[i]) for i in (0, 1)]
    sine = abs(dy) / math.hypot(dx, dy) if dx or dy else 0.0
    angle = 1 - 2 * math.sin(math.asin(min(sine, 1.0)) - math.pi / 4) ** 2
    rho = [(offset / side) ** 2 if side else 0.0 for offset, side in zip((dx, dy), around)]
    distance = sum(1 - math.exp(-(2 - angle) * r) for r in rho)
    omega = [abs(m - n) / max(m, n) if m or n else 0.0 for m, n in zip(*sizes)]
    shape = sum((1 - math.exp(-w)) ** theta for w in omega)
    return 1 - iou_numpy(a, b) + (distance + shape) / 2


OVERLAP = {"giou": (giou_loss, giou_numpy), "siou": (siou_loss, siou_numpy)}
on_overlap = pytest.mark.parametrize("loss, formula", OVERLAP.values(), ids=OVERLAP)


def test_every_loss_on_overlap_has_a_formula():
    assert {name: loss for name, (loss, _) in OVERLAP.items()} == IOU_LOSSES


def value_and_gradient(loss, predicted, target):
    """Of boxes given as arrays: [P] and [P, 4]."""
    x = paddle.to_tensor(np.asarray(predicted, "float32"), stop_gradient=False)
    value = loss(x, paddle.to_tensor(np.asarray(target, "float32")))
    assert value.shape == [len(predicted), 1]
    value.sum().backward()
    return value.numpy()[:, 0], x.grad.numpy()


def pairs_of_boxes():
    rng = np.random.default_rng(3)
    corner = rng.uniform(0, 10, (2, 30, 2))
    return np.concatenate([corner, corner + rng.uniform(1, 8, corner.shape)], -1).astype("float32")


@on_overlap
def test_loss_on_overlap_and_gradient(loss, formula):
    predicted, target = pairs_of_boxes()
    overlaps = np.array([iou_numpy(a, b) for a, b in zip(predicted, target)])
    assert (overlaps == 0).any() and (overlaps > 0.1).any()
    values, gradients = value_and_gradient(loss, predicted, target)
    for row, (a, b) in enumerate(zip(predicted.astype("float64"), target.astype("float64"))):
        assert values[row] == pytest.approx(formula(a, b), rel=1e-5)
        expected = numeric_gradient(lambda v, b=b: formula(v, b), a)
        np.testing.assert_allclose(gradients[row], expected, atol=1e-4)


@on_overlap
def test_loss_on_overlap_knows_neither_scale_nor_place(loss, formula):
    predicted, target = pairs_of_boxes()
    values, _ = value_and_gradient(loss, predicted, target)
    for scale, shift in ((0.01, 0), (100, 0), (1, 64), (8, -256)):
        others, _ = value_and_gradient(loss, predicted * scale + shift, target * scale + shift)
        np.testing.assert_allclose(others, values, rtol=1e-4, atol=1e-4)


DEGENERATE = {
    "equal": ([1, 2, 4, 6], [1, 2, 4, 6]),
    "one centre": ([1, 1, 5, 9], [2, 3, 4, 7]),
    "centres on a line": ([0, 1, 2, 5], [4, 1, 9, 5]),
    "centres on a diagonal": ([0, 0, 2, 2], [3, 3, 5, 5]),
    "nearly one centre": ([1, 1, 3 + 1e-6, 3], [1, 1, 3, 3 - 1e-6]),
    "far apart": ([0, 0, 1, 1], [70, 50, 80, 80]),
    "touching": ([0, 0, 2, 2], [2, 0, 4, 2]),
    "a point": ([3, 3, 3, 3], [1, 2, 4, 6]),
    "a point in the centre": ([2, 2, 2, 2], [1, 1, 3, 3]),
    "a point outside": ([9, 9, 9, 9], [1, 2, 4, 6]),
    "a line": ([1, 3, 4, 3], [1, 2, 4, 6]),
}


@on_overlap
@pytest.mark.parametrize("predicted, target", DEGENERATE.values(), ids=DEGENERATE)
def test_loss_on_overlap_of_degenerate_boxes(loss, formula, predicted, target):
    values, gradients = value_and_gradient(loss, [predicted], [target])
    assert values[0] == pytest.approx(formula(np.float64(predicted), np.float64(target)), abs=1e-5)
    assert np.isfinite(gradients).all() and np.abs(gradients).max() < 1e3


@on_overlap
def test_loss_on_overlap_where_nothing_can_be_divided(loss, formula):
    """Points alone, and a box that is inside out, as distances below zero make it."""
    point, box = [1, 2, 1, 2], [1, 2, 4, 6]
    for predicted, target in ((point, point), ([3, 3, 3, 3], point), (box, point), ([5, 1, 2, 4], box)):
        values, gradients = value_and_gradient(loss, [predicted], [target])
        assert np.isfinite(values).all() and np.isfinite(gradients).all()


# --- decoding and post-processing ---------------------------------------------------------------------------


def small_head(**options):
    nms = MultiClassNMS(score_threshold=0.05, nms_top_k=100, keep_top_k=20, nms_threshold=0.5)
    head = ETHead(
        in_channels=[8, 8],
        fpn_strides=(16, 8),
        num_classes=3,
        static_assigner=ATSSLabelAssigner(num_classes=3),
        assigner=TALLabelAssigner(),
        nms=nms,
        **options,
    )
    head.eval()
    return head


def raw(seed=0, batch=2):
    """Raw outputs as the head gives them: a 2x3 and a 4x6 map."""
    rng = np.random.default_rng(seed)
    feats = [paddle.zeros([1, 8, 2, 3]), paddle.zeros([1, 8, 4, 6])]
    points, strides, _ = anchors.anchor_points(feats, (16, 8))
    scores = paddle.to_tensor(rng.uniform(0, 1, (batch, 3, 30)).astype("float32") ** 3)
    distances = paddle.to_tensor(rng.uniform(0.2, 3, (batch, 30, 4)).astype("float32"))
    return scores, distances, points, strides


def boxes_numpy(outputs):
    _, distances, points, strides = (t.numpy() for t in outputs)
    return np.concatenate([points - distances[..., :2], points + distances[..., 2:]], -1) * strides


SCALE = np.float32([[0.5, 0.8], [2.0, 1.0]])  # y, x


def test_evaluation_distances_are_the_mean_of_the_bins():
    head = small_head(reg_max=5)
    paddle.seed(3)
    for conv in head.pred_reg:
        conv.weight.set_value(paddle.randn(conv.weight.shape) * 0.2)
    feats = [paddle.randn([2, 8, 2, 3]), paddle.randn([2, 8, 4, 6])]
    scores, distances, _, strides = head(feats)
    expected = []
    for level, outputs in enumerate(head.predict_levels(feats)):
        logits, bins = (t.numpy().astype("float64") for t in outputs)
        bins = bins.reshape(2, 4, 6, -1)
        weights = np.exp(bins) / np.exp(bins).sum(2, keepdims=True)
        expected.append((weights * np.arange(6)[:, None]).sum(2).transpose(0, 2, 1))
        part = scores.numpy()[..., :6] if level == 0 else scores.numpy()[..., 6:]
        np.testing.assert_allclose(part, sigmoid(logits).reshape(2, 3, -1), rtol=1e-5)
    np.testing.assert_allclose(distances.numpy(), np.concatenate(expected, 1), rtol=1e-5)
    assert distances.numpy().std() > 0.05
    np.testing.assert_array_equal(strides.numpy()[:, 0], [16] * 6 + [8] * 24)


def test_training_and_evaluation_decode_alike():
    head = small_head()
    paddle.seed(4)
    bins = paddle.randn([2, 4 * 17, 15]) * 2
    maps = head._map_distances(bins)
    flat = head._distances(bins.transpose([0, 2, 1]))
    np.testing.assert_allclose(flat.numpy(), maps.numpy(), rtol=1e-5, atol=1e-6)


def test_decode_gives_boxes_in_input_pixels():
    outputs = raw()
    boxes, scores = small_head().decode(outputs)
    np.testing.assert_allclose(boxes.numpy(), boxes_numpy(outputs), rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(scores.numpy(), outputs[0].numpy())


def test_exclude_post_process_gives_boxes_and_scores_of_the_input():
    outputs = raw()
    head = small_head(exclude_post_process=True)
    merged, *nothing = head.post_process(outputs, paddle.to_tensor(SCALE))
    assert nothing == [None, None]
    expected = np.concatenate([boxes_numpy(outputs), outputs[0].numpy().transpose(0, 2, 1)], -1)
    np.testing.assert_allclose(merged.numpy(), expected, rtol=1e-5, atol=1e-5)


def test_exclude_nms_gives_boxes_of_the_original_image():
    outputs = raw()
    boxes, scores, nothing = small_head(exclude_nms=True).post_process(outputs, paddle.to_tensor(SCALE))
    assert nothing is None
    divisor = SCALE[:, [1, 0, 1, 0]][:, None]
    np.testing.assert_allclose(boxes.numpy(), boxes_numpy(outputs) / divisor, rtol=1e-5, atol=1e-4)
    np.testing.assert_array_equal(scores.numpy(), outputs[0].numpy())


def nms_numpy(boxes, scores, threshold=0.5, score_threshold=0.05):
    """Greedy NMS, class by class: rows of label, score, box."""
    kept = []
    for label, row in enumerate(scores):
        chosen = []
        for i in sorted(np.flatnonzero(row > score_threshold), key=lambda i, row=row: -row[i]):
            overlaps = [iou_numpy(boxes[i], boxes[j]) for j in chosen]
            if all(overlap <= threshold for overlap in overlaps):
                chosen.append(i)
        kept += [[label, row[i], *boxes[i]] for i in chosen]
    return np.array(sorted(kept, key=lambda r: -r[1])[:20])


def iou_numpy(a, b):
    overlap = max(min(a[2], b[2]) - max(a[0], b[0]), 0) * max(min(a[3], b[3]) - max(a[1], b[1]), 0)
    return overlap / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - overlap)


def test_post_process_is_nms_in_the_original_image():
    outputs = raw()
    found, counts, _ = small_head().post_process(outputs, paddle.to_tensor(SCALE))
    boxes = boxes_numpy(outputs) / SCALE[:, [1, 0, 1, 0]][:, None]
    scores = outputs[0].numpy()
    assert counts.numpy().sum() == len(found)
    images = np.split(found.numpy(), np.cumsum(counts.numpy())[:-1])
    for image, image_boxes, image_scores in zip(images, boxes, scores):
        expected = nms_numpy(image_boxes.astype("float64"), image_scores)
        assert len(image) == len(expected) > 5
        image = image[np.argsort(-image[:, 1], kind="stable")]
        np.testing.assert_allclose(image, expected, rtol=1e-4, atol=1e-4)
