"""Spatial pyramid pooling."""

import paddle
import paddle.nn as nn

from .conv import ConvNormAct


class SPP(nn.Layer):
    """Max pooling at several sizes beside the input, concatenated, then a convolution.

    Args:
        in_channels (int): channels of the concatenation, so Cx(number of pools + 1).
        out_channels (int): Cout.
        kernel_size (int): of the convolution.
        pool_sizes (tuple[int]): odd; stride 1, so H and W stay.
        act (str): of the convolution.
    """

    def __init__(self, in_channels, out_channels, kernel_size=1, pool_sizes=(5, 9, 13), act="swish"):
        super().__init__()
        self.pools = nn.LayerList([nn.MaxPool2D(k, stride=1, padding=k // 2) for k in pool_sizes])
        self.conv = ConvNormAct(in_channels, out_channels, kernel_size, act=act)

    def forward(self, x):
        return self.conv(paddle.concat([x] + [pool(x) for pool in self.pools], axis=1))
