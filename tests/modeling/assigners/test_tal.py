import numpy as np
import paddle
import pytest
from ppdet.core.workspace import create
from ppdet.modeling.assigners import TaskAlignedAssigner

from ppdet_ext.modeling.assigners import TALLabelAssigner
from ppdet_ext.modeling.assigners.common import anchor_strides

MODES = ("per_image", "batch")
both_modes = pytest.mark.parametrize("mode", MODES)


@both_modes
@pytest.mark.parametrize("dtype", ("int32", "int64"))
def test_equals_upstream(scene, run_tal, assert_same, mode, dtype):
    upstream = run_tal(TaskAlignedAssigner(), scene)
    assert_same(run_tal(TALLabelAssigner(mode=mode), scene, dtype), upstream, dtype)


@both_modes
@pytest.mark.parametrize(
    "options", ({"topk": 20, "beta": 4.0}, {"topk": 1}, {"alpha": 0.5, "beta": 1.0, "eps": 1e-3}), ids=str
)
def test_equals_upstream_with_other_options(new_scene, run_tal, assert_same, mode, options):
    scene = new_scene(seed=50, gts=(33, 12))
    upstream = run_tal(TaskAlignedAssigner(**options), scene)
    assert_same(run_tal(TALLabelAssigner(mode=mode, **options), scene), upstream)


@both_modes
def test_equals_upstream_when_the_background_comes_first(new_scene, run_tal, assert_same, mode):
    scene = new_scene(seed=51, gts=(9, 12))
    upstream = run_tal(TaskAlignedAssigner(), scene, bg_index=0)
    assert (upstream[2] > 0).any()
    assert_same(run_tal(TALLabelAssigner(mode=mode), scene, bg_index=0), upstream)


@both_modes
def test_equals_upstream_at_the_end_of_the_tensor(new_scene, run_tal, assert_same, mode):
    """Paddle's power rounds differently in the last few elements of a tensor."""

    def corner(s, rng):
        s.boxes[:] = [0, 0, s.size, s.size]

    for seed in range(20):
        scene = new_scene(seed=seed, size=32, gts=(1,), change=corner)
        upstream = run_tal(TaskAlignedAssigner(topk=20), scene)
        assert_same(run_tal(TALLabelAssigner(topk=20, mode=mode), scene), upstream)


def reference(s, topk=13, alpha=1.0, beta=6.0, eps=1e-9, radius=None, score="normalized"):
    """Task-aligned assignment written gt by gt in double precision, for scenes without ties."""
    batch, num = s.pred_boxes.shape[:2]
    mask, soft = np.zeros((batch, s.boxes.shape[1], num)), np.zeros((batch, num))
    for b in range(batch):
        metric, overlap = np.zeros((2,) + mask.shape[1:])
        for g in np.flatnonzero(s.mask[b, :, 0]):
            x1, y1, x2, y2 = s.boxes[b, g].astype("float64")
            p = s.pred_boxes[b].astype("float64")
            sides = [
                np.minimum(x2, p[:, 2]) - np.maximum(x1, p[:, 0]),
                np.minimum(y2, p[:, 3]) - np.maximum(y1, p[:, 1]),
            ]
            shared = np.maximum(sides[0], 0) * np.maximum(sides[1], 0)
            areas = (x2 - x1) * (y2 - y1) + (p[:, 2] - p[:, 0]) * (p[:, 3] - p[:, 1])
            overlap[g] = shared / (areas - shared)
            metric[g] = s.pred_scores[b, :, s.labels[b, g, 0]] ** alpha * overlap[g] ** beta
            x, y = s.points.T
            allowed = (x > x1) & (x < x2) & (y > y1) & (y < y2)
            if radius is not None:
                reach = radius * s.strides[:, 0]
                allowed |= (abs(x - (x1 + x2) / 2) < reach) & (abs(y - (y1 + y2) / 2) < reach)
            taken = [a for a in np.argsort(-metric[g]) if allowed[a]][:topk]
            mask[b, g, taken] = 1
        for a in np.flatnonzero(mask[b].sum(0) > 1):
            mask[b, :, a] = 0
            mask[b, overlap[:, a].argmax(), a] = 1
        for g, a in zip(*np.nonzero(mask[b])):
            soft[b, a] = metric[g, a]
            if score == "normalized":
                own = mask[b, g] > 0
                soft[b, a] *= overlap[g, own].max() / (metric[g, own].max() + eps)
    return mask, soft


