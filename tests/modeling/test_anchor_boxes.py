"""Anchors of EfficientDet and the coding of boxes relative to them."""

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import numpy as np
import paddle
import pytest
from paddle.static import InputSpec

from ppdet_ext.modeling.anchor_boxes import anchor_boxes, anchor_shapes, decode_boxes, encode_boxes

from . import efficient_det_numpy as reference

STRIDES = (8, 16, 32, 64, 128)
RATIOS = (1.0, 2.0, 0.5)
PAIRS = ((1.0, 1.0), (1.4, 0.7), (0.7, 1.4))
# Input side and anchors of D0 to D7x; the last has a level more.
COUNTS = {
    "D0": (512, 49104),
    "D1": (640, 76725),
    "D2": (768, 110484),
    "D3": (896, 150381),
    "D4": (1024, 196416),
    "D5": (1280, 306900),
    "D6": (1280, 306900),
    "D7": (1536, 441936),
    "D7x": (1536, 442260),
}


def maps(height, width=None, strides=STRIDES):
    return [paddle.zeros([1, 1, height // s, (width or height) // s]) for s in strides]


@pytest.mark.parametrize(
    "ratios, second",
    [(RATIOS, [-18.6274, -7.3137, 26.6274, 15.3137]), (PAIRS, [-18.4, -7.2, 26.4, 15.2])],
    ids=["ratios", "pairs"],
)
def test_the_first_published_rows(ratios, second):
    boxes = anchor_boxes(maps(512), STRIDES, anchor_shapes(4.0, 3, ratios)).numpy()
    np.testing.assert_allclose(boxes[:2], [[-12, -12, 20, 20], second], atol=1e-4)


@pytest.mark.parametrize("size", COUNTS)
def test_published_counts(size):
    side, count = COUNTS[size]
    strides = (*STRIDES, 256) if size == "D7x" else STRIDES
    boxes = anchor_boxes(maps(side, strides=strides), strides, anchor_shapes(4.0, 3, RATIOS))
    assert boxes.shape == [count, 4] and boxes.dtype == paddle.float32


@pytest.mark.parametrize("ratios", [RATIOS, PAIRS], ids=["ratios", "pairs"])
@pytest.mark.parametrize("scales", [1, 3])
def test_anchors_of_an_oblong_image(ratios, scales):
    boxes = anchor_boxes(maps(256, 384), STRIDES, anchor_shapes(5.0, scales, list(map(_listed, ratios))))
    sides = [(256 // s, 384 // s) for s in STRIDES]
    np.testing.assert_allclose(
        boxes.numpy(), reference.anchors_of(sides, STRIDES, 5.0, scales, ratios), rtol=1e-6, atol=1e-4
    )


def _listed(ratio):
    """As YAML gives a pair."""
    return list(ratio) if isinstance(ratio, tuple) else ratio


def published_anchors(p3, p4, p5, p6, p7):
    return anchor_boxes([p3, p4, p5, p6, p7], STRIDES, anchor_shapes(4.0, 3, RATIOS))


def test_a_free_size_gives_the_same_anchors():
    spec = [InputSpec([None, 1, None, None], "float32") for _ in STRIDES]
    free = paddle.jit.to_static(published_anchors, input_spec=spec, full_graph=True)
    feats = maps(256, 384)
    constant = published_anchors(*feats).numpy()
    np.testing.assert_allclose(free(*feats).numpy(), constant, rtol=1e-6, atol=1e-4)


@pytest.mark.parametrize(
    "scale, scales, ratios, message",
    [
        (0.0, 3, RATIOS, "anchor_scale 0.0"),
        (4.0, 0, RATIOS, "num_scales 0"),
        (4.0, 2.5, RATIOS, "num_scales 2.5"),
        (4.0, 3, [], "aspect_ratios .. give no box"),
        (4.0, 3, [1.0, -2.0], "aspect ratio -2.0 is neither a number above 0 nor two"),
        (4.0, 3, [[1.0, 2.0, 3.0]], "aspect ratio .1.0, 2.0, 3.0. is neither"),
        (4.0, 3, ["1:2"], "aspect ratio '1:2' is neither"),
    ],
)
def test_shapes_that_give_no_box(scale, scales, ratios, message):
    with pytest.raises(ValueError, match=message):
        anchor_shapes(scale, scales, ratios)


def random_boxes(rng, count):
    corner = rng.uniform(-50, 400, (count, 2))
    return np.concatenate([corner, corner + np.exp(rng.uniform(0, 5.5, (count, 2)))], 1).astype("float32")


def test_codes_are_those_of_the_definition():
    rng = np.random.default_rng(0)
    boxes, anchors = random_boxes(rng, 300), random_boxes(rng, 300)
    codes = encode_boxes(paddle.to_tensor(boxes), paddle.to_tensor(anchors)).numpy()
    expected = reference.encode(boxes.astype("float64"), anchors.astype("float64"))
    np.testing.assert_allclose(codes, expected, rtol=1e-4, atol=1e-5)
    assert np.abs(codes).max() > 3, "or the comparison would show little"


def test_decoding_is_the_inverse():
    rng = np.random.default_rng(1)
    boxes, anchors = random_boxes(rng, 300), random_boxes(rng, 300)
    codes = np.stack(
        [reference.encode(b.astype("float64"), anchors.astype("float64")) for b in (boxes, anchors)]
    )
    decoded = decode_boxes(paddle.to_tensor(codes.astype("float32")), paddle.to_tensor(anchors)).numpy()
    np.testing.assert_allclose(
        decoded, reference.decode(codes, anchors.astype("float64")), rtol=1e-4, atol=2e-3
    )
    np.testing.assert_allclose(decoded, [boxes, anchors], rtol=1e-4, atol=2e-3)


def test_a_box_without_area_has_finite_codes():
    point = paddle.to_tensor([[5.0, 7.0, 5.0, 7.0]])
    anchor = paddle.to_tensor([[0.0, 0.0, 10.0, 20.0]])
    expected = [[(7 - 10) / 20, 0.0, np.log(1e-8 / 20), np.log(1e-8 / 10)]]
    np.testing.assert_allclose(encode_boxes(point, anchor).numpy(), expected, rtol=1e-5)
    assert np.isfinite(encode_boxes(anchor, point).numpy()).all()
