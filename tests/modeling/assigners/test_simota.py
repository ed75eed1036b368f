from types import SimpleNamespace

import numpy as np
import paddle
import pytest
from ppdet.core.workspace import create
from ppdet.modeling.assigners import SimOTAAssigner

from ppdet_ext.modeling.assigners import SimOTALabelAssigner
from ppdet_ext.modeling.boxes import pairwise_iou
from ppdet_ext.modeling.heads import ETHead

from .conftest import CLASSES


def log(probability):
    return np.log(np.maximum(probability, 1e-8))


def compare(s, b, g, radius=2.5, cls_weight=1.0, iou_weight=3.0):
    """One gt with every anchor of its image, in double precision.

    Points may lie on the very edge of a square, so that places are compared in single precision.
    """
    (x, y), (x1, y1, x2, y2) = s.points.T, s.boxes[b, g]
    reach = s.strides[:, 0] * np.float32(radius)
    inside = (x > x1) & (x < x2) & (y > y1) & (y < y2)
    near = (abs(x - (x1 + x2) / 2) < reach) & (abs(y - (y1 + y2) / 2) < reach)

    x1, y1, x2, y2 = s.boxes[b, g].astype("float64")
    p = s.pred_boxes[b].astype("float64")
    width = np.maximum(np.minimum(x2, p[:, 2]) - np.maximum(x1, p[:, 0]), 0)
    height = np.maximum(np.minimum(y2, p[:, 3]) - np.maximum(y1, p[:, 1]), 0)
    areas = (x2 - x1) * (y2 - y1) + (p[:, 2] - p[:, 0]) * (p[:, 3] - p[:, 1])
    ious = width * height / (areas - width * height)

    scores = s.pred_scores[b].astype("float64")
    onehot = np.eye(CLASSES)[s.labels[b, g, 0]]
    entropy = -(onehot * log(scores) + (1 - onehot) * log(1 - scores)).sum(1)
    return SimpleNamespace(
        either=inside | near,
        outside=~(inside & near),
        ious=ious,
        cost=cls_weight * entropy - iou_weight * log(ious),
    )


def reference(s, topk=10, **options):
    """SimOTA image by image, gt by gt: the mask `[B, n, L]` and the score of each anchor `[B, L]`."""
    mask, soft = np.zeros((*s.boxes.shape[:2], len(s.points))), np.zeros(s.pred_boxes.shape[:2])
    for b in range(len(mask)):
        gts = {g: compare(s, b, g, **options) for g in np.flatnonzero(s.mask[b, :, 0])}
        candidates = np.flatnonzero(sum(gt.either for gt in gts.values()))
        claimants = {}
        for g, gt in gts.items():
            k = max(int(sum(sorted(gt.ious[candidates])[-topk:])), 1)
            order = np.lexsort((candidates, gt.cost[candidates], gt.outside[candidates]))
            for a in candidates[order][:k]:
                claimants.setdefault(a, []).append(g)
        for a, claiming in claimants.items():
            if len(claiming) > 1:
                claiming = sorted(gts, key=lambda g, a=a, gts=gts: (gts[g].outside[a], gts[g].cost[a], g))
            mask[b, claiming[0], a] = 1
            soft[b, a] = gts[claiming[0]].ious[a]
    return mask, soft


def check(out, s, mask, soft):
    labels, boxes, scores, ours = out
    np.testing.assert_array_equal(ours, mask)
    image, gt, anchor = np.nonzero(mask)
    expected = np.full(labels.shape, CLASSES)
    expected[image, anchor] = s.labels[image, gt, 0]
    np.testing.assert_array_equal(labels, expected)
    np.testing.assert_array_equal(boxes[image, anchor], s.boxes[image, gt])
    dense = np.zeros(scores.shape)
    dense[image, anchor, s.labels[image, gt, 0]] = soft[image, anchor]
    np.testing.assert_allclose(scores, dense, rtol=2e-4, atol=1e-6)


def test_equals_a_plain_version(scene, run_tal):
    expected = reference(scene)
    for dtype in ("int32", "int64"):
        out = run_tal(SimOTALabelAssigner(), scene, dtype)
        assert out[0].dtype == dtype and all(array.dtype == np.float32 for array in out[1:])
        check(out, scene, *expected)


