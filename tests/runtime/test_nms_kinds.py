import math

import numpy as np
import pytest

from ppdet_ext.runtime import matrix_nms as matrix_module
from ppdet_ext.runtime.matrix_nms import matrix_nms
from ppdet_ext.runtime.nms import class_agnostic_nms
from ppdet_ext.runtime.nms_kinds import KINDS, NMS
from ppdet_ext.runtime.soft_nms import soft_nms

from .test_nms import crowd

HARD = {"score_threshold": 0.05, "nms_top_k": 400, "keep_top_k": 200, "nms_threshold": 0.5}
FALL = {"post_threshold": 0.05, "use_gaussian": False, "gaussian_sigma": 2.0}
MATRIX = {"score_threshold": 0.05, "nms_top_k": 400, "keep_top_k": 200, **FALL}
SOFT = {**HARD, **FALL, "gaussian_sigma": 0.5}
CROWDS = [(50, 3, 10, 0.3), (900, 10, 20, 0.05), (800, 1, 5, 0.02), (1200, 80, 60, 0.15)]


def tied(seed):
    """Few different scores, many equal boxes, some of them empty."""
    boxes, scores = crowd(seed, 300, 4, 8, 0.1)
    return np.round(boxes / 20) * 20, np.round(scores * 8) / 8


