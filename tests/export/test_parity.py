"""The gates of raw outputs."""

import numpy as np
import pytest

from ppdet_ext.export.parity import compare_raw, raw_difference

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