@pytest.mark.parametrize("seed", range(60, 66))
@pytest.mark.parametrize(
    "options",
    ({"radius": 1.0}, {"radius": 4.0, "topk": 20}, {"topk": 1}, {"cls_weight": 3.0, "iou_weight": 0.5}),
    ids=str,
)
def test_options(new_scene, run_tal, options, seed):
    scene = new_scene(seed=seed, gts=(12, 0, 3))
    names = {"radius": "center_radius", "topk": "candidate_topk"}
    assigner = SimOTALabelAssigner(**{names.get(k, k): v for k, v in options.items()})
    out = run_tal(assigner, scene)
    check(out, scene, *reference(scene, **options))
    plain = run_tal(SimOTALabelAssigner(), scene)
    assert (out[3] != plain[3]).any(), "the options change nothing in this scene"
    given = run_tal(assigner, scene, stride_tensor=paddle.to_tensor(scene.strides))
    np.testing.assert_array_equal(given[3], out[3])


@pytest.mark.parametrize("seed", range(70, 76))
def test_equals_upstream_on_gts_with_anchors_enough(new_scene, run_tal, seed):
    """PaddleDetection adds 1e8 to the cost of the others, which leaves nothing to tell them apart by."""

    def large(s, rng):
        center = rng.uniform(0.3, 0.7, (*s.boxes.shape[:2], 2)) * s.size
        half = rng.uniform(24, 60, center.shape)
        s.boxes = np.concatenate([center - half, center + half], -1).astype("float32") * s.mask
        s.labels[:] += s.mask.astype("int64") * (s.labels.max() == 0)

    scene = new_scene(seed=seed, gts=(7, 4, 1), change=large)
    labels, boxes, _, mask = run_tal(SimOTALabelAssigner(), scene)
    upstream = SimOTAAssigner(num_classes=CLASSES, use_vfl=False)
    for b, count in enumerate((7, 4, 1)):
        _, expected, _, targets = upstream(
            paddle.to_tensor(scene.pred_scores[b]),
            paddle.to_tensor(np.concatenate([scene.points, scene.strides, scene.strides], -1)),
            paddle.to_tensor(scene.pred_boxes[b]),
            paddle.to_tensor(scene.boxes[b, :count]),
            paddle.to_tensor(scene.labels[b, :count]),
        )
        positive = expected != CLASSES
        assert positive.sum() >= count
        np.testing.assert_array_equal(labels[b], expected)
        np.testing.assert_array_equal(boxes[b, positive], targets[positive])


def test_gts_that_hold_no_anchor(new_scene, run_tal):
    """The anchors around do, though they cost more."""

    def between(s, rng):
        middle = np.float32([[32, 32], [64, 128], [96, 64], [128, 96], [128, 32]])  # no point of any level
        s.boxes = np.concatenate([middle - 1, middle + 1], -1)[None]

    scene = new_scene(seed=80, gts=(5,), change=between)
    out = run_tal(SimOTALabelAssigner(), scene)
    check(out, scene, *reference(scene))
    gt, anchor = np.nonzero(out[3][0])
    np.testing.assert_array_equal(gt, range(5))
    for g, a in zip(gt, anchor):
        place = compare(scene, 0, g)
        assert place.either[a] and place.outside.all()


def test_the_first_of_equals(new_scene, run_tal):
    """Predictions without an edge over each other: the first anchors in the box and near its centre."""

    def equal(s, rng):
        s.boxes[:] = [40, 40, 120, 120]
        s.pred_boxes[:] = [60, 40, 120, 120]  # IoU 0.75: k is 7
        s.pred_scores[:] = 0.25

    scene = new_scene(seed=81, gts=(3,), change=equal)
    mask = run_tal(SimOTALabelAssigner(), scene)[3][0]
    gt = compare(scene, 0, 0)
    np.testing.assert_array_equal(np.flatnonzero(mask[0]), np.flatnonzero(~gt.outside)[:7])
    assert not mask[1:].any()  # its equals, of which the first gt wins


