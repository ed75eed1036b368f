"""Boxes that are decoded where an assigner looks: the same numbers, and no more boxes than that."""

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import numpy as np
import paddle
import pytest

from ppdet_ext.modeling.assigners import ATSSLabelAssigner, TALLabelAssigner
from ppdet_ext.modeling.heads import EfficientRepHead, ETHead
from ppdet_ext.modeling.lazy_boxes import LazyBoxes

SIZE, BATCH, CLASSES, STRIDES = 128, 2, 5, (32, 16, 8)


def make_head(kind, epoch):
    paddle.seed(0)
    head = kind([24, 16, 8], num_classes=CLASSES, static_assigner_epoch=epoch, nms=None)
    head.static_assigner, head.assigner = ATSSLabelAssigner(num_classes=CLASSES), TALLabelAssigner()
    rng = np.random.default_rng(0)
    for pred in (*head.pred_cls, *head.pred_reg):
        pred.weight.set_value(rng.normal(0, 0.3, pred.weight.shape).astype("float32"))
    head.train()
    return head


def make_inputs(gts=4, extent=60):
    rng = np.random.default_rng(1)
    feats = [
        paddle.to_tensor(rng.random([BATCH, c, SIZE // s, SIZE // s], dtype="float32"))
        for c, s in zip([24, 16, 8], STRIDES)
    ]
    corner = rng.uniform(0, SIZE - extent - 1, [BATCH, gts, 2])
    boxes = np.concatenate([corner, corner + rng.uniform(10, extent, corner.shape)], -1).astype("float32")
    targets = {
        "gt_class": paddle.to_tensor(rng.integers(0, CLASSES, [BATCH, gts, 1]).astype("int32")),
        "gt_bbox": paddle.to_tensor(boxes),
        "pad_gt_mask": paddle.to_tensor((np.arange(gts) < [[2], [gts]])[..., None].astype("float32")),
        "epoch_id": 1,
    }
    return feats, targets


def run(head, feats, targets):
    losses = head(feats, targets)
    losses["loss"].backward()
    gradients = {name: p.grad.numpy() for name, p in head.named_parameters() if p.grad is not None}
    head.clear_gradients()
    return {name: value.numpy() for name, value in losses.items()}, gradients


@pytest.mark.parametrize("kind", [ETHead, EfficientRepHead])
@pytest.mark.parametrize("epoch", [0, 100], ids=["TAL", "ATSS"])
def test_losses_and_gradients_keep_every_bit(kind, epoch, monkeypatch):
    head, inputs = make_head(kind, epoch), make_inputs()
    lazy = run(head, *inputs)
    made = []
    monkeypatch.setattr(LazyBoxes, "__init__", lambda *args: made.append(args))
    for assigner in (head.static_assigner, head.assigner):
        monkeypatch.setattr(assigner, "reads_few_boxes", lambda boxes: False, raising=False)
    monkeypatch.setattr(LazyBoxes, "of", classmethod(lambda cls, boxes: _Dense(boxes)))
    dense = run(head, *inputs)
    assert not made
    for ours, theirs in zip(lazy, dense):
        assert ours.keys() == theirs.keys()
        for name, value in theirs.items():
            np.testing.assert_array_equal(ours[name], value, err_msg=name)
    assert lazy[0]["loss_iou"] > 0


class _Dense:
    """Decoded boxes under the same two questions."""

    def __init__(self, boxes):
        self._boxes = boxes.numpy()

    def at(self, image, anchor):
        return self._boxes[image, anchor]

    def array(self):
        return self._boxes


@pytest.mark.parametrize("epoch", [0, 100], ids=["TAL", "ATSS"])
def test_no_more_boxes_are_decoded_than_are_read(epoch, monkeypatch):
    head, (feats, targets) = make_head(ETHead, epoch), make_inputs()
    decoded, distances = [], head._distances

    def count(regression):
        decoded.append(int(np.prod(regression.shape[:-1])))
        return distances(regression)

    monkeypatch.setattr(head, "_distances", count)
    head(feats, targets)
    *looks, positives = decoded
    everything = BATCH * sum((SIZE // stride) ** 2 for stride in STRIDES)
    if epoch:  # of the positives alone: once for their scores, once for their loss
        assert looks == [positives] and 0 < positives < everything / 10
    else:
        points = np.concatenate(
            [(np.stack(np.indices([SIZE // s] * 2)[::-1], -1).reshape(-1, 2) + 0.5) * s for s in STRIDES]
        )
        boxes, real = targets["gt_bbox"].numpy(), targets["pad_gt_mask"].numpy()[..., 0] > 0
        inside = ((points > boxes[..., None, :2]) & (points < boxes[..., None, 2:])).all(-1)
        assert sum(looks) == (inside & real[..., None]).any(1).sum() < everything


def test_a_box_is_decoded_once():
    boxes = np.random.default_rng(0).random([2, 10, 4], dtype="float32")
    asked = []

    def decode(index):
        asked.extend(index.numpy().tolist())
        return paddle.gather(paddle.to_tensor(boxes.reshape([-1, 4])), index)

    lazy = LazyBoxes(decode, [2, 10])
    image, anchor = np.array([1, 0, 1, 1]), np.array([3, 9, 3, 0])
    np.testing.assert_array_equal(lazy.at(image, anchor), boxes[image, anchor])
    assert asked == [9, 10, 13]
    np.testing.assert_array_equal(lazy.at(image[:2], anchor[:2]), boxes[image[:2], anchor[:2]])
    assert lazy.at(image[:0], anchor[:0]).shape == (0, 4) and len(asked) == 3
    np.testing.assert_array_equal(lazy.array()[0, :9], 0)
    assert LazyBoxes.of(lazy) is lazy
    np.testing.assert_array_equal(LazyBoxes.of(paddle.to_tensor(boxes)).array(), boxes)
