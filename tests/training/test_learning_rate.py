import re

import pytest
import yaml

from ppdet_ext.training.learning_rate import rate_advice, reference_rate, scaled_rate

REFERENCE = {"base_lr": 0.01, "batch_size": 64}


@pytest.mark.parametrize(
    "rate, batch, processes",
    [(0.01, 8, 8), (0.01, 64, 1), (0.00125, 8, 1), (0.02, 16, 8), (0.0025, 8, 2), (0.0101, 8, 8)],
)
def test_a_rate_that_fits_is_passed_over(rate, batch, processes):
    assert rate_advice(rate, batch, processes, REFERENCE) is None


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
    advice = rate_advice(rate, batch, processes, REFERENCE)
    assert "\n" not in advice
    assert f"learning rate {rate:g} " in advice
    assert f"total batch of {batch * processes} ({processes} x {batch})" in advice
    assert "0.01 belongs to 64" in advice
    # The override it proposes is one that it has nothing to say about.
    override = re.search(r"-o LearningRate\.base_lr=(\S+)", advice).group(1)
    assert yaml.safe_load(override) == pytest.approx(fitting, rel=1e-5)
    assert rate_advice(float(override), batch, processes, REFERENCE) is None


@pytest.mark.parametrize("reference", [None, {}])
def test_without_a_reference_there_is_nothing_to_say(reference):
    assert rate_advice(0.5, 1, 1, reference) is None


@pytest.mark.parametrize(
    "optimizer, total, expected",
    [("SGD", 8, 0.00125), ("Momentum", 128, 0.02), ("AdamW", 16, 0.005), ("Adam", 256, 0.02)],
)
def test_the_rule(optimizer, total, expected):
    """SGD's rates grow with the batch, Adam's with the root of it."""
    assert scaled_rate(0.01, 64, total, optimizer) == pytest.approx(expected)
    assert scaled_rate(0.01, 64, 64, optimizer) == 0.01


def test_advice_for_adam():
    advice = rate_advice(0.01, 8, 2, REFERENCE, "AdamW")
    assert "square-root scaling gives 0.005;" in advice
    assert rate_advice(0.005, 8, 2, REFERENCE, "AdamW") is None


def test_a_training_from_a_checkpoint_has_a_rate_of_its_own():
    both = {**REFERENCE, "finetune_lr": 0.001}
    assert reference_rate(both, None) == reference_rate(both, "") == REFERENCE
    assert reference_rate(both, "coco.pdparams") == {"base_lr": 0.001, "batch_size": 64}
    assert reference_rate(REFERENCE, "coco.pdparams") == REFERENCE
    assert reference_rate(None, "coco.pdparams") is None
