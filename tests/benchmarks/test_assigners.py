"""What `assigners.py` calls the same."""

import assigners
import numpy as np
import pytest


def outputs():
    labels = np.array([[0, 80], [3, 3]], "int64")
    boxes = np.arange(16, dtype="float32").reshape(2, 2, 4)
    scores = np.array([[[0.5, 0], [0, 0]], [[0, 0.25], [0, 1]]], "float32")
    return [labels, boxes, scores, np.ones((2, 3, 2), "float32")]


def test_equal_outputs_are_the_same():
    assert assigners.compare(outputs(), outputs()) == ([], 0.0)


@pytest.mark.parametrize(("factor", "different"), [(1 + 5e-7, []), (1 - 5e-7, []), (1 + 4e-6, ["scores"])])
def test_scores_may_differ_by_a_millionth_of_themselves(factor, different):
    ours = outputs()
    ours[2] *= np.float32(factor)
    found, apart = assigners.compare(outputs(), ours)
    assert found == different
    assert apart == pytest.approx(abs(factor - 1), rel=0.3)


@pytest.mark.parametrize("value", [1e-12, np.nan])
def test_a_score_where_there_is_none_is_different(value):
    ours = outputs()
    ours[2][0, 1, 1] = value
    assert assigners.compare(outputs(), ours)[0] == ["scores"]


@pytest.mark.parametrize("name", assigners.OUTPUTS)
@pytest.mark.parametrize("change", [lambda array: array.astype("float64"), lambda array: array[:1]])
def test_other_types_and_shapes_are_different(name, change):
    ours = outputs()
    place = assigners.OUTPUTS.index(name)
    ours[place] = change(ours[place])
    assert assigners.compare(outputs(), ours)[0] == [name]


@pytest.mark.parametrize("name", ["labels", "boxes", "mask"])
def test_everything_but_scores_is_compared_to_the_bit(name):
    ours = outputs()
    array = ours[assigners.OUTPUTS.index(name)]
    array.flat[-1] = array.flat[-1] - 1 if name == "labels" else np.nextafter(array.flat[-1], np.float32(99))
    assert assigners.compare(outputs(), ours)[0] == [name]


def test_the_docs_get_the_difference_of_scores():
    row = {"assigner": "TAL", "case": "20 gts", "faster": 2.0, "smaller": 3.0, "different": ["mask"]}
    assert assigners.quoted({"rows": [{**row, "scores_apart": 8e-7}]}) == {
        "TAL, 20 gts": {"faster": 2.0, "smaller": 3.0, "same": False, "scores_apart": 8e-7}
    }
