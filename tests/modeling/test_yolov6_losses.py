"""Losses of the YOLOv6 head and of self-distillation: against values of the reference implementation.

`data/yolov6_losses.npz` holds random predictions of three images of 96 pixels, the second without boxes, and
what meituan/YOLOv6 (e86a483) makes of them: the total and its parts (boxes, distributions, classes, maps),
each times its weight.
"""

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import paddle
import paddle.nn as nn
import pytest

from ppdet_ext.modeling.assigners import ATSSLabelAssigner, TALLabelAssigner
from ppdet_ext.modeling.heads import EfficientRepHead
from ppdet_ext.modeling.heads.anchor_aided import AnchorAidedBranch
from ppdet_ext.modeling.losses import IOU_LOSSES
from ppdet_ext.training.self_distillation import SelfDistillation

CLASSES, SIDE, STRIDES = 5, 96, (32, 16, 8)
CELLS = [(SIDE // stride) ** 2 for stride in STRIDES]
VECTORS = np.load(Path(__file__).parent / "data" / "yolov6_losses.npz")


def levels(values, per_cell=1):
    """[B, L, K] with the reference's order of levels, finest first, cut into ours: [B, L_i, K] each."""
    ends = np.cumsum([per_cell * cells for cells in CELLS[::-1]])[:-1]
    return np.split(values, ends, axis=1)[::-1]


def maps(name):
    """A stored prediction as each level's leaf [B, K, h, w]."""
    made = []
    for values, stride in zip(levels(VECTORS[name]), STRIDES):
        side = SIDE // stride
        made.append(leaf(values.transpose(0, 2, 1).reshape(len(values), -1, side, side)))
    return made


def leaf(values):
    return paddle.to_tensor(np.ascontiguousarray(values), stop_gradient=False)


def logits_of(scores):
    return np.log(scores / (1 - scores))


def truth(epoch):
    """The batch's boxes, padded; in the file they are image, class, and centre and size over the side."""
    rows = VECTORS["truth"]
    most = max((rows[:, 0] == image).sum() for image in range(3))
    boxes, classes, mask = np.zeros([3, most, 4]), np.zeros([3, most, 1]), np.zeros([3, most, 1])
    for image in range(3):
        own = rows[rows[:, 0] == image]
        low, high = own[:, 2:4] - own[:, 4:] / 2, own[:, 2:4] + own[:, 4:] / 2
        boxes[image, : len(own)] = np.concatenate([low, high], 1) * SIDE
        classes[image, : len(own), 0], mask[image, : len(own)] = own[:, 1], 1
    return {
        "gt_bbox": paddle.to_tensor(boxes, "float32"),
        "gt_class": paddle.to_tensor(classes, "int32"),
        "pad_gt_mask": paddle.to_tensor(mask, "float32"),
        "epoch_id": epoch,
    }


class Given(nn.Layer):
    """In a convolution's place: the stored map of its level."""

    def __init__(self, values):
        super().__init__()
        self.values = values

    def forward(self, x):
        return self.values


def head_of(case, **options):
    """An EfficientRepHead whose predictions are the stored ones, its leaves, and its feature maps."""
    options = {"static_assigner_epoch": 4, **options}
    head = EfficientRepHead(
        in_channels=[8] * 3,
        num_classes=CLASSES,
        static_assigner=ATSSLabelAssigner(topk=9, num_classes=CLASSES),
        assigner=TALLabelAssigner(topk=13, alpha=1.0, beta=6.0),
        nms=None,
        **options,
    )
    scores = [leaf(logits_of(level.numpy())) for level in maps(f"{case}/score")]
    boxes = maps(f"{case}/reg")
    head.pred_cls = nn.LayerList([Given(values) for values in scores])
    head.pred_reg = nn.LayerList([Given(values) for values in boxes])
    head.train()
    feats = [paddle.zeros([3, 8, SIDE // stride, SIDE // stride]) for stride in STRIDES]
    return head, scores, boxes, feats


def check(losses, case, weight):
    """The parts and the total; classes lose digits by the way from probabilities to logits."""
    parts = [float(losses[f"loss_{name}"]) * weight[key] for name, key in zip(("iou", "dfl", "cls"), weight)]
    np.testing.assert_allclose(parts, VECTORS[f"{case}/items"][:3], rtol=1e-4)
    np.testing.assert_allclose(float(losses["loss"]), VECTORS[f"{case}/total"], rtol=1e-4)


WEIGHT = {"iou": 2.5, "dfl": 0.5, "class": 1.0}


@pytest.mark.parametrize(
    "case, epoch, options",
    [
        ("af_siou_tal", 4, {"iou_loss": "siou"}),
        ("af_giou_dfl_atss", 3, {"iou_loss": "giou", "reg_max": 16}),
    ],
)
def test_the_anchor_free_branch(case, epoch, options):
    head, scores, boxes, feats = head_of(case, **options)
    losses = head(feats, truth(epoch))
    check(losses, case, WEIGHT)
    if f"{case}/grad_reg" in VECTORS:
        losses["loss"].backward()
        for values, expected in zip(boxes, levels(VECTORS[f"{case}/grad_reg"])):
            found = values.grad.numpy().reshape(3, 4, -1).transpose(0, 2, 1)
            np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-6)
        # Theirs is by the probability.
        for values, expected in zip(scores, levels(VECTORS[f"{case}/grad_score"])):
            p = 1 / (1 + np.exp(-values.numpy()))
            found = (values.grad.numpy() / (p * (1 - p))).reshape(3, CLASSES, -1).transpose(0, 2, 1)
            np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def anchor_maps(values, inverse):
    """Stored rows [B, 3 h w, K], an anchor's cells together, as each level's leaf [B, 3 K, h, w]."""
    made = []
    for level, stride in zip(levels(values, 3), STRIDES):
        side = SIDE // stride
        batch, _, width = level.shape
        rows = inverse(level.astype("float64")).reshape(batch, 3, side * side, width)
        made.append(leaf(rows.transpose(0, 1, 3, 2).reshape(batch, -1, side, side).astype("float32")))
    return made


def test_the_anchor_aided_branch():
    case = "ab_giou"
    branch = AnchorAidedBranch([8] * 3, CLASSES, STRIDES, 0.5, IOU_LOSSES["giou"])
    # The stored sizes are at random, some beyond what these anchors can give: larger anchors, the same boxes.
    branch.anchors = [((100, 100),) * len(anchors) for anchors in branch.anchors]

    def raw(values):
        half = np.sqrt(values[..., 2:] / 100) / 2
        return np.concatenate([values[..., :2], np.log(half / (1 - half))], -1)

    scores = anchor_maps(VECTORS[f"{case}/score"], logits_of)
    boxes = anchor_maps(VECTORS[f"{case}/reg"], raw)
    branch.pred_cls = nn.LayerList([Given(values) for values in scores])
    branch.pred_reg = nn.LayerList([Given(values) for values in boxes])
    feats = [paddle.zeros([3, 8, SIDE // stride, SIDE // stride]) for stride in STRIDES]
    losses = branch([(feat, feat) for feat in feats], truth(0))
    found = [2.5 * float(losses["loss_iou"]), float(losses["loss_cls"])]
    np.testing.assert_allclose(found, VECTORS[f"{case}/items"][[0, 2]], rtol=1e-4)
    (2.5 * losses["loss_iou"]).backward()
    for values, expected in zip(boxes, levels(VECTORS[f"{case}/grad_reg"], 3)):
        side = values.shape[-1]
        grad = values.grad.numpy().reshape(3, 3, 4, side * side).transpose(0, 1, 3, 2).reshape(3, -1, 4)
        np.testing.assert_allclose(grad[..., :2], expected[..., :2], rtol=1e-3, atol=1e-6)


class Teacher:
    """A network whose answers are stored."""

    def __init__(self, case, feats):
        logits = [paddle.to_tensor(logits_of(level.numpy())) for level in maps(f"{case}/t_score")]
        self.backbone = lambda batch: None
        self.neck = lambda _: feats
        answers = list(zip(logits, maps(f"{case}/t_reg")))
        self.yolo_head = SimpleNamespace(predict_levels=lambda feats: answers)


def feature_maps(case, side):
    return [paddle.to_tensor(VECTORS[f"{case}/{side}_feat{level}"]) for level in (2, 1, 0)]


@pytest.mark.parametrize("case", ["distill_feat", "distill_ns"])
def test_self_distillation(case):
    direct = case == "distill_ns"
    options = {"iou_loss": "siou", "direct_boxes": True} if direct else {"iou_loss": "giou"}
    head, scores, boxes, feats = head_of(case, reg_max=16, static_assigner_epoch=0, **options)
    if direct:
        distances = maps(f"{case}/lrtb")
        head.pred_direct = nn.LayerList([Given(values) for values in distances])
    way = SelfDistillation(
        teacher="teacher", class_weight=1.0 if direct else 0.8, feature_weight=0 if direct else 10, epoch=300
    )
    neck = nn.Identity()
    way.attach(SimpleNamespace(yolo_head=head, neck=neck))
    their_feats = None
    if not direct:
        neck(feature_maps(case, "s"))  # in training mode, as a detector's would be
        their_feats = feature_maps(case, "t")
    way._teacher = Teacher(case, their_feats)
    losses = head(feats, truth(100))
    np.testing.assert_allclose(float(losses["loss"]), VECTORS[f"{case}/total"], rtol=2e-4)
    parts = VECTORS[f"{case}/items"]
    iou = float(losses["loss_iou"]) + (float(losses["loss_direct_iou"]) if direct else 0)
    np.testing.assert_allclose(2.5 * iou, parts[0], rtol=1e-4)
    rest = parts[1:].sum() - 0.5 * float(losses["loss_dfl"]) - float(losses["loss_cls"])
    np.testing.assert_allclose(float(losses["loss_distill"]), rest, rtol=2e-3)


def test_the_share_of_the_teacher_fades():
    way = SelfDistillation(epoch=300)
    np.testing.assert_allclose([way.share(0), way.share(150), way.share(300)], [1, 0.505, 0.01])
