import numpy as np
import pytest
from ppdet.core.workspace import create
from ppdet.modeling.assigners import ATSSAssigner

from ppdet_ext.modeling.assigners import ATSSLabelAssigner

both_modes = pytest.mark.parametrize("mode", ("per_image", "batch"))


@both_modes
@pytest.mark.parametrize("dtype", ("int32", "int64"))
def test_equals_upstream(scene, run_atss, assert_same, mode, dtype):
    upstream = run_atss(ATSSAssigner(num_classes=7), scene)
    ours = run_atss(ATSSLabelAssigner(num_classes=7, mode=mode), scene, dtype)
    assert_same(ours, upstream, dtype)


@both_modes
def test_equals_upstream_when_every_gt_is_matched(scene, run_atss, assert_same, mode):
    options = {"num_classes": 7, "force_gt_matching": True}
    upstream = run_atss(ATSSAssigner(**options), scene)
    assert_same(run_atss(ATSSLabelAssigner(mode=mode, **options), scene), upstream)


@both_modes
@pytest.mark.parametrize("with_scores", (False, True))
def test_equals_upstream_without_predictions(new_scene, run_atss, assert_same, mode, with_scores):
    scene = new_scene(seed=60, gts=(12, 33))
    scores = None
    if with_scores:
        scores = np.random.default_rng(0).random(scene.mask.shape).astype("float32")
    upstream = run_atss(ATSSAssigner(num_classes=7), scene, pred=False, gt_scores=scores)
    ours = run_atss(ATSSLabelAssigner(num_classes=7, mode=mode), scene, pred=False, gt_scores=scores)
    assert_same(ours, upstream)


@both_modes
@pytest.mark.parametrize("topk, bg_index", ((1, 7), (4, 7), (9, 0)))
def test_equals_upstream_with_other_options(new_scene, run_atss, assert_same, mode, topk, bg_index):
    scene = new_scene(seed=61, gts=(12, 33))
    upstream = run_atss(ATSSAssigner(topk, 7), scene, bg_index=bg_index)
    assert_same(run_atss(ATSSLabelAssigner(topk, 7, mode=mode), scene, bg_index=bg_index), upstream)


def reference(s, topk):
    """Mask of ATSS written gt by gt in double precision, for scenes without ties."""
    mask = np.zeros((*s.boxes.shape[:2], len(s.anchors)))
    anchors = s.anchors.astype("float64")
    for b, image in enumerate(s.boxes.astype("float64")):
        overlap = np.zeros(mask.shape[1:])
        for g in np.flatnonzero(s.mask[b, :, 0]):
            low, high = np.maximum(image[g, :2], anchors[:, :2]), np.minimum(image[g, 2:], anchors[:, 2:])
            shared = np.prod(np.maximum(high - low, 0), axis=1)
            overlap[g] = shared / (
                np.prod(image[g, 2:] - image[g, :2])
                + np.prod(anchors[:, 2:] - anchors[:, :2], axis=1)
                - shared
            )
            distance = np.linalg.norm(s.points - (image[g, :2] + image[g, 2:]) / 2, axis=1)
            ends = np.cumsum(s.counts)
            chosen = np.concatenate(
                [start + np.argsort(distance[start:end])[:topk] for start, end in zip(ends - s.counts, ends)]
            )
            limit = overlap[g, chosen].mean() + overlap[g, chosen].std(ddof=1)
            inside = ((s.points > image[g, :2]) & (s.points < image[g, 2:])).all(axis=1)
            mask[b, g, chosen] = (overlap[g, chosen] > limit) & inside[chosen]
        for a in np.flatnonzero(mask[b].sum(0) > 1):
            mask[b, :, a] = 0
            mask[b, overlap[:, a].argmax(), a] = 1
    return mask


@both_modes
@pytest.mark.parametrize("size, topk", ((64, 9), (96, 30), (160, 9)))
def test_fewer_anchors_than_topk(new_scene, run_atss, mode, size, topk):
    scene = new_scene(seed=62, size=size, gts=(6, 3))
    expected = reference(scene, topk)
    assert expected.any()
    mask = run_atss(ATSSLabelAssigner(topk, 7, mode=mode), scene)[3]
    np.testing.assert_array_equal(mask, expected)


@both_modes
@pytest.mark.parametrize("dtype", ("int32", "int64"))
def test_no_gts_at_all(new_scene, run_atss, mode, dtype):
    scene = new_scene(seed=63)
    for name in ("boxes", "labels", "mask"):
        setattr(scene, name, getattr(scene, name)[:, :0])
    labels, boxes, scores, mask = run_atss(ATSSLabelAssigner(num_classes=7, mode=mode), scene, dtype)
    num = len(scene.points)
    assert labels.dtype == dtype and (labels == 7).all() and labels.shape == (2, num)
    assert boxes.shape == (2, num, 4) and not boxes.any()
    assert scores.shape == (2, num, 7) and not scores.any()
    assert mask.shape == (2, 0, num)


def test_auto_mode(new_scene, run_atss, assert_same):
    scene = new_scene(seed=64)
    assert_same(
        run_atss(ATSSLabelAssigner(num_classes=7), scene), run_atss(ATSSAssigner(num_classes=7), scene)
    )


def test_is_registered():
    assert isinstance(create("ATSSLabelAssigner"), ATSSLabelAssigner)
    assert ATSSLabelAssigner.__shared__ == ["num_classes"]


@pytest.mark.parametrize(
    "options, message", (({"mode": "cpu"}, "mode.*'cpu'.*per_image"), ({"topk": 0}, "topk: 0"))
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        ATSSLabelAssigner(**options)


def test_bad_level_sizes(new_scene, run_atss):
    scene = new_scene()
    scene.counts = [1, 2]
    with pytest.raises(ValueError, match=r"num_anchors_list: \[1, 2\] adds up to 3"):
        run_atss(ATSSLabelAssigner(num_classes=7), scene)
