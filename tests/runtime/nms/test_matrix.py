import numpy as np
import pytest

from ppdet_ext.runtime.nms import matrix as matrix_module
from ppdet_ext.runtime.nms import matrix_nms

from .naive import MATRIX, check, naive_matrix, tied
from .test_hard import crowd

CROWDS = [(50, 3, 10, 0.3), (900, 10, 20, 0.05), (800, 1, 5, 0.02), (1200, 80, 60, 0.15)]


def check_against_paddle(boxes, scores, **settings):
    """Same boxes of the same classes as Paddle's operator, scores within 1e-5 and falling in both."""
    paddle = pytest.importorskip("paddle", reason="the reference is Paddle's own matrix_nms")
    settings = {"background_label": -1, "normalized": True, **settings}
    rows, _, places = paddle.vision.ops.matrix_nms(
        paddle.to_tensor(boxes[None]), paddle.to_tensor(scores[None]), return_index=True, **settings
    )
    rows, places = rows.numpy(), places.numpy()[:, 0]
    indices, labels, lowered = matrix_nms(boxes, scores, **settings)
    assert len(indices) == len(rows) and (np.diff(lowered) <= 0).all()
    np.testing.assert_allclose(lowered, rows[:, 1], rtol=0, atol=1e-5)
    # Neighbours whose scores agree to the last bit or two may change places.
    ours, theirs = np.lexsort((indices, labels)), np.lexsort((places, rows[:, 0]))
    np.testing.assert_array_equal(indices[ours], places[theirs])
    np.testing.assert_array_equal(labels[ours], rows[theirs, 0])
    np.testing.assert_allclose(lowered[ours], rows[theirs, 1], rtol=0, atol=1e-5)
    return len(indices)


@pytest.mark.parametrize("use_gaussian", [False, True])
@pytest.mark.parametrize("shape", CROWDS)
def test_matrix_is_paddles(shape, use_gaussian):
    for seed in range(3):
        assert check_against_paddle(*crowd(seed, *shape), **{**MATRIX, "use_gaussian": use_gaussian})


@pytest.mark.parametrize(
    "change",
    [
        {"nms_top_k": -1},
        {"nms_top_k": 30},
        {"keep_top_k": 9},
        {"keep_top_k": -1},
        {"post_threshold": 0.0},
        {"post_threshold": 0.3},
        {"score_threshold": 0.999999},
        {"normalized": False},
        {"background_label": 2},
        {"gaussian_sigma": 0.3, "use_gaussian": True},
    ],
)
def test_matrix_is_paddles_for_every_setting(change):
    check_against_paddle(*crowd(7, 900, 5, 8, 0.08), **{**MATRIX, **change})


@pytest.mark.parametrize("use_gaussian", [False, True])
def test_matrix_with_equal_boxes_is_paddles(use_gaussian):
    boxes, scores = crowd(3, 400, 3, 6, 0.1)
    boxes = np.round(boxes / 20) * 20
    check_against_paddle(boxes, scores, **{**MATRIX, "use_gaussian": use_gaussian, "post_threshold": 0.0})


@pytest.mark.parametrize("use_gaussian", [False, True])
@pytest.mark.parametrize("keep_top_k", [-1, 20])
def test_matrix_with_ties(use_gaussian, keep_top_k):
    settings = {**MATRIX, "use_gaussian": use_gaussian, "keep_top_k": keep_top_k, "nms_top_k": 40}
    for seed in range(3):
        boxes, scores = tied(seed)
        check(matrix_nms(boxes, scores, **settings), naive_matrix(boxes, scores, **settings))


def test_matrix_steps_change_nothing(monkeypatch):
    boxes, scores = crowd(5, 700, 4, 6, 0.06)
    for settings in (MATRIX, {**MATRIX, "keep_top_k": 15}, {**MATRIX, "use_gaussian": True}):
        expected = matrix_nms(boxes, scores, **settings)
        for changes in (
            {"PAIRS": 1},
            {"PAIRS": 5000, "ALIKE": 0, "FEW": 1, "AHEAD": 1, "PAYS": 1},
            {"PAIRS": 10**6, "ALIKE": 1, "FEW": 1000, "AHEAD": 10**6},
        ):
            for name, value in changes.items():
                monkeypatch.setattr(matrix_module, name, value)
            for ours, before in zip(matrix_nms(boxes, scores, **settings), expected):
                np.testing.assert_array_equal(ours, before)


@pytest.mark.parametrize("use_gaussian", [False, True])
@pytest.mark.parametrize("keep_top_k, post_threshold", [(300, 0.01), (100, 0.05), (10, 0.01), (-1, 0.01)])
def test_matrix_of_many_candidates_is_paddles(use_gaussian, keep_top_k, post_threshold):
    change = {"keep_top_k": keep_top_k, "post_threshold": post_threshold, "use_gaussian": use_gaussian}
    settings = {**MATRIX, "score_threshold": 0.01, "nms_top_k": 1000, **change}
    boxes, scores = crowd(8, 3000, 12, 25, 0.1)
    assert (scores > 0.01).sum() > 5000
    assert check_against_paddle(boxes, scores, **settings) >= 10
