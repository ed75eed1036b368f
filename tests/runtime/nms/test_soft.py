import math

import numpy as np
import pytest

from ppdet_ext.runtime.nms import soft as soft_module
from ppdet_ext.runtime.nms import soft_nms

from .naive import SETTINGS, SOFT, check, naive_soft, tied
from .test_hard import crowd


@pytest.mark.parametrize("change", SETTINGS)
def test_soft_is_the_naive_one(change):
    for seed, shape in enumerate([(120, 3, 6, 0.1), (60, 1, 2, 0.05), (150, 6, 30, 0.2)]):
        boxes, scores = crowd(seed, *shape)
        check(soft_nms(boxes, scores, **{**SOFT, **change}), naive_soft(boxes, scores, **{**SOFT, **change}))


@pytest.mark.parametrize("change", [{}, {"nms_top_k": 20}, {"keep_top_k": 12}])
def test_soft_linear_with_ties(change):
    settings = {**SOFT, "score_threshold": 0.125, **change}
    for seed in range(3):
        boxes, scores = tied(seed)
        check(soft_nms(boxes, scores, **settings), naive_soft(boxes, scores, **settings))


@pytest.mark.parametrize("keep_top_k", [-1, 200, 3])
@pytest.mark.parametrize("use_gaussian", [False, True])
def test_soft_packing_changes_nothing(monkeypatch, keep_top_k, use_gaussian):
    boxes, scores = crowd(4, 600, 5, 8, 0.08)
    settings = {**SOFT, "keep_top_k": keep_top_k, "use_gaussian": use_gaussian}
    expected = soft_nms(boxes, scores, **settings)
    for share in (0, 0.99):
        monkeypatch.setattr(soft_module, "PACK", share)
        for ours, before in zip(soft_nms(boxes, scores, **settings), expected):
            np.testing.assert_array_equal(ours, before)


def test_soft_by_hand():
    # IoU 0.6 of the first two; the third apart; the fourth lies on the first and is of another class.
    boxes = np.array([[0, 0, 10, 10], [2.5, 0, 12.5, 10], [50, 0, 60, 10], [0, 0, 10, 10]], np.float32)
    scores = np.array([[0.9, 0.8, 0.5, 0.0], [0.0, 0.0, 0.0, 0.7]], np.float32)
    linear = soft_nms(boxes, scores, **SOFT)
    check(linear, ([0, 3, 2, 1], [0, 1, 0, 0], [0.9, 0.7, 0.5, 0.8 * 0.4]))
    gaussian = soft_nms(boxes, scores, **{**SOFT, "use_gaussian": True})
    check(gaussian, ([0, 3, 2, 1], [0, 1, 0, 0], [0.9, 0.7, 0.5, 0.8 * math.exp(-0.36 / 0.5)]))
