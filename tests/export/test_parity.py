"""The gates of raw outputs."""

import numpy as np
import pytest

from ppdet_ext.export.parity import compare_detections, compare_raw, raw_difference

BOXES = np.array([[[0.0, 0.0, 8.0, 8.0]]])
SCORES = np.array([[[0.0]]])


def test_int8_is_measured_and_not_judged_at_a_score_of_0_too():
    worst, fault = raw_difference((BOXES + 2, SCORES + 0.5), (BOXES, SCORES), "int8")
    assert fault is None
    assert worst == pytest.approx(0.5 / 1e-12)
    assert compare_raw("model", (BOXES + 2, SCORES), (BOXES, SCORES), "int8") == pytest.approx(0.25)


@pytest.mark.parametrize(
    "precision, error, passes", [("fp32", 9e-5, True), ("fp32", 2e-4, False), ("fp16", 9e-3, True)]
)
def test_float_is_judged_at_a_score_of_0(precision, error, passes):
    _, fault = raw_difference((BOXES, SCORES + error), (BOXES, SCORES), precision)
    assert (fault is None) == passes
    if not passes:
        with pytest.raises(ValueError, match="model.onnx: scores differ .* by up to 0.0002"):
            compare_raw("model.onnx", (BOXES, SCORES + error), (BOXES, SCORES), precision)


@pytest.mark.parametrize(
    "step, said", [(1e-8, "most scores are within 1e-06 of the next.*Train it longer"), (1e-2, "no partner")]
)
def test_ties_of_a_model_that_has_learnt_nothing_are_told_from_a_fault(step, said):
    scores = 0.1 + step * np.arange(40)
    boxes = np.array([[10.0 * n, 0, 10 * n + 8, 8] for n in range(40)])
    settings = {"score_threshold": 0.01, "nms_top_k": 30, "keep_top_k": 20, "nms_threshold": 0.7}
    reference = boxes[None], scores[None, None]

    def compare(kept):
        outputs = (
            np.array([[len(kept)]]),
            boxes[None, kept],
            scores[None, kept],
            np.zeros((1, len(kept)), int),
        )
        return compare_detections("model.onnx", outputs, reference, settings)

    assert compare(np.arange(39, 19, -1)) == 0  # the best
    with pytest.raises(ValueError, match=said):
        compare(np.arange(20))
