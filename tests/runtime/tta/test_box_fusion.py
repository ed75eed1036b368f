"""Weighted box fusion: by hand, and against the paper's steps written down once more, box by box."""

import numpy as np
import pytest

from ppdet_ext.runtime.tta.box_fusion import fuse_boxes


def iou(a, b):
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    inside = max(width, 0) * max(height, 0)
    return inside / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inside)


def by_the_paper(boxes, scores, labels, views, threshold):
    """Steps 1 to 6 of arXiv:1910.13302, section 3, with whole lists computed anew at each step."""
    clusters = []
    for number in sorted(range(len(boxes)), key=lambda i: -scores[i]):
        matches = []
        for cluster in clusters:
            if labels[cluster[0]] == labels[number]:
                overlap = iou(fused(cluster, boxes, scores)[0], boxes[number])
                if overlap > threshold:
                    matches.append((overlap, cluster))
        if matches:
            max(matches, key=lambda match: match[0])[1].append(number)
        else:
            clusters.append([number])
    found = []
    for cluster in clusters:
        box, score = fused(cluster, boxes, scores)
        found.append((score * min(len(cluster), views) / views, labels[cluster[0]], box))
    return sorted(found, key=lambda entry: -entry[0])


def fused(cluster, boxes, scores):
    weights = scores[cluster]
    return (weights[:, None] * boxes[cluster]).sum(0) / weights.sum(), weights.mean()


def test_by_hand():
    boxes = np.array([[0, 0, 10, 10], [2, 0, 12, 10], [100, 0, 110, 10]], np.float32)
    found, scores, labels = fuse_boxes(boxes, [0.75, 0.25, 0.5], [3, 3, 3], views=2)
    np.testing.assert_allclose(found, [[0.5, 0, 10.5, 10], [100, 0, 110, 10]])
    # (0.75 + 0.25) / 2, and 0.5 of one view in two
    np.testing.assert_allclose(scores, [0.5, 0.25])
    assert labels.tolist() == [3, 3] and labels.dtype == np.int64
    assert len(fuse_boxes(boxes, [0.75, 0.25, 0.5], [3, 4, 3], views=2)[0]) == 3, "classes stay apart"
    assert len(fuse_boxes(boxes, [0.75, 0.25, 0.5], [3, 3, 3], 2, iou_threshold=0.7)[0]) == 3


def test_more_boxes_than_views_gain_nothing():
    boxes = np.repeat([[0, 0, 10, 10]], 5, 0)
    _, scores, _ = fuse_boxes(boxes, np.full(5, 0.6), np.zeros(5, int), views=3)
    np.testing.assert_allclose(scores, [0.6])


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("views, threshold", [(2, 0.55), (6, 0.4)])
def test_as_the_paper_has_it(seed, views, threshold):
    rng = np.random.RandomState(seed)
    objects = np.repeat(rng.uniform(0, 80, (12, 2)), views, 0)
    corner = objects + rng.normal(0, 2, objects.shape)
    boxes = np.concatenate([corner, corner + rng.uniform(15, 25, corner.shape)], 1).astype(np.float32)
    scores = rng.uniform(0.05, 1, len(boxes)).astype(np.float32)
    labels = rng.randint(0, 3, len(boxes))
    found = fuse_boxes(boxes, scores, labels, views, threshold)
    expected = by_the_paper(boxes.astype(float), scores.astype(float), labels, views, threshold)
    assert 12 < len(expected) < len(boxes)
    np.testing.assert_allclose(found[1], [score for score, _, _ in expected], rtol=1e-5)
    np.testing.assert_array_equal(found[2], [label for _, label, _ in expected])
    np.testing.assert_allclose(found[0], [box for _, _, box in expected], rtol=1e-5, atol=1e-4)


def test_nothing_and_boxes_without_area():
    nothing = fuse_boxes(np.zeros((0, 4)), np.zeros(0), np.zeros(0, int), 2)
    assert [part.shape for part in nothing] == [(0, 4), (0,), (0,)]
    point = np.array([[5, 5, 5, 5]] * 2, np.float32)
    found, scores, _ = fuse_boxes(point, [0.5, 0.4], [0, 0], 2)
    np.testing.assert_allclose(found, point)
    np.testing.assert_allclose(scores, [0.25, 0.2])
