"""The config's class weights, by name, by number and from the frequency of the classes."""

from types import SimpleNamespace

import numpy as np
import pytest

from ppdet_ext.training.class_weight import balanced, class_weights, count_objects


def dataset(labels=((0, 0, 2), (), (2, 2, 2))):
    return SimpleNamespace(
        cname2cid={"person": 2, "car": 0, "truck": 1},  # in no order
        roidbs=[{"gt_class": np.array(found).reshape(-1, 1)} for found in labels] + [{"im_id": 4}],
        get_anno=lambda: "train.json",
    )


def test_by_name_and_by_number():
    assert class_weights({"person": 2.0}, dataset(), 3) == [1, 1, 2]
    assert class_weights({"truck": 0.5, "car": 3}, dataset(), 3) == [3, 0.5, 1]
    assert class_weights([1, 2, 3], dataset(), 3) == [1, 2, 3]
    # More classes in the model than in the data.
    assert class_weights({"person": 2.0}, dataset(), 5) == [1, 1, 2, 1, 1]


def test_from_the_frequency():
    assert count_objects(dataset().roidbs, 3).tolist() == [2, 0, 4]
    weights = class_weights("auto", dataset(), 3)
    assert weights == pytest.approx([6 / (2 + 8**0.5), 1.0, 6 / (4 + 8**0.5)])


@pytest.mark.parametrize("counts", [[100, 25, 400], [7, 7, 7], [1000, 0, 10]])
def test_the_mean_over_the_objects_is_one(counts):
    weights = np.array(balanced(counts))
    assert (weights * counts).sum() / sum(counts) == pytest.approx(1.0)
    present = np.array(counts) > 0
    assert np.ptp(weights[present] * np.sqrt(np.array(counts)[present])) < 1e-9
    assert (weights[~present] == 1).all()


def test_a_rare_class_does_not_take_over():
    assert balanced([10**6, 1]) == pytest.approx([1.0, 10.0], abs=2e-3)
    assert balanced([0, 0]) == [1.0, 1.0]


@pytest.mark.parametrize(
    "given, words",
    [
        ({"persn": 2.0}, ("train.json has no class 'persn'", "did you mean 'person'")),
        ({"bus": 2.0}, ("'bus'", "choose from car, truck, person")),
        ({"person": 0}, ("0 is no weight",)),
        ({"person": "2"}, ("'2' is no weight",)),
        ([1.0, 2.0], ("2 numbers for 3 classes",)),
        (2.0, ("class_weight is 2.0", "{person: 2.0}")),
        ("automatic", ("class_weight is 'automatic'", "auto")),
    ],
)
def test_what_is_no_weight_is_refused(given, words):
    with pytest.raises(ValueError) as error:
        class_weights(given, dataset(), 3)
    assert "\n" not in str(error.value) and all(word in str(error.value) for word in words), error.value
