"""Activations by name."""

import paddle.nn as nn
import paddle.nn.functional as F

from ppdet_ext.nearest import choice


class PlainSwish(nn.Layer):
    """``x * sigmoid(x)`` as two ops, for engines whose converters refuse the fused swish op."""

    def forward(self, x):
        return x * F.sigmoid(x)


ACTIVATIONS = {
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "leaky_relu": lambda: nn.LeakyReLU(0.1),
    "swish": nn.Swish,
    "silu": nn.Silu,
    "hardswish": nn.Hardswish,
    "sigmoid": nn.Sigmoid,
    "hardsigmoid": nn.Hardsigmoid,
    "identity": nn.Identity,
}


def build_activation(name, trt=False):
    """Makes the activation layer called ``name``.

    Args:
        name (str | None | nn.Layer): a key of ``ACTIVATIONS``; None is the identity; a layer is
            returned as it is.
        trt (bool): spell swish as ``x * sigmoid(x)`` (PaddleDetection's switch of that name).

    Returns:
        nn.Layer: maps a tensor to one of the same shape and dtype.

    Raises:
        ValueError: an unknown name; the nearest known one is named.
    """
    if isinstance(name, nn.Layer):
        return name
    if name is None:
        return nn.Identity()
    if trt and name in ("swish", "silu"):
        return PlainSwish()
    if name not in ACTIVATIONS:
        raise ValueError(f"unknown activation '{name}'; {choice(name, ACTIVATIONS)}")
    return ACTIVATIONS[name]()
