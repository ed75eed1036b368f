"""Anchor boxes of several sizes and shapes a cell, and the coding of boxes relative to them.

Boxes are xyxy, x to the right and y down; codes are (ty, tx, th, tw), in the order of the published weights.
"""

import numpy as np
import paddle

from ppdet_ext.nn.resize import spatial_size

from .anchors import anchor_points
from .constants import constants

# Keeps a box without width or height from dividing by 0, as published.
EPSILON = 1e-8


def anchor_shapes(anchor_scale, num_scales, aspect_ratios):
    """Sides of the anchors of a cell, in strides.

    Args:
        anchor_scale (float): side of the smallest square.
        num_scales (int): sizes, in equal steps of an octave.
        aspect_ratios (list): of each size: width over height, at equal area; or the pair of factors by which
            width and height are multiplied, such as [1.4, 0.7].

    Returns:
        tuple: (width, height) of each, size by size and ratio by ratio within a size.

    Raises:
        ValueError: no size, no ratio, or what is no positive number.
    """
    if not isinstance(num_scales, int) or num_scales < 1 or not aspect_ratios or not anchor_scale > 0:
        raise ValueError(
            f"anchors: anchor_scale {anchor_scale!r}, num_scales {num_scales!r} and aspect_ratios "
            f"{aspect_ratios!r} give no box; the published ones are 4.0, 3 and [1.0, 2.0, 0.5]"
        )
    factors = [_factors(ratio) for ratio in aspect_ratios]
    sizes = [anchor_scale * 2 ** (step / num_scales) for step in range(num_scales)]
    return tuple((size * x, size * y) for size in sizes for x, y in factors)


def _factors(ratio):
    """Factors of width and height."""
    pair = ratio if isinstance(ratio, (list, tuple)) else [ratio]
    if len(pair) > 2 or not all(isinstance(value, (int, float)) and value > 0 for value in pair):
        raise ValueError(
            f"anchors: aspect ratio {ratio!r} is neither a number above 0 nor two of them; "
            "write 2.0 or [1.4, 0.7]"
        )
    return (np.sqrt(pair[0]), 1 / np.sqrt(pair[0])) if len(pair) == 1 else tuple(pair)


def _constant_boxes(sizes, strides, shapes):
    """NumPy anchors of feature maps of known size."""
    half = np.array(shapes) / 2
    boxes = []
    for (height, width), stride in zip(sizes, strides):
        y, x = np.meshgrid(np.arange(height) + 0.5, np.arange(width) + 0.5, indexing="ij")
        centre = np.stack([x, y], axis=-1).reshape(-1, 1, 2)
        boxes.append(np.concatenate([centre - half, centre + half], axis=-1).reshape(-1, 4) * stride)
    return np.concatenate(boxes).astype("float32")


def anchor_boxes(feats, strides, shapes):
    """The anchors of all levels; a cell's are centred in it.

    Args:
        feats (list[Tensor]): ``[B, C_i, h_i, w_i]``.
        strides (tuple[int]): of each map, input pixels.
        shapes (tuple): of :func:`anchor_shapes`, A of them.

    Returns:
        Tensor: [L, 4] float32 xyxy, input pixels; L is the sum of h_i * w_i * A, in the order level, y, x,
        shape.

    Source: arXiv:1708.02002, section 4; google/automl 6a54c87, efficientdet/tf2/anchors.py.
    """
    sizes = [spatial_size(feat) for feat in feats]
    if all(isinstance(side, int) for size in sizes for side in size):
        return constants(_constant_boxes, tuple(map(tuple, sizes)), tuple(strides), shapes)[0]
    points, per_point, _ = anchor_points(feats, strides)
    centre = (points * per_point).unsqueeze(1)
    half = per_point.unsqueeze(1) * paddle.to_tensor(np.float32(shapes) / 2)
    return paddle.concat([centre - half, centre + half], axis=-1).reshape([-1, 4])


def _centre_and_size(boxes):
    """[..., 4] xyxy to two of [..., 2], x and y."""
    near, far = paddle.split(boxes, 2, axis=-1)
    return (near + far) * 0.5, far - near


def _swap(first_second):
    """[..., 2] with the other one first."""
    return paddle.concat(paddle.split(first_second, 2, axis=-1)[::-1], axis=-1)


def encode_boxes(boxes, anchors):
    """What the boxes are, seen from their anchors.

    Args:
        boxes (Tensor): [..., 4] float32 xyxy.
        anchors (Tensor): [..., 4] float32 xyxy, same unit.

    Returns:
        Tensor: [..., 4] float32: offsets of the centre, y and x, in sides of the anchor; logarithms of height
        and width over the anchor's.

    Source: arXiv:1506.01497, equation 2, without the factors that others weight the four with.
    """
    centre, size = _centre_and_size(boxes)
    anchor_centre, anchor_size = _centre_and_size(anchors)
    size, anchor_size = size.clip(min=EPSILON), anchor_size.clip(min=EPSILON)
    offset = (centre - anchor_centre) / anchor_size
    return paddle.concat([_swap(offset), _swap(paddle.log(size / anchor_size))], axis=-1)


def decode_boxes(codes, anchors):
    """The inverse of :func:`encode_boxes`.

    Args:
        codes (Tensor): [..., 4] float32, (ty, tx, th, tw).
        anchors (Tensor): [..., 4] float32 xyxy.

    Returns:
        Tensor: [..., 4] float32 xyxy, in the unit of the anchors.
    """
    ty, tx, th, tw = paddle.split(codes, 4, axis=-1)
    anchor_centre, anchor_size = _centre_and_size(anchors)
    centre = paddle.concat([tx, ty], axis=-1) * anchor_size + anchor_centre
    half = paddle.exp(paddle.concat([tw, th], axis=-1)) * (anchor_size * 0.5)
    return paddle.concat([centre - half, centre + half], axis=-1)
