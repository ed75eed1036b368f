"""Anchor points and grid boxes of the anchor-free heads, and the coding of boxes as distances.

Coordinate conventions: x to the right, y down; a cell's point is its centre; boxes are xyxy.
"""

import numpy as np
import paddle

from ppdet_ext.nn.resize import spatial_size

from .constants import constants


def _grid_points(sizes, strides, offset):
    """NumPy anchor points and strides of feature maps of known size."""
    points, per_point = [], []
    for (height, width), stride in zip(sizes, strides):
        y, x = np.meshgrid(np.arange(height) + offset, np.arange(width) + offset, indexing="ij")
        points.append(np.stack([x, y], axis=-1).reshape(-1, 2))
        per_point.append(np.full([height * width, 1], stride))
    return np.concatenate(points).astype("float32"), np.concatenate(per_point).astype("float32")


def anchor_points(feats, strides, offset=0.5):
    """The points at which an anchor-free head predicts.

    Args:
        feats (list[Tensor]): ``[B, C_i, h_i, w_i]``.
        strides (tuple[int]): of each map, input pixels.
        offset (float): of a cell's point from its corner, in cells.

    Returns:
        tuple:
            points (Tensor): [L, 2] float32, xy, in cells of their own level.
            stride_tensor (Tensor): [L, 1] float32, input pixels.
            counts (list[int]): points of each level; their sum is L.
    """
    sizes = [spatial_size(feat) for feat in feats]
    if all(isinstance(side, int) for size in sizes for side in size):
        points, per_point = constants(_grid_points, tuple(map(tuple, sizes)), tuple(strides), offset)
        return points, per_point, [h * w for h, w in sizes]
    points, per_point = [], []
    for (height, width), stride in zip(sizes, strides):
        x = paddle.arange(width, dtype="float32") + offset
        y = paddle.arange(height, dtype="float32") + offset
        y, x = paddle.meshgrid(y, x)
        level = paddle.stack([x.flatten(), y.flatten()], axis=-1)
        points.append(level)
        per_point.append(paddle.full_like(level[:, :1], stride))
    return paddle.concat(points), paddle.concat(per_point), None


def grid_boxes(points, strides, scale=5.0):
    """Square boxes around anchor points, for an assigner that wants anchors.

    Args:
        points (Tensor): [L, 2] xy, input pixels.
        strides (Tensor): [L, 1], input pixels.
        scale (float): side of a box, in strides.

    Returns:
        Tensor: [L, 4] float32 xyxy, input pixels.
    """
    half = strides * (scale * 0.5)
    return paddle.concat([points - half, points + half], axis=-1)


def distances_to_boxes(points, distances):
    """Boxes from the distances of their four sides to a point.

    Args:
        points (Tensor): [..., 2] xy.
        distances (Tensor): [..., 4], left, top, right, bottom, same unit.

    Returns:
        Tensor: [..., 4] xyxy, same unit.
    """
    left_top, right_bottom = paddle.split(distances, 2, axis=-1)
    return paddle.concat([points - left_top, points + right_bottom], axis=-1)


def boxes_to_distances(points, boxes, limit):
    """Distances of a box's four sides to a point, kept inside ``[0, limit]``.

    Args:
        points (Tensor): [..., 2] xy.
        boxes (Tensor): [..., 4] xyxy, same unit.
        limit (float): the largest distance the prediction can express.

    Returns:
        Tensor: [..., 4], left, top, right, bottom.
    """
    left_top, right_bottom = paddle.split(boxes, 2, axis=-1)
    return paddle.concat([points - left_top, right_bottom - points], axis=-1).clip(0, limit)
