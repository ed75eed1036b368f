"""Anchor points, and boxes as distances from them."""

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import numpy as np
import paddle

from ppdet_ext.modeling import anchors


def test_anchor_points():
    feats = [paddle.zeros([1, 4, 2, 3]), paddle.zeros([1, 4, 3, 5])]
    points, strides, counts = anchors.anchor_points(feats, (16, 8))
    expected = [(x + 0.5, y + 0.5) for h, w in ((2, 3), (3, 5)) for y in range(h) for x in range(w)]
    np.testing.assert_array_equal(points.numpy(), np.float32(expected))
    np.testing.assert_array_equal(strides.numpy(), np.float32([[16]] * 6 + [[8]] * 15))
    assert counts == [6, 15]
    shifted, _, _ = anchors.anchor_points(feats, (16, 8), offset=0.0)
    np.testing.assert_array_equal(shifted.numpy(), np.float32(expected) - 0.5)


def test_anchor_points_are_fresh_every_time():
    """What a caller does to them in place does not reach the next call."""
    feats = [paddle.zeros([1, 4, 2, 3])]
    first, strides, _ = anchors.anchor_points(feats, (16,))
    first.scale_(0.0)
    strides.scale_(0.0)
    again, strides, _ = anchors.anchor_points(feats, (16,))
    assert again.numpy().min() == 0.5 and strides.numpy().min() == 16


def test_grid_boxes():
    points, strides = paddle.to_tensor([[8.0, 24.0], [4.0, 4.0]]), paddle.to_tensor([[16.0], [8.0]])
    np.testing.assert_array_equal(
        anchors.grid_boxes(points, strides, 5.0).numpy(), np.float32([[-32, -16, 48, 64], [-16, -16, 24, 24]])
    )


def test_boxes_and_distances_are_inverse():
    rng = np.random.default_rng(0)
    points = rng.uniform(5, 10, (20, 2)).astype("float32")
    distances = rng.uniform(0, 5, (3, 20, 4)).astype("float32")
    boxes = anchors.distances_to_boxes(paddle.to_tensor(points), paddle.to_tensor(distances))
    expected = np.concatenate([points - distances[..., :2], points + distances[..., 2:]], -1)
    np.testing.assert_allclose(boxes.numpy(), expected, rtol=1e-6)
    back = anchors.boxes_to_distances(paddle.to_tensor(points), boxes, 100)
    np.testing.assert_allclose(back.numpy(), distances, atol=1e-5)


def test_distances_stay_inside_their_range():
    points, boxes = paddle.to_tensor([[4.0, 4.0]]), paddle.to_tensor([[5.0, -90.0, 4.5, 6.0]])
    distances = anchors.boxes_to_distances(points, boxes, 15.99).numpy()
    np.testing.assert_allclose(distances, [[0, 15.99, 0.5, 2]], rtol=1e-6)
