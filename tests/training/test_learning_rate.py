import re

import pytest
import yaml

from ppdet_ext.training.learning_rate import linear_scaling_advice

REFERENCE = {"base_lr": 0.01, "batch_size": 64}


@pytest.mark.parametrize(
    "rate, batch, processes",
    [(0.01, 8, 8), (0.01, 64, 1), (0.00125, 8, 1), (0.02, 16, 8), (0.0025, 8, 2), (0.0101, 8, 8)],
)
def test_a_rate_that_fits_is_passed_over(rate, batch, processes):
    assert linear_scaling_advice(rate, batch, processes, REFERENCE) is None


@pytest.mark.parametrize(
    "rate, batch, processes, fitting",
    [
        (0.01, 8, 1, 0.00125),
        (0.01, 8, 2, 0.0025),
        (0.01, 8, 4, 0.005),
        (0.01, 16, 8, 0.02),
        (0.001, 8, 8, 0.01),
        (0.0103, 8, 8, 0.01),
        (0.01, 7, 1, 0.01 * 7 / 64),
    ],
)
def test_one_that_does_not_is_answered_with_the_scaled_one(rate, batch, processes, fitting):
    advice = linear_scaling_advice(rate, batch, processes, REFERENCE)
    assert "\n" not in advice
    assert f"learning rate {rate:g} " in advice
    assert f"total batch of {batch * processes} ({processes} x {batch})" in advice
    assert "0.01 belongs to 64" in advice
    # The override it proposes is one that it has nothing to say about.
    override = re.search(r"-o LearningRate\.base_lr=(\S+)", advice).group(1)
    assert yaml.safe_load(override) == pytest.approx(fitting, rel=1e-5)
    assert linear_scaling_advice(float(override), batch, processes, REFERENCE) is None


@pytest.mark.parametrize("reference", [None, {}])
def test_without_a_reference_there_is_nothing_to_say(reference):
    assert linear_scaling_advice(0.5, 1, 1, reference) is None
