import numpy as np
import pytest

import ppdet_ext  # noqa: F401  before paddle
from ppdet_ext.runtime.nms import hard, multiclass_nms
from ppdet_ext.runtime.nms.candidates import choose

DEFAULT = {"score_threshold": 0.01, "nms_top_k": 1000, "keep_top_k": 300, "nms_threshold": 0.7}


def paddles(boxes, scores, background_label=-1, **settings):
    """Rows (label, score, x1, y1, x2, y2) of Paddle's operator, in the order of our own: by falling score."""
    import paddle
    from ppdet.modeling.layers import MultiClassNMS

    layer = MultiClassNMS(**settings)
    rows, _, _ = layer(
        paddle.to_tensor(boxes[None]), paddle.to_tensor(scores[None]), background_label=background_label
    )
    rows = rows.numpy().reshape(-1, 6)
    rows = rows[rows[:, 0] >= 0]  # no detection at all is a row of -1
    return rows[np.argsort(-rows[:, 1], kind="stable")]


def ours(boxes, scores, **settings):
    indices, labels = multiclass_nms(boxes, scores, **settings)
    return np.column_stack([labels, scores[labels, indices], boxes[indices]]).astype(np.float32)


def crowd(seed, count, classes, objects, spread):
    """Boxes in heaps around a few objects, the scores of each heap high in one class."""
    rng = np.random.default_rng(seed)
    centres, sides = rng.uniform(0, 600, (objects, 2)), rng.uniform(30, 200, (objects, 2))
    owner = rng.integers(objects, size=count)
    centre = centres[owner] + rng.normal(0, spread, (count, 2)) * sides[owner]
    side = sides[owner] * np.exp(rng.normal(0, spread, (count, 2)))
    boxes = np.concatenate([centre - side / 2, centre + side / 2], 1).astype(np.float32)
    scores = rng.beta(0.3, 8, (classes, count))
    scores[rng.integers(classes, size=objects)[owner], np.arange(count)] = rng.beta(1, 2, count)
    return boxes, scores.astype(np.float32)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    "count, classes, objects, spread",
    [(50, 3, 10, 0.3), (2000, 10, 20, 0.05), (2000, 1, 5, 0.02), (3000, 80, 60, 0.15)],
)
def test_equal_to_paddle(seed, count, classes, objects, spread):
    boxes, scores = crowd(seed, count, classes, objects, spread)
    np.testing.assert_array_equal(ours(boxes, scores, **DEFAULT), paddles(boxes, scores, **DEFAULT))


@pytest.mark.parametrize(
    "change",
    [
        {"nms_top_k": 40},
        {"nms_top_k": -1},
        {"keep_top_k": 7},
        {"keep_top_k": -1},
        {"normalized": False},
        {"nms_threshold": 0.3},
        {"score_threshold": 0.4},
        {"score_threshold": 0.999999},
        {"background_label": 2},
    ],
)
def test_equal_to_paddle_for_every_setting(change):
    boxes, scores = crowd(11, 1500, 5, 8, 0.08)
    settings = {**DEFAULT, **change}
    np.testing.assert_array_equal(ours(boxes, scores, **settings), paddles(boxes, scores, **settings))


@pytest.mark.parametrize("seed", range(4))
def test_equal_to_paddle_with_tied_scores_and_equal_boxes(seed):
    boxes, scores = crowd(seed, 1200, 6, 12, 0.1)
    scores = np.round(scores * 8) / 8  # nine different scores
    boxes = np.round(boxes / 20) * 20  # many equal boxes, some of no area
    for keep_top_k in (300, 25):
        change = {"keep_top_k": keep_top_k, "nms_threshold": 0.5, "nms_top_k": 100, "score_threshold": 0.125}
        settings = {**DEFAULT, **change}
        np.testing.assert_array_equal(ours(boxes, scores, **settings), paddles(boxes, scores, **settings))


@pytest.mark.parametrize("keep_top_k", [300, 20, -1])
def test_block_and_reach_change_nothing(monkeypatch, keep_top_k):
    boxes, scores = crowd(5, 900, 4, 6, 0.06)
    settings = {**DEFAULT, "keep_top_k": keep_top_k}
    expected = ours(boxes, scores, **settings)
    for block, reach in ((1, 64), (7, 100), (5000, 5000), (64, 50), (128, 10)):
        monkeypatch.setattr(hard, "BLOCK", block)
        monkeypatch.setattr(hard, "REACH", reach)
        np.testing.assert_array_equal(ours(boxes, scores, **settings), expected)


def test_many_candidates_are_paddles():
    boxes, scores = crowd(1, 4000, 8, 30, 0.1)
    settings = {**DEFAULT, "nms_top_k": -1, "keep_top_k": 1000}
    assert (scores > 0.01).sum() > 5000
    np.testing.assert_array_equal(ours(boxes, scores, **settings), paddles(boxes, scores, **settings))


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (3, 8), (5, 9), (80, 1000), (2, 12345)])
@pytest.mark.parametrize("share", [0, 0.001, 0.5, 1])
def test_candidates_are_those_above_the_threshold(shape, share):
    rng = np.random.default_rng(0)
    scores = np.where(rng.random(shape) < share, 0.5, 0.125).astype(np.float32)
    labels, indices = choose(scores, 0.125, -1, -1)
    expected = np.nonzero(scores > 0.125)
    np.testing.assert_array_equal(labels, expected[0])
    np.testing.assert_array_equal(indices, expected[1])
    transposed = choose(np.asfortranarray(scores), 0.125, -1, -1)
    np.testing.assert_array_equal(transposed, expected)


def test_the_best_of_a_class_enter_and_ties_go_to_the_lower_index():
    scores = np.array([[0.5, 0.9, 0.5, 0.5, 0.7], [0.0, 0.3, 0.0, 0.3, 0.0]], np.float32)
    labels, indices = choose(scores, 0.1, 3, -1)
    assert labels.tolist() == [0, 0, 0, 1, 1] and indices.tolist() == [0, 1, 4, 1, 3]


def test_the_layout_of_boxes_changes_nothing():
    boxes, scores = crowd(2, 500, 4, 6, 0.06)
    expected = multiclass_nms(boxes, scores, **DEFAULT)
    for layout in (np.asfortranarray(boxes), np.repeat(boxes, 2, 0)[::2], boxes.astype(np.float64)):
        for got, want in zip(multiclass_nms(layout, scores, **DEFAULT), expected):
            np.testing.assert_array_equal(got, want)


def test_a_chain_of_boxes():
    # Each overlaps the next by IoU 0.6 only: the second falls to the first, so that the third stays.
    boxes = np.array([[0, 0, 10, 10], [2.5, 0, 12.5, 10], [5, 0, 15, 10], [7.5, 0, 17.5, 10]], np.float32)
    scores = np.array([[0.9, 0.8, 0.7, 0.6]], np.float32)
    indices, labels = multiclass_nms(boxes, scores, nms_threshold=0.55)
    assert indices.tolist() == [0, 2] and labels.tolist() == [0, 0]


def test_nothing_passes():
    boxes, scores = crowd(0, 20, 3, 2, 0.1)
    for empty in (multiclass_nms(boxes, scores * 0), multiclass_nms(boxes[:0], scores[:, :0])):
        assert [part.shape for part in empty] == [(0,), (0,)]
