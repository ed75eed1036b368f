import pytest

from ppdet_ext.runtime.tta import TTA, View


@pytest.mark.parametrize(
    "given, views",
    [
        ("flip", [(1, False), (1, True)]),
        ("0.83,1.17", [(1, False), (0.83, False), (1.17, False)]),
        ("1.5, flip", [(1, False), (1, True), (1.5, False), (1.5, True)]),
        ({}, [(1, False)]),
        ({"scales": [0.5, 1, 0.5], "flip": True}, [(1, False), (1, True), (0.5, False), (0.5, True)]),
    ],
)
def test_the_plain_view_comes_first_and_none_twice(given, views):
    assert TTA.of(given).views == [View(*view) for view in views]


def test_as_text_and_back():
    for text in ("flip", "flip,0.75,1.25", "2"):
        assert str(TTA.of(text)) == text
    assert TTA.of(None) is None and TTA.of(TTA.of("flip")) == TTA(flip=True)


@pytest.mark.parametrize(
    "given, message",
    [
        ("flop", "'flop' names no views; write flip, scales or both"),
        ("", "names no views"),
        ("flip,,0.5", "names no views"),
        ("0.83,117", "scale 117 is out of range; give 0.25 to 4"),
        ("nan", "give a list of numbers"),
        ({"scale": [0.5]}, "no option 'scale'; did you mean 'scales'"),
        ({"scales": 0.5}, "scales is 0.5; give a list"),
        ({"scales": [0.5, True]}, "give a list of numbers"),
        ({"flip": "yes"}, "flip is 'yes'; give true or false"),
        ({"merge": "wfb"}, "merge 'wfb' is not known; did you mean 'wbf'"),
        ({"iou_threshold": 55}, "iou_threshold is 55; give a number between 0 and 1"),
        ([0.5], r"is \[0.5\]; give a table"),
    ],
)
def test_bad_settings_are_one_line_with_the_place(given, message):
    with pytest.raises(ValueError, match=f"^test_time_augmentation: .*{message}") as caught:
        TTA.of(given)
    assert "\n" not in str(caught.value)
