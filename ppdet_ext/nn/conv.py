"""Convolution, BatchNorm and activation as one layer; dense and depthwise-separable."""

import paddle.nn as nn
from paddle import ParamAttr
from paddle.regularizer import L2Decay

from .activation import build_activation
from .fusion import conv_like, fold_conv_bn
from .same_pad import SameConv2D


def conv2d(
    in_channels, out_channels, kernel_size, stride=1, groups=1, dilation=1, padding_mode="zeros", bias=False
):
    """A convolution whose padding keeps the size at stride 1, with fresh weights.

    Args:
        in_channels, out_channels (int): Cin, Cout.
        kernel_size (int): odd.
        stride, groups, dilation (int): of the convolution.
        padding_mode (str): zeros, reflect, replicate or circular.
        bias (bool): with a bias.

    Returns:
        nn.Conv2D: ``[B, Cin, H, W] -> [B, Cout, ceil(H / s), ceil(W / s)]``.
    """
    return nn.Conv2D(
        in_channels,
        out_channels,
        kernel_size,
        stride=stride,
        padding=dilation * (kernel_size // 2),
        dilation=dilation,
        groups=groups,
        padding_mode=padding_mode,
        bias_attr=None if bias else False,
    )


def batch_norm(channels, epsilon=1e-5, momentum=0.9):
    """A BatchNorm2D whose scale and shift are exempt from weight decay."""
    return nn.BatchNorm2D(
        channels,
        momentum=momentum,
        epsilon=epsilon,
        weight_attr=ParamAttr(regularizer=L2Decay(0.0)),
        bias_attr=ParamAttr(regularizer=L2Decay(0.0)),
    )


def set_batch_norm(network, epsilon, momentum):
    """Sets every BatchNorm2D of a network, for families that are published with other settings than Paddle's.

    Args:
        network (nn.Layer): changed in place.
        epsilon (float): added to the variance.
        momentum (float): Paddle's, the share of the old statistics that a step keeps.
    """
    for layer in network.sublayers():
        if isinstance(layer, nn.BatchNorm2D):
            layer._epsilon, layer._momentum = epsilon, momentum


class ConvNormAct(nn.Layer):
    """Convolution without bias, BatchNorm, activation: ``[B, Cin, H, W] -> [B, Cout, H/s, W/s]``.

    State-dict keys are ``conv.weight`` and ``bn.*``, as PaddleDetection's; after
    :meth:`convert_to_deploy`, ``conv.weight`` and ``conv.bias``.

    Args:
        in_channels, out_channels (int): Cin, Cout.
        kernel_size (int): odd; the padding keeps the size at stride 1.
        stride, groups, dilation (int): of the convolution.
        act (str | None | nn.Layer): see :func:`build_activation`.
        padding_mode (str): zeros, reflect, replicate or circular.
        bn_epsilon, bn_momentum (float): Paddle's momentum (the share of the old value that is kept).
        same (bool): SAME padding (:class:`SameConv2D`), zeros; without dilation.
        bias (bool): the convolution has a bias, which the BatchNorm makes superfluous but some published
            checkpoints hold.
    """

    def __init__(
        self,
        in_channels,
        out_channels,
        kernel_size=3,
        stride=1,
        groups=1,
        dilation=1,
        act=None,
        padding_mode="zeros",
        bn_epsilon=1e-5,
        bn_momentum=0.9,
        same=False,
        bias=False,
    ):
        super().__init__()
        if same:
            self.conv = SameConv2D(in_channels, out_channels, kernel_size, stride, groups, bias)
        else:
            self.conv = conv2d(
                in_channels, out_channels, kernel_size, stride, groups, dilation, padding_mode, bias
            )
        self.bn = batch_norm(out_channels, bn_epsilon, bn_momentum)
        self.act = build_activation(act)

    def forward(self, x):
        x = self.conv(x)
        if self.bn is not None:
            x = self.bn(x)
        return self.act(x)

    def convert_to_deploy(self):
        """Folds the BatchNorm into the convolution; a second call does nothing."""
        if self.bn is None:
            return
        self.conv = conv_like(self.conv, *fold_conv_bn(self.conv, self.bn))
        self.bn = None


class SeparableConvNormAct(nn.Layer):
    """Depthwise 3x3 then pointwise 1x1, each with BatchNorm; the activation follows the second.

    Args: as :class:`ConvNormAct`; the shapes too.
    """

    def __init__(self, in_channels, out_channels, kernel_size=3, stride=1, act=None):
        super().__init__()
        self.depthwise = ConvNormAct(in_channels, in_channels, kernel_size, stride, groups=in_channels)
        self.pointwise = ConvNormAct(in_channels, out_channels, 1, act=act)

    def forward(self, x):
        return self.pointwise(self.depthwise(x))
