import numpy as np
import pytest

from ppdet_ext.runtime.nms import KINDS, NMS, class_agnostic_nms

from .naive import HARD, SETTINGS, check, naive_agnostic, tied
from .test_hard import crowd


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
