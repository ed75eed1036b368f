"""EfficientDet's losses against dense formulas in float64."""

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import numpy as np
import paddle
import pytest

from ppdet_ext.modeling.assigners import ArgmaxIoUAssigner
from ppdet_ext.modeling.heads import EfficientDetHead, dense
from ppdet_ext.modeling.losses import sigmoid_focal_loss

from ..nn.reference import randomise, sigmoid
from . import efficient_det_numpy as reference

CLASSES, CHANNELS, SIDE = 5, 8, 128
STRIDES = (8, 16, 32, 64, 128)


def dense_case(rows=40, positives=7, ignored=6, seed=0):
    """Logits [N, C] with sure and wrong ones among them, targets [N, C] of 0 and 1, ignored rows."""
    rng = np.random.default_rng(seed)
    logits = (rng.standard_normal((rows, CLASSES)) * 6).astype("float32")
    order = rng.permutation(rows)
    truth = np.zeros((rows, CLASSES))
    truth[order[:positives], rng.integers(0, CLASSES, positives)] = 1
    return logits, truth, order[rows - ignored :]


@pytest.mark.parametrize("alpha, gamma", [(0.25, 1.5), (0.25, 2.0), (0.6, 1.0)])
@pytest.mark.parametrize("positives, ignored", [(7, 6), (7, 0), (0, 6), (0, 0)])
def test_focal_loss_and_its_gradient(positives, ignored, alpha, gamma):
    array, truth, skipped = dense_case(positives=positives, ignored=ignored)
    logits = paddle.to_tensor(array, stop_gradient=False)
    index = (paddle.to_tensor(np.asarray(a, "int64")) for a in (np.flatnonzero(truth), skipped))
    loss = sigmoid_focal_loss(logits, *index, alpha=alpha, gamma=gamma)
    loss.backward()
    kept = np.ones(len(array), bool)
    kept[skipped] = False
    x = array.astype("float64")
    assert float(loss) == pytest.approx(reference.focal(x, truth, alpha, gamma)[kept].sum(), rel=1e-5)
    step = 1e-6
    slope = reference.focal(x + step, truth, alpha, gamma) - reference.focal(x - step, truth, alpha, gamma)
    expected = slope / (2 * step) * kept[:, None]
    np.testing.assert_allclose(logits.grad.numpy(), expected, rtol=1e-3, atol=1e-5)


def test_the_sign_of_a_fractional_power():
    """A prediction below its target is no negative base: nothing is NaN, far out either."""
    logits = paddle.to_tensor([[-100.0, 100.0], [0.0, -100.0]], stop_gradient=False)
    loss = sigmoid_focal_loss(logits, paddle.to_tensor([0]), paddle.zeros([0], "int64"))
    loss.backward()
    assert float(loss) == pytest.approx(0.25 * 100 + 0.75 * 100 + 0.75 * 0.5**1.5 * np.log(2), rel=1e-6)
    np.testing.assert_allclose(logits.grad.numpy()[0], [-0.25, 0.75], rtol=1e-6)


# --- the head's -------------------------------------------------------------------------------------------


def make_head(**options):
    paddle.seed(0)
    options = {"assigner": ArgmaxIoUAssigner(), "nms": None, "num_repeats": 2, **options}
    head = randomise(EfficientDetHead([CHANNELS] * len(STRIDES), CLASSES, STRIDES, **options))
    head.train()
    return head


