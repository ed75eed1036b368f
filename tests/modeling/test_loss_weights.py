"""Loss terms whose weight moves with the epoch, and classes that count more than others."""

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import numpy as np
import paddle
import pytest
from ppdet.core.workspace import create

from ppdet_ext.config import load_config
from ppdet_ext.modeling.assigners import ArgmaxIoUAssigner
from ppdet_ext.modeling.heads import EfficientDetHead, EfficientRepHead, ETHead
from ppdet_ext.modeling.losses import LossWeights, focal_loss, sigmoid_focal_loss, varifocal_loss, weight_at

from ..nn.reference import cross_entropy, sigmoid
from .upstream import CONFIGS, make_batch

CLASSES = 5
TERMS = {"class": 1.0, "iou": 2.5, "dfl": 0.5}
FAMILIES = {
    "ppyoloe": ("ETHead", {"class": "loss_cls", "iou": "loss_iou", "dfl": "loss_dfl"}),
    "yolov6": ("EfficientRepHead", {"class": "loss_cls", "iou": "loss_iou"}),
}


def build(family, **sections):
    small = {"num_classes": CLASSES, "width_mult": 0.25, "depth_mult": 0.33}
    if family == "efficientdet":
        small["EfficientNet"] = {"width_mult": 0.25, "depth_mult": 0.33}
    config = load_config(str(CONFIGS / "_base_" / "models" / f"{family}.yml"), {**small, **sections})
    paddle.seed(0)
    return create(config.architecture)


# --- with the epoch -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value, epoch, expected",
    [
        (2.5, 7, 2.5),
        ({"from": 0, "to": 2.0}, 0, 0.0),
        ({"from": 0, "to": 2.0}, 30, 2.0 * 30 / 80),  # 2.0 e / E
        ({"from": 0, "to": 2.0}, 79, 2.0 * 79 / 80),
        ({"from": 1.0, "to": 0.25}, 40, 0.625),
        ({"from": 0, "to": 2.0, "over": 10}, 5, 1.0),
        ({"from": 0, "to": 2.0, "over": 10}, 10, 2.0),
        ({"from": 0, "to": 2.0, "over": 10}, 79, 2.0),
    ],
)
def test_a_weight_in_an_epoch(value, epoch, expected):
    assert weight_at(value, epoch, 80) == pytest.approx(expected)
    assert LossWeights("Head", TERMS, {"iou": value}, 80).at(epoch) == {
        **TERMS,
        "iou": pytest.approx(expected),
    }


@pytest.mark.parametrize(
    "given, words",
    [
        ({"iuo": 1.0}, ("loss_weight has no 'iuo'", "did you mean 'iou'")),
        ({"iou": "2.0"}, ("loss_weight.iou is '2.0'", "give a number")),
        ({"iou": -1}, ("loss_weight.iou is -1",)),
        ({"iou": True}, ("loss_weight.iou is True",)),
        ({"iou": {"from": 0}}, ("loss_weight.iou", "'to' is None")),
        ({"iou": {"from": 0, "to": 2, "ovr": 3}}, ("has no option 'ovr'", "did you mean 'over'")),
        ({"iou": {"from": 0, "to": 2, "over": 0}}, ("'over' is 0",)),
    ],
)
def test_what_is_no_weight_is_refused(given, words):
    for head in (ETHead, EfficientRepHead):
        with pytest.raises(ValueError) as error:
            head(assigner=None, loss_weight=given)
        assert all(word in str(error.value) for word in (head.__name__, *words)), error.value
        assert "\n" not in str(error.value)
    if "iou" in given:
        with pytest.raises(ValueError, match="EfficientDetHead: box_loss_weight"):
            EfficientDetHead(box_loss_weight=given["iou"], assigner=None, nms=None)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_loss_follows_the_epoch(family):
    """With the config's number of epochs, in which a head of its own is never told."""
    head, terms = FAMILIES[family]
    moving = {"iou": {"from": 0, "to": 2.0}, "dfl": {"from": 0, "to": 0.25}}
    model = build(family, epoch=40, **{head: {"loss_weight": moving, "static_assigner_epoch": 0}})
    if family == "yolov6":
        model.yolo_head.anchor_aided = None
    model.train()
    for epoch in (0, 10, 30):
        losses = {
            key: float(value) for key, value in model(make_batch(96, classes=CLASSES, epoch=epoch)).items()
        }
        weights = {"class": 1.0, "iou": 2.0 * epoch / 40, "dfl": 0.25 * epoch / 40}
        expected = sum(weights[term] * losses[name] for term, name in terms.items())
        assert losses["loss"] == pytest.approx(expected, rel=1e-5) and losses["loss_iou"] > 0
        assert model.yolo_head.loss_weight == pytest.approx(weights)


