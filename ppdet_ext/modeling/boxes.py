"""Box geometry on separate coordinate planes, so that no `[..., n, L, 4]` tensor is ever made.

A box set is given as four planes `(x1, y1, x2, y2)` that broadcast against those of the other
set: `planes(gt)` of shape `[n, 1]` against `planes(pred)` of shape `[1, L]` gives `[n, L]`.
Every function takes Paddle tensors or NumPy arrays; both follow IEEE single precision for these
operations, so both give the same bits.
"""

import numpy as np
import paddle

__all__ = ["planes", "iou", "pairwise_iou", "is_inside", "is_near_center"]


def _library(array):
    # A static graph's variables are no paddle.Tensor.
    return np if isinstance(array, np.ndarray) else paddle


def planes(boxes):
    """`boxes: [..., 4]` as the tuple of its coordinates, each `[...]`."""
    return tuple(boxes[..., i] for i in range(4))


def iou(boxes1, boxes2, eps=1e-9):
    """Intersection over union of boxes given as planes that broadcast.

    Args:
        boxes1, boxes2: tuples `(x1, y1, x2, y2)` of arrays, xyxy, same unit. A box whose side is
            negative has area 0.
        eps: added to the union, so that two empty boxes give 0.

    Returns:
        The IoU in the broadcast shape. The order of the operations is part of the contract:
        label assignment compares these values for equality.
    """
    xp = _library(boxes1[0])
    ax1, ay1, ax2, ay2 = boxes1
    bx1, by1, bx2, by2 = boxes2
    overlap = (xp.minimum(ax2, bx2) - xp.maximum(ax1, bx1)).clip(0)
    overlap = overlap * (xp.minimum(ay2, by2) - xp.maximum(ay1, by1)).clip(0)
    area1 = (ax2 - ax1).clip(0) * (ay2 - ay1).clip(0)
    area2 = (bx2 - bx1).clip(0) * (by2 - by1).clip(0)
    union = area1 + area2 - overlap + eps
    return overlap / union


def pairwise_iou(boxes1, boxes2, eps=1e-9):
    """IoU of every box of one set with every box of the other.

    Args:
        boxes1: `[..., n, 4]`, xyxy.
        boxes2: `[..., L, 4]`, xyxy, same unit and leading shape (or one that broadcasts).

    Returns:
        `[..., n, L]`.
    """
    return iou(planes(boxes1[..., :, None, :]), planes(boxes2[..., None, :, :]), eps)


def is_inside(x, y, boxes, eps=1e-9):
    """Whether points lie strictly inside boxes, by more than `eps` on each side.

    Args:
        x, y: coordinates of the points.
        boxes: planes that broadcast against `x` and `y`.

    Returns:
        bool, in the broadcast shape.
    """
    x1, y1, x2, y2 = boxes
    return (x - x1 > eps) & (x2 - x > eps) & (y - y1 > eps) & (y2 - y > eps)


def is_near_center(x, y, boxes, radius, eps=1e-9):
    """Whether points lie in the square of half side `radius` around the centre of boxes.

    Args:
        x, y: coordinates of the points.
        boxes: planes that broadcast against `x` and `y`.
        radius: half side of the square, in the unit of the boxes; broadcasts too.

    Returns:
        bool, in the broadcast shape.
    """
    x1, y1, x2, y2 = boxes
    cx, cy = (x1 + x2) * 0.5, (y1 + y2) * 0.5
    return is_inside(x, y, (cx - radius, cy - radius, cx + radius, cy + radius), eps)