def features(batch, seed=0):
    rng = np.random.default_rng(seed)
    return [
        paddle.to_tensor(rng.standard_normal((batch, CHANNELS, SIDE // s, SIDE // s)).astype("float32"))
        for s in STRIDES
    ]


def truth_of(gts, seed=0, dtype="int64"):
    """classes [B, n, 1], boxes [B, n, 4] and mask [B, n, 1] of images with so many gts."""
    rng = np.random.default_rng(seed)
    shape = len(gts), max(gts, default=0)
    mask = (np.arange(shape[1]) < np.array(gts)[:, None]).astype("float32")[..., None]
    centre, half = rng.uniform(20, SIDE - 20, (*shape, 2)), np.exp(rng.uniform(1.5, 4, (*shape, 2)))
    boxes = np.concatenate([centre - half, centre + half], -1).astype("float32")
    return rng.integers(0, CLASSES, (*shape, 1)).astype(dtype), boxes, mask


def as_targets(truth):
    return {**dict(zip(("gt_class", "gt_bbox", "pad_gt_mask"), map(paddle.to_tensor, truth))), "epoch_id": 0}


def rows(maps, size):
    """[B, L, size] of maps [B, A * size, h, w], by loops."""
    per_cell = []
    for level in maps:
        for y in range(level.shape[2]):
            for x in range(level.shape[3]):
                for anchor in range(level.shape[1] // size):
                    per_cell.append(level[:, anchor * size : (anchor + 1) * size, y, x])
    return np.stack(per_cell, 1).astype("float64")


OPTIONS = {
    "published": ({}, {}),
    "other weights": ({"alpha": 0.4, "gamma": 2.0, "delta": 0.5}, {"alpha": 0.4, "gamma": 2.0, "delta": 0.5}),
    "ignored": ({"assigner": ArgmaxIoUAssigner(negative_iou=0.35)}, {"negative": 0.35}),
}


@pytest.mark.parametrize("dtype", ["int32", "int64"])
@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("gts", [(6, 3), (5, 0)], ids=["boxes", "an image without"])
def test_losses_of_the_head(gts, name, dtype):
    ours, theirs = OPTIONS[name]
    head, feats, truth = make_head(**ours), features(2), truth_of(gts, dtype=dtype)
    class_maps, box_maps = ([m.numpy() for m in kind] for kind in zip(*head.predict_levels(feats)))
    losses = {key: float(value) for key, value in head(feats, as_targets(truth)).items()}
    sides = [(SIDE // s, SIDE // s) for s in STRIDES]
    anchors = reference.anchors_of(sides, STRIDES, 4.0, 3, (1.0, 2.0, 0.5)).astype("float32")
    loss_cls, loss_box, positives = reference.losses(
        rows(class_maps, CLASSES), rows(box_maps, 4), anchors, truth, **theirs
    )
    assert positives > 10
    assert losses["loss_cls"] == pytest.approx(loss_cls, rel=2e-5)
    assert losses["loss_box"] == pytest.approx(loss_box, rel=2e-5)
    assert losses["loss"] == pytest.approx(loss_cls + 50 * loss_box, rel=2e-5)
    assert set(losses) == {"loss", "loss_cls", "loss_box"}


def test_the_weight_of_the_box_loss():
    feats, targets = features(1), as_targets(truth_of((4,)))
    losses = {key: float(value) for key, value in make_head(box_loss_weight=3.0)(feats, targets).items()}
    assert losses["loss"] == pytest.approx(losses["loss_cls"] + 3 * losses["loss_box"], rel=1e-6)


def test_processes_share_the_number_of_positives(monkeypatch):
    head, feats, targets = make_head(), features(1), as_targets(truth_of((4,)))
    alone = {key: float(value) for key, value in head(feats, targets).items()}
    seen = []

    def all_reduce(value):
        seen.append(float(value))
        value.set_value(value + 3 * value)  # the other process has three times as many

    monkeypatch.setattr(dense.dist, "get_world_size", lambda: 2)
    monkeypatch.setattr(dense.dist, "all_reduce", all_reduce)
    together = {key: float(value) for key, value in head(feats, targets).items()}
    (positives,) = seen
    for key, value in alone.items():
        # Half of what one process with all of them would divide by: the gradients will be averaged.
        assert together[key] * (4 * positives + 1) / 2 == pytest.approx(value * (positives + 1), rel=1e-5)


@pytest.mark.parametrize("most", [0, 3], ids=["n is 0", "all padded"])
def test_a_batch_without_boxes(most):
    """It trains as background, and every parameter has its gradient."""
    head, feats = make_head(), features(2)
    classes, boxes, _ = truth_of((most, most))
    class_maps = [maps[0].numpy() for maps in head.predict_levels(feats)]
    losses = head(feats, as_targets((classes, boxes, np.zeros((2, most, 1), "float32"))))
    p = sigmoid(np.concatenate([m.ravel() for m in class_maps]).astype("float64"))
    assert float(losses["loss_cls"]) == pytest.approx((0.75 * p**1.5 * -np.log(1 - p)).sum(), rel=2e-5)
    assert float(losses["loss_box"]) == 0 and float(losses["loss"]) == float(losses["loss_cls"])
    losses["loss"].backward()
    for name, parameter in head.named_parameters():
        if not parameter.stop_gradient:
            assert parameter.grad is not None and np.isfinite(parameter.grad.numpy()).all(), name
            assert (np.abs(parameter.grad.numpy()).max() > 0) == name.startswith("class_net") or (
                "conv.pointwise.bias" in name  # in front of a BatchNorm, which takes it out again
            ), name