@both_modes
@pytest.mark.parametrize(
    "options",
    (
        {},
        {"radius": 2.5},
        {"radius": 1.0, "score": "alignment"},
        {"score": "alignment", "topk": 20, "beta": 4.0},
    ),
    ids=str,
)
def test_options_of_our_own(new_scene, run_tal, mode, options):
    def spread(s, rng):
        # Larger predicted boxes: every candidate overlaps its gt, so no two alignments tie at 0.
        s.pred_boxes += np.float32([-40, -40, 40, 40])

    scene = new_scene(seed=52, gts=(12, 3), change=spread)
    mask, soft = reference(scene, **options)
    names = {"radius": "center_radius"}
    assigner = TALLabelAssigner(mode=mode, **{names.get(k, k): v for k, v in options.items()})
    labels, boxes, scores, ours = run_tal(assigner, scene)
    np.testing.assert_array_equal(ours, mask)
    np.testing.assert_allclose(scores.sum(-1), soft, rtol=2e-5, atol=1e-12)
    image, gt, anchor = np.nonzero(mask)
    np.testing.assert_array_equal(labels[image, anchor], scene.labels[image, gt, 0])
    np.testing.assert_array_equal(boxes[image, anchor], scene.boxes[image, gt])
    assert (scores[image, anchor, labels[image, anchor]] > 0).all()
    if "radius" in options:
        plain = run_tal(TALLabelAssigner(mode=mode), scene)[3]
        assert (ours != plain).any(), "the radius changes nothing in this scene"
        given = run_tal(assigner, scene, stride_tensor=paddle.to_tensor(scene.strides))
        np.testing.assert_array_equal(given[3], ours)


@both_modes
def test_fewer_anchors_than_topk(new_scene, run_tal, mode):
    scene = new_scene(seed=53, size=32, gts=(3, 1))  # 1 + 4 + 16 anchors
    capped = run_tal(TALLabelAssigner(topk=21, mode=mode), scene)
    for ours, expected in zip(run_tal(TALLabelAssigner(topk=50, mode=mode), scene), capped):
        np.testing.assert_array_equal(ours, expected)
    inside = ((scene.points > scene.boxes[1, 0, :2]) & (scene.points < scene.boxes[1, 0, 2:])).all(1)
    np.testing.assert_array_equal(capped[3][1, 0], inside)


@both_modes
@pytest.mark.parametrize("dtype", ("int32", "int64"))
def test_no_gts_at_all(new_scene, run_tal, mode, dtype):
    scene = new_scene(seed=54)
    for name in ("boxes", "labels", "mask"):
        setattr(scene, name, getattr(scene, name)[:, :0])
    labels, boxes, scores, mask = run_tal(TALLabelAssigner(mode=mode), scene, dtype)
    num = len(scene.points)
    assert labels.dtype == dtype and (labels == 7).all() and labels.shape == (2, num)
    assert boxes.shape == (2, num, 4) and not boxes.any()
    assert scores.shape == (2, num, 7) and not scores.any()
    assert mask.shape == (2, 0, num)


def test_auto_mode(new_scene, run_tal, assert_same):
    scene = new_scene(seed=55)
    assert_same(run_tal(TALLabelAssigner(), scene), run_tal(TaskAlignedAssigner(), scene))


@pytest.mark.parametrize(
    "height, width, strides", ((64, 96, (32, 16, 8)), (32, 96, (32, 16)), (64, 32, (32,)), (32, 32, (32, 8)))
)
def test_anchor_strides(height, width, strides):
    points, expected, counts = [], [], []
    for stride in strides:
        level = [
            ((x + 0.5) * stride, (y + 0.5) * stride)
            for y in range(height // stride)
            for x in range(width // stride)
        ]
        points += level
        counts.append(len(level))
        expected += [stride] * len(level)
    ours = anchor_strides(paddle.to_tensor(np.float32(points)), counts)
    np.testing.assert_array_equal(ours.numpy(), np.float32(expected))
    with pytest.raises(ValueError, match="adds up to"):
        anchor_strides(paddle.to_tensor(np.float32(points)), [1, *counts])


def test_is_registered():
    assert isinstance(create("TALLabelAssigner"), TALLabelAssigner)


@pytest.mark.parametrize(
    "options, message",
    (
        ({"mode": "cpu"}, "mode.*'cpu'.*per_image"),
        ({"score": "max"}, "score.*'max'.*alignment"),
        ({"topk": 0}, "topk: 0"),
    ),
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        TALLabelAssigner(**options)


def test_bad_shapes(new_scene, run_tal):
    scene = new_scene()
    scene.labels = scene.labels[:, :1]
    with pytest.raises(ValueError, match=r"gt_labels: shape \[2, 1, 1\], expected \[2, 5, 1\]"):
        run_tal(TALLabelAssigner(), scene)
