"""Sizes and resizing that hold for fixed and for dynamic shapes."""

import paddle
import paddle.nn.functional as F


def spatial_size(x):
    """Height and width of ``[B, C, H, W]``: ints where known, else int32 tensors of one element."""
    if all(isinstance(side, int) and side > 0 for side in x.shape[2:]):
        return list(x.shape[2:])
    shape = paddle.shape(x)
    return [shape[2], shape[3]]


def upsample_like(x, reference):
    """Resizes ``x`` to the height and width of ``reference``, nearest neighbour.

    By size and not by factor: it is right for odd sizes, and Paddle 3's ONNX exporter takes no factor.

    Args:
        x (Tensor): [B, C, h, w].
        reference (Tensor): [B, *, H, W].

    Returns:
        Tensor: [B, C, H, W].
    """
    return F.interpolate(x, size=spatial_size(reference), mode="nearest")