def test_certain_scores_cost_something_finite(new_scene, run_tal):
    def certain(s, rng):
        s.pred_scores = rng.integers(0, 2, s.pred_scores.shape).astype("float32")

    scene = new_scene(seed=82, gts=(6, 6), change=certain)
    out = run_tal(SimOTALabelAssigner(), scene)
    check(out, scene, *reference(scene))


def test_padding_changes_nothing(new_scene, run_tal):
    scene = new_scene(seed=83, gts=(4, 4))
    expected = run_tal(SimOTALabelAssigner(), scene)
    scene.boxes = np.concatenate([scene.boxes, scene.boxes + 3], 1)
    scene.labels = np.concatenate([scene.labels, scene.labels], 1)
    scene.mask = np.concatenate([scene.mask, 0 * scene.mask], 1)
    padded = run_tal(SimOTALabelAssigner(), scene)
    for ours, other in zip(padded[:3], expected[:3]):
        np.testing.assert_array_equal(ours, other)
    np.testing.assert_array_equal(padded[3][:, :4], expected[3])
    assert not padded[3][:, 4:].any()


def test_no_gts_at_all(new_scene, run_tal):
    scene = new_scene(seed=84)
    for name in ("boxes", "labels", "mask"):
        setattr(scene, name, getattr(scene, name)[:, :0])
    labels, boxes, scores, mask = run_tal(SimOTALabelAssigner(), scene)
    num = len(scene.points)
    assert labels.shape == (2, num) and (labels == CLASSES).all()
    assert boxes.shape == (2, num, 4) and scores.shape == (2, num, CLASSES) and not scores.any()
    assert mask.shape == (2, 0, num)


def test_fewer_anchors_than_topk(new_scene, run_tal):
    scene = new_scene(seed=85, size=32, gts=(3, 1))  # 1 + 4 + 16 anchors
    out = run_tal(SimOTALabelAssigner(candidate_topk=50), scene)
    check(out, scene, *reference(scene, topk=50))


def test_a_head_learns_through_it():
    """Trained on one batch, a head finds its boxes."""
    paddle.seed(0)
    feats = [paddle.randn([2, 8, 2, 3]), paddle.randn([2, 8, 4, 6])]
    head = ETHead([8, 8], CLASSES, fpn_strides=(16, 8), assigner=SimOTALabelAssigner(), static_assigner=None)
    classes = paddle.to_tensor([[[1], [4]], [[2], [0]]])
    gts = paddle.to_tensor([[[2.0, 3, 30, 25], [20, 8, 46, 30]], [[10, 10, 36, 30], [0, 0, 0, 0]]])
    mask = paddle.to_tensor([[[1.0], [1]], [[1], [0]]])
    targets = {"gt_class": classes, "gt_bbox": gts, "pad_gt_mask": mask, "epoch_id": 0}
    optimizer = paddle.optimizer.Adam(0.02, parameters=head.parameters())
    for _ in range(60):
        losses = head(feats, targets)
        losses["loss"].backward()
        for branch in (head.pred_cls, head.pred_reg):
            gradients = [conv.weight.grad.numpy() for conv in branch]
            assert all(np.isfinite(g).all() for g in gradients) and any(g.any() for g in gradients)
        optimizer.step()
        optimizer.clear_grad()
    assert np.isfinite(float(losses["loss"]))
    head.eval()
    boxes, scores = head.decode(head(feats))
    for b, g in ((0, 0), (0, 1), (1, 0)):
        of_class = scores[b, int(classes[b, g])].numpy()
        anchor = int(of_class.argmax())
        assert of_class[anchor] > 0.5
        assert float(pairwise_iou(gts[b, g : g + 1], boxes[b, anchor : anchor + 1])) > 0.7


def test_is_registered():
    assert isinstance(create("SimOTALabelAssigner"), SimOTALabelAssigner)


def test_bad_input(new_scene, run_tal):
    with pytest.raises(ValueError, match="candidate_topk: 0"):
        SimOTALabelAssigner(candidate_topk=0)
    scene = new_scene()
    scene.labels = scene.labels[:, :1]
    with pytest.raises(ValueError, match=r"gt_labels: shape \[2, 1, 1\], expected \[2, 5, 1\]"):
        run_tal(SimOTALabelAssigner(), scene)
