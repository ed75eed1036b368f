"""A depthwise convolution and a pointwise one, with nothing between them."""

import paddle.nn as nn

from .conv import conv2d


class SeparableConv2D(nn.Layer):
    """Depthwise kxk without bias, pointwise 1x1 with one: ``[B, Cin, H, W] -> [B, Cout, H, W]``.

    As EfficientDet has it (arXiv:1911.09070): :class:`SeparableConvNormAct`, PP-YOLOE's, has a BatchNorm
    after each of the two.

    Args:
        in_channels, out_channels (int): Cin, Cout.
        kernel_size (int): odd.
    """

    def __init__(self, in_channels, out_channels, kernel_size=3):
        super().__init__()
        self.depthwise = conv2d(in_channels, in_channels, kernel_size, groups=in_channels)
        self.pointwise = nn.Conv2D(in_channels, out_channels, 1)

    def forward(self, x):
        return self.pointwise(self.depthwise(x))
