"""The fewest float layers, against brute force."""

import numpy as np
import pytest

from ppdet_ext.quantization.budget import fewest_float

QUIET = {"say": lambda line: None}


@pytest.mark.parametrize("count", [2, 3, 5, 16, 83])
def test_as_few_as_brute_force_finds(count):
    rng = np.random.default_rng(count)
    layers = [f"layer {i}" for i in range(count)]

    def drop_of(floats):
        assert floats == layers[: len(floats)], "the most sensitive ones"
        asked.append(len(floats))
        return float(drops[len(floats)])

    for _ in range(30):
        # Drop with 0, 1, ... float layers: falling, here and there flat.
        drops = np.sort(rng.integers(0, 2 * count, count))[::-1] / 10.0
        budget, asked = float(rng.choice(drops)), []
        expected = next(i for i in range(count) if drops[i] <= budget)
        chosen, lost = fewest_float(lambda: layers, drop_of, budget, **QUIET)
        assert (chosen, lost) == (layers[:expected], drops[expected])
        assert len(asked) == len(set(asked)), "an evaluation takes minutes"
        assert len(asked) <= 2 * np.log2(count) + 3


def test_no_ranking_where_int8_loses_little():
    def rank():
        raise AssertionError("ranked in vain")

    assert fewest_float(rank, lambda layers: 0.5, 0.5, **QUIET) == ([], 0.5)
    assert fewest_float(rank, lambda layers: -0.2, 0.0, **QUIET) == ([], -0.2)


@pytest.mark.parametrize("count", [1, 2, 7])
def test_a_budget_that_cannot_be_kept(count):
    layers = [str(i) for i in range(count)]
    with pytest.raises(ValueError, match="--max-drop 0.1: even one quantised convolution loses 3.00 points"):
        fewest_float(lambda: layers, lambda floats: 3.0, 0.1, **QUIET)


def test_an_evaluation_set_without_boxes():
    with pytest.raises(ValueError, match="no boxes, so there is no AP to keep"):
        fewest_float(list, lambda floats: None, 1.0, **QUIET)


def test_each_step_is_told():
    said = []
    fewest_float(lambda: ["a", "b", "c"], lambda floats: 2.0 - len(floats), 1.0, said.append)
    assert said == ["0 convolutions float: AP -2.00", "1 convolutions float: AP -1.00"]