def iou_of(a, b, one):
    """IoU of two boxes in plain float32 arithmetic; NaN for two empty ones at one place."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if width < 0 or height < 0:
        return np.float32(0)
    inside = (width + one) * (height + one)
    areas = [(box[2] - box[0] + one) * (box[3] - box[1] + one) for box in (a, b)]
    with np.errstate(divide="ignore", invalid="ignore"):
        return inside / (areas[0] + areas[1] - inside)


def candidates(scores, settings):
    """(class, index, score) of those that enter, best first of each class, as a list a class."""
    for label, row in enumerate(scores):
        if label == settings.get("background_label", -1):
            continue
        entering = [(label, index, s) for index, s in enumerate(row) if s > settings["score_threshold"]]
        entering.sort(key=lambda entry: -entry[2])
        yield entering if settings["nms_top_k"] < 0 else entering[: settings["nms_top_k"]]


def ranked(found, keep_top_k):
    """indices, labels and scores of (class, index, score) entries, best first; ties by class, then index."""
    found = sorted(found, key=lambda entry: (-entry[2], *entry[:2]))
    found = found if keep_top_k < 0 else found[:keep_top_k]
    return [entry[1] for entry in found], [entry[0] for entry in found], [entry[2] for entry in found]


def naive_soft(boxes, scores, **settings):
    one = np.float32(0 if settings.get("normalized", True) else 1)
    found = []
    for left in candidates(scores, settings):
        while left:
            best = max(left, key=lambda entry: (entry[2], -entry[1]))
            if not best[2] > settings["post_threshold"]:
                break
            found.append(best)
            left.remove(best)
            for place, (label, index, score) in enumerate(left):
                iou = iou_of(boxes[best[1]], boxes[index], one)
                iou = 1.0 if np.isnan(iou) else float(iou)
                if settings["use_gaussian"]:
                    score = score * np.float32(math.exp(-iou * iou / settings["gaussian_sigma"]))
                elif iou > settings["nms_threshold"]:
                    score = score * np.float32(1 - iou)
                left[place] = (label, index, score)
    return ranked(found, settings["keep_top_k"])


def naive_matrix(boxes, scores, **settings):
    one = np.float32(0 if settings.get("normalized", True) else 1)
    found = []
    for entering in candidates(scores, settings):
        worst = []
        for place, (label, index, score) in enumerate(entering):
            ious = [iou_of(boxes[entering[j][1]], boxes[index], one) for j in range(place)]
            worst.append(max([np.float32(0)] + [iou for iou in ious if iou == iou]))
            decay = np.float32(1)
            for iou, known in zip(ious, worst):
                if iou != iou or known == 1:
                    continue
                if settings["use_gaussian"]:
                    fall = np.exp((known * known - iou * iou) * np.float32(settings["gaussian_sigma"]))
                else:
                    fall = (np.float32(1) - iou) / (np.float32(1) - known)
                decay = min(decay, fall)
            if score * decay > settings["post_threshold"]:
                found.append((label, index, score * decay))
    return ranked(found, settings["keep_top_k"])


def naive_agnostic(boxes, scores, **settings):
    one = np.float32(0 if settings.get("normalized", True) else 1)
    every = [entry for entering in candidates(scores, {**settings, "nms_top_k": -1}) for entry in entering]
    every.sort(key=lambda entry: (-entry[2], *entry[:2]))
    kept = []
    for label, index, score in every:
        if all(iou_of(boxes[index], boxes[other], one) <= settings["nms_threshold"] for _, other, _ in kept):
            kept.append((label, index, score))
    return ranked(kept, settings["keep_top_k"])


def check(got, expected, atol=1e-5):
    assert (got[0].tolist(), got[1].tolist()) == (expected[0], expected[1])
    assert got[0].dtype == got[1].dtype == np.int64
    if len(got) == 3:
        assert got[2].dtype == np.float32
        np.testing.assert_allclose(got[2], np.array(expected[2], np.float32), rtol=0, atol=atol)


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


def test_matrix_block_size_changes_nothing(monkeypatch):
    boxes, scores = crowd(5, 700, 4, 6, 0.06)
    expected = matrix_nms(boxes, scores, **MATRIX)
    for block in (1, 7, 5000):
        monkeypatch.setattr(matrix_module, "BLOCK", block)
        for ours, before in zip(matrix_nms(boxes, scores, **MATRIX), expected):
            np.testing.assert_array_equal(ours, before)


SETTINGS = [
    {},
    {"use_gaussian": True},
    {"nms_top_k": 15},
    {"keep_top_k": 7},
    {"keep_top_k": -1},
    {"normalized": False},
    {"background_label": 1},
    {"score_threshold": 0.4},
    {"nms_threshold": 0.2},
    {"post_threshold": 0.0, "use_gaussian": True, "gaussian_sigma": 0.1},
]


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


def test_soft_by_hand():
    # IoU 0.6 of the first two; the third apart; the fourth lies on the first and is of another class.
    boxes = np.array([[0, 0, 10, 10], [2.5, 0, 12.5, 10], [50, 0, 60, 10], [0, 0, 10, 10]], np.float32)
    scores = np.array([[0.9, 0.8, 0.5, 0.0], [0.0, 0.0, 0.0, 0.7]], np.float32)
    linear = soft_nms(boxes, scores, **SOFT)
    check(linear, ([0, 3, 2, 1], [0, 1, 0, 0], [0.9, 0.7, 0.5, 0.8 * 0.4]))
    gaussian = soft_nms(boxes, scores, **{**SOFT, "use_gaussian": True})
    check(gaussian, ([0, 3, 2, 1], [0, 1, 0, 0], [0.9, 0.7, 0.5, 0.8 * math.exp(-0.36 / 0.5)]))


@pytest.mark.parametrize("change", [c for c in SETTINGS if not set(c) & {"use_gaussian", "nms_top_k"}])
def test_agnostic_is_the_naive_one(change):
    settings = {**HARD, **{key: value for key, value in change.items() if key != "post_threshold"}}
    for seed, shape in enumerate([(120, 3, 6, 0.1), (60, 1, 2, 0.05), (150, 6, 30, 0.2)]):
        boxes, scores = crowd(seed, *shape)
        check(class_agnostic_nms(boxes, scores, **settings), naive_agnostic(boxes, scores, **settings))


def test_agnostic_with_ties():
    for seed in range(4):
        boxes, scores = tied(seed)
        for keep_top_k in (-1, 10):
            settings = {**HARD, "score_threshold": 0.125, "keep_top_k": keep_top_k}
            check(class_agnostic_nms(boxes, scores, **settings), naive_agnostic(boxes, scores, **settings))


def test_agnostic_top_k_counts_boxes_of_the_image():
    boxes = np.array([[0, 0, 9, 9], [20, 0, 29, 9], [40, 0, 49, 9]], np.float32)
    scores = np.array([[0.9, 0.3, 0.6], [0.8, 0.7, 0.5]], np.float32)
    check(class_agnostic_nms(boxes, scores, **{**HARD, "nms_top_k": 2}), ([0, 1], [0, 1]))


@pytest.mark.parametrize("name", KINDS)
def test_nothing_passes(name):
    boxes, scores = crowd(0, 20, 3, 2, 0.1)
    for empty in (NMS({"name": name})(boxes, scores * 0), NMS({"name": name})(boxes[:0], scores[:, :0])):
        assert [part.shape for part in empty] == [(0,), (0,), (0,)]
        assert [part.dtype for part in empty] == [np.int64, np.int64, np.float32]


@pytest.mark.parametrize("name", KINDS)
def test_a_threshold_bounds_the_scores_that_come_out(name):
    boxes, scores = crowd(2, 400, 3, 6, 0.1)
    nms = NMS({"name": name, "score_threshold": 0.01, "background_label": -1})
    everything = nms(boxes, scores, 0.01)
    indices, labels, kept = nms(boxes, scores, 0.4)
    count = int((everything[2] > 0.4).sum())
    assert 0 < count < len(everything[2])
    np.testing.assert_array_equal(indices, everything[0][:count])
    np.testing.assert_array_equal(labels, everything[1][:count])
    np.testing.assert_array_equal(kept, everything[2][:count])


def test_the_name_chooses_the_kind():
    boxes = np.array([[0, 0, 10, 10], [2.5, 0, 12.5, 10]], np.float32)  # IoU 0.6
    scores = np.array([[0.9, 0.0], [0.0, 0.8]], np.float32)
    for name, kept in (("MultiClassNMS", 2), ("ClassAgnosticNMS", 1), ("SoftNMS", 2)):
        assert len(NMS({"name": name})(boxes, scores)[0]) == kept
    one_class = scores.sum(0, keepdims=True)
    settings = {"name": "MatrixNMS", "background_label": -1, "normalized": True}
    np.testing.assert_allclose(NMS(settings)(boxes, one_class)[2], [0.9, 0.8 * 0.4], rtol=1e-5)
    assert len(NMS({"name": "MatrixNMS"})(boxes, one_class)[0]) == 0  # as in ppdet: class 0 is background


def test_defaults_are_ppdets():
    layers = pytest.importorskip("ppdet.modeling.layers", reason="the defaults are ppdet's")
    for name in ("MultiClassNMS", "MatrixNMS"):
        layer = getattr(layers, name)()
        for key, value in KINDS[name][1].items():
            assert getattr(layer, key, -1) == value, key


@pytest.mark.parametrize(
    "entry, message",
    [
        ({"name": "MatrxNMS"}, "'MatrxNMS' is not known; did you mean 'MatrixNMS'"),
        ({"name": "zzz"}, "'zzz' is not known; choose from MultiClassNMS, ClassAgnosticNMS, SoftNMS, Mat"),
        ({"name": ["SoftNMS"]}, "is not known"),
        (
            {"name": "MatrixNMS", "post_treshold": 0.1},
            "MatrixNMS, .* 'post_treshold' is not known; did you mean 'post_threshold'",
        ),
        ({"name": "MultiClassNMS", "use_gaussian": True}, "'use_gaussian' is not known"),
        ({"name": "SoftNMS", "nms_eta": 1.0}, "'nms_eta' is not known"),
        ({"name": "SoftNMS", "gaussian_sigma": 0}, "'gaussian_sigma' is 0; give a number above 0"),
        ({"name": "SoftNMS", "use_gaussian": "yes"}, "'use_gaussian' is 'yes'; give true or false"),
        ({"nms_top_k": 0}, "'nms_top_k' is 0; give a whole number from 1 up, or -1"),
        ({"keep_top_k": 10.5}, "'keep_top_k' is 10.5; give a whole number"),
        ({"nms_threshold": 50}, "'nms_threshold' is 50; give a number from 0 to 1"),
        ({"score_threshold": float("nan")}, "'score_threshold' is nan; give a number"),
        ({"background_label": None}, "'background_label' is None; give a class number"),
    ],
)
def test_bad_settings(entry, message):
    with pytest.raises(ValueError, match=f"^cfg.yml: NMS .*{message}"):
        NMS(entry, "cfg.yml")
