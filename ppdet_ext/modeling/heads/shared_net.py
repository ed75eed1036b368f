"""A branch of a head whose convolutions are one for all levels, and whose BatchNorms are each level's own."""

import math

import paddle.nn as nn
from paddle.nn.initializer import Constant, Normal

from ppdet_ext.nn import SeparableConv2D, build_activation
from ppdet_ext.nn.conv import batch_norm
from ppdet_ext.nn.fusion import conv_like, fold_conv_bn

# As published; the momentum is Paddle's.
BATCH_NORM = {"epsilon": 1e-3, "momentum": 0.99}
# Of dense 3x3 kernels, as published.
DENSE_STD = 0.01


def _convolution(in_channels, out_channels, separable, bias=0.0):
    """A 3x3 convolution with bias, initialised as published.

    Kernels of a separable one have the variance of one over their fan-in, so that it keeps the scale.
    """
    if separable:
        conv = SeparableConv2D(in_channels, out_channels, 3)
        for part in (conv.depthwise, conv.pointwise):
            Normal(0.0, 1 / math.sqrt(math.prod(part.weight.shape[1:])))(part.weight)
        last = conv.pointwise
    else:
        last = conv = nn.Conv2D(in_channels, out_channels, 3, padding=1)
        Normal(0.0, DENSE_STD)(conv.weight)
    Constant(bias)(last.bias)
    return conv


class SharedConvNorm(nn.Layer):
    """A 3x3 convolution of all levels and a BatchNorm for each: ``[B, C, h, w] -> [B, C, h, w]``.

    After :meth:`convert_to_deploy` every level has its own convolution in the place of both, pointwise after
    the depthwise one that is still everybody's.

    State-dict keys: ``conv.*`` (of :class:`SeparableConv2D`, or ``conv.{weight,bias}``) and ``bn.LEVEL.*``;
    deployed ``depthwise.weight`` and ``folded.LEVEL.{weight,bias}``.

    Args:
        channels (int): C.
        levels (int): that take turns.
        separable (bool): False for a dense convolution.
    """

    def __init__(self, channels, levels, separable):
        super().__init__()
        self.conv = _convolution(channels, channels, separable)
        self.bn = nn.LayerList([batch_norm(channels, **BATCH_NORM) for _ in range(levels)])
        self.depthwise = self.folded = None

    def forward(self, x, level):
        if self.folded is None:
            return self.bn[level](self.conv(x))
        return self.folded[level](x if self.depthwise is None else self.depthwise(x))

    def convert_to_deploy(self):
        """Folds each level's BatchNorm into a convolution of its own; a second call does nothing."""
        if self.folded is not None:
            return
        last = self.conv
        if isinstance(self.conv, SeparableConv2D):
            self.depthwise, last = self.conv.depthwise, self.conv.pointwise
        self.folded = nn.LayerList([conv_like(last, *fold_conv_bn(last, bn)) for bn in self.bn])
        self.folded.eval()
        self.conv = self.bn = None


class SharedNet(nn.Layer):
    """Repeated :class:`SharedConvNorm` with activation, then a convolution that predicts.

    State-dict keys: ``repeats.R.*`` and ``predict.*``.

    Args:
        channels (int): C of ``[B, C, h, w]``.
        outputs (int): K of the predictions ``[B, K, h, w]``.
        levels, repeats (int): of the convolutions before.
        separable (bool): of all.
        act (str): after each repeat.
        bias (float): of the predictions at the start.
    """

    def __init__(self, channels, outputs, levels, repeats, separable, act, bias=0.0):
        super().__init__()
        self.repeats = nn.LayerList([SharedConvNorm(channels, levels, separable) for _ in range(repeats)])
        self.act = build_activation(act)
        self.predict = _convolution(channels, outputs, separable, bias)

    def forward(self, x, level):
        for repeat in self.repeats:
            x = self.act(repeat(x, level))
        return self.predict(x)
