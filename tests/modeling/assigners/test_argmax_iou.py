"""ArgmaxIoUAssigner against loops over images, gts and anchors."""

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import numpy as np
import paddle
import pytest

from ppdet_ext.modeling.assigners import ArgmaxIoUAssigner, argmax_iou

from ..efficient_det_numpy import anchors_of, match

SIDE = 128
MODES = ("batch", "per_image")


def anchors():
    strides = (8, 16, 32, 64, 128)
    sides = [(SIDE // s, SIDE // s) for s in strides]
    return anchors_of(sides, strides, 4.0, 3, (1.0, 2.0, 0.5)).astype("float32")


ANCHORS = anchors()


def scene(name, batch=3, most=12):
    """Boxes [B, n, 4] float32 and their mask [B, n] float32."""
    rng = np.random.default_rng(sum(map(ord, name)))
    centre = rng.uniform(0, SIDE, (batch, most, 2))
    half = np.exp(rng.uniform(np.log(2), np.log(60), (batch, most, 2)))
    mask = np.ones((batch, most), "float32")
    if name == "ties":  # sides and centres where IoUs are equal by the dozen
        centre = rng.integers(1, 15, centre.shape) * 8.0
        half = rng.choice([16.0, 32.0], half.shape)
    if name == "duplicates":
        centre[:, 1::2], half[:, 1::2] = centre[:, :1], half[:, :1]
    if name == "tiny":  # several within a cell: they want one anchor
        centre, half = centre[:, :1] + rng.uniform(0, 3, centre.shape), rng.uniform(0.5, 2, half.shape)
    if name == "outside":
        centre[:, ::3] += 10 * SIDE
    boxes = np.concatenate([centre - half, centre + half], -1)
    if name == "without area":
        boxes[:, ::3, 2:] = boxes[:, ::3, :2]
        boxes[:, 1::3, 2] = boxes[:, 1::3, 0]
    if name == "padded":  # rows that hold boxes before, between and after those that count
        mask[:, ::2] = 0
        boxes[:, ::2] = boxes[:, 1::2] + rng.uniform(-1, 1, boxes[:, 1::2].shape)
    if name == "an image without":
        mask[1] = 0
    if name == "anchors themselves":
        boxes = ANCHORS[rng.integers(0, len(ANCHORS), (batch, most))]
    return boxes.astype("float32"), mask


SCENES = (
    "random",
    "ties",
    "duplicates",
    "tiny",
    "outside",
    "without area",
    "padded",
    "an image without",
    "anchors themselves",
)
OPTIONS = {
    "published": ({}, {}),
    "ignored": ({"negative_iou": 0.35}, {"negative": 0.35}),
    "not forced": (
        {"force_match": False, "positive_iou": 0.6},
        {"force": False, "positive": 0.6, "negative": 0.6},
    ),
}


def assign(boxes, mask, **options):
    assigner = ArgmaxIoUAssigner(**options)
    tensors = [paddle.to_tensor(array) for array in (ANCHORS, boxes, mask[..., None])]
    matches = assigner(*tensors)
    assert matches.dtype == paddle.int64
    return matches.numpy()


@pytest.mark.parametrize("steps", ["at once", "one by one"])
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("name", SCENES)
def test_matches_are_those_of_the_definition(monkeypatch, name, options, steps):
    if steps == "one by one":
        monkeypatch.setattr(argmax_iou, "BATCH_ELEMENTS", 1)
        monkeypatch.setattr(argmax_iou, "IMAGE_ELEMENTS", 1)
    ours, theirs = OPTIONS[options]
    boxes, mask = scene(name)
    expected = np.stack([match(ANCHORS, b, m, **theirs) for b, m in zip(boxes, mask)])
    for mode in MODES:
        np.testing.assert_array_equal(assign(boxes, mask, mode=mode, **ours), expected, err_msg=mode)
    assert (expected == -1).any()
    if name != "tiny":  # whose boxes overlap their best anchors by a hundredth
        assert (expected >= 0).any() and (expected == -2).any() == (options == "ignored")


def test_the_scenes_hold_what_they_are_for():
    boxes, mask = scene("tiny")
    forced = assign(boxes, mask)
    assert max(len(set(row[row >= 0])) for row in forced) < boxes.shape[1], "no two gts want one anchor"
    boxes, mask = scene("without area")
    assert not set(assign(boxes, mask)[0]) & {0, 1, 3, 4}, "a box without area has an anchor"


@pytest.mark.parametrize("mode", MODES)
def test_the_first_of_gts_that_want_one_anchor_has_it(mode):
    box = ANCHORS[700] + np.float32([1, 1, -1, -1])
    matches = assign(np.stack([box + 900, box, box])[None], np.float32([[1, 1, 1]]), mode=mode)
    assert matches[0, 700] == 1 and not (matches == 2).any()
    matches = assign(np.stack([box, box, box])[None], np.float32([[0, 0, 1]]), mode=mode)
    assert matches[0, 700] == 2 and set(matches[0]) == {-1, 2}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("most", [0, 4], ids=["n is 0", "all padded"])
def test_without_boxes_everything_is_background(mode, most):
    boxes = np.tile(ANCHORS[:most], (2, 1, 1)).reshape(2, most, 4)
    matches = assign(boxes, np.zeros((2, most), "float32"), mode=mode, negative_iou=0.3)
    np.testing.assert_array_equal(matches, np.full((2, len(ANCHORS)), -1))


@pytest.mark.parametrize(
    "options, message",
    [
        ({"positive_iou": 0.4, "negative_iou": 0.5}, "negative_iou 0.5 and positive_iou 0.4"),
        ({"positive_iou": 50}, "positive_iou 50 do not lie between 0 and 1"),
        ({"negative_iou": 0.0}, "negative_iou 0.0"),
        ({"mode": "batched"}, "no such value 'batched'"),
    ],
)
def test_options_that_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        ArgmaxIoUAssigner(**options)


def test_shapes_that_do_not_fit():
    with pytest.raises(ValueError, match=r"pad_gt_mask \[2, 3\] are not \[B, n, 4\] and \[B, n, 1\]"):
        ArgmaxIoUAssigner()(*(paddle.zeros(shape) for shape in ([5, 4], [2, 3, 4], [2, 3])))
