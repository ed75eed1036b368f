"""The losses of anchor-free heads: values against NumPy, gradients against differences."""

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import numpy as np
import paddle
import pytest

from ppdet_ext.modeling.losses import (
    IOU_LOSSES,
    distribution_focal_loss,
    focal_loss,
    giou_loss,
    siou_loss,
    varifocal_loss,
)

from ..nn.reference import cross_entropy, sigmoid
from .iou_numpy import giou_numpy, iou_numpy, siou_numpy


def scene(seed=0, size=60, positives=11):
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 3, size).astype("float32")
    index = rng.choice(size, positives, replace=False)
    targets = rng.uniform(0, 1, positives).astype("float32")
    return logits, index, targets


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