def test_the_box_loss_of_efficientdet_follows_the_epoch():
    model = build("efficientdet", epoch=40, EfficientDetHead={"box_loss_weight": {"from": 10, "to": 50}})
    model.train()
    for epoch, weight in ((0, 10), (20, 30)):
        losses = {
            key: float(value) for key, value in model(make_batch(128, classes=CLASSES, epoch=epoch)).items()
        }
        assert losses["loss"] == pytest.approx(losses["loss_cls"] + weight * losses["loss_box"], rel=1e-5)
        assert losses["loss_box"] > 0


# --- by class -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["varifocal", "focal", "sigmoid focal"])
def test_a_positive_counts_as_often_as_its_weight_says(kind):
    """Against the dense formulas, in which a positive of weight 3 stands three times."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (8, CLASSES)).astype("float32")
    index = rng.choice(logits.size, 9, replace=False)
    targets = rng.uniform(0.1, 1, 9).astype("float32")
    weights = rng.uniform(0.3, 3, 9).astype("float32")
    x, q, w = logits.astype("float64").ravel(), np.zeros(logits.size), np.ones(logits.size)
    q[index], w[index] = targets, weights
    p, positive = sigmoid(x), q > 0
    tensors = [paddle.to_tensor(a) for a in (index.astype("int64"), targets, weights)]
    if kind == "varifocal":
        value = varifocal_loss(paddle.to_tensor(logits).flatten(), *tensors[:2], weights=tensors[2])
        expected = np.where(positive, q, 0.75 * p**2) * cross_entropy(x, q)
    elif kind == "focal":
        value = focal_loss(paddle.to_tensor(logits).flatten(), *tensors[:2], weights=tensors[2])
        expected = (p - q) ** 2 * (0.25 * q + 0.75 * (1 - q)) * cross_entropy(x, q)
    else:
        none = paddle.zeros([0], "int64")
        value = sigmoid_focal_loss(paddle.to_tensor(logits), tensors[0], none, weights=tensors[2])
        hard = positive.astype("float64")
        expected = np.abs(p - hard) ** 1.5 * (0.25 * hard + 0.75 * (1 - hard)) * cross_entropy(x, hard)
    assert float(value) == pytest.approx((w * expected).sum(), rel=1e-5)
    assert float(value) != pytest.approx(expected.sum(), rel=1e-2)


def step(model, batch):
    model.clear_gradients()
    losses = model(batch)
    losses["loss"].backward()
    return {key: float(value) for key, value in losses.items()}


def class_rows(model, family):
    """Gradients of the biases that predict classes, a row a class."""
    head = model.head
    if family == "efficientdet":
        return head.class_net.predict.pointwise.bias.grad.numpy().reshape([-1, CLASSES]).sum(0)
    convs = [*head.pred_cls]
    if family == "yolov6":
        convs += [*head.anchor_aided.pred_cls]
    return np.concatenate([conv.bias.grad.numpy().reshape([-1, CLASSES]) for conv in convs]).sum(0)


@pytest.mark.parametrize("family", ["ppyoloe", "yolov6", "efficientdet"])
def test_a_weight_is_of_one_class_alone(family):
    """All boxes of class 2: its weight scales what positives cost. Another class's changes nothing."""
    model = build(family)
    model.train()
    batch = make_batch(128, classes=CLASSES)
    batch["gt_class"] = paddle.full_like(batch["gt_class"], 2)
    plain, gradients = step(model, batch), class_rows(model, family)
    boxes = [name for name in plain if name in ("loss_box", "loss_iou", "loss_dfl", "loss_aided_iou")]

    model.head.set_class_weight([1.0, 7.0, 1.0, 0.5, 1.0])
    assert step(model, batch) == pytest.approx(plain, rel=1e-6)
    model.head.set_class_weight([1.0, 1.0, 3.0, 1.0, 1.0])
    heavy, heavy_gradients = step(model, batch), class_rows(model, family)
    for name in boxes:
        assert heavy[name] == pytest.approx(3 * plain[name], rel=1e-5), name
    others = [0, 1, 3, 4]
    np.testing.assert_allclose(heavy_gradients[others], gradients[others], rtol=1e-5)
    # The background pulls its scores down as before, the positives up three times as much.
    assert heavy_gradients[2] < gradients[2] - 0.1 * abs(gradients[2])
    assert len(boxes) >= 1 and not any("class_weight" in name for name in model.state_dict())


def test_weights_for_another_number_of_classes_are_refused():
    head = EfficientDetHead(num_classes=3, assigner=ArgmaxIoUAssigner(), nms=None)
    with pytest.raises(ValueError, match="2 class weights for 3 classes"):
        head.set_class_weight([1.0, 2.0])
