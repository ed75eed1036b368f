"""TensorFlow's SAME padding: the output has ceil(size / stride) rows, the odd row of padding is the last."""

import paddle.nn as nn
import paddle.nn.functional as F

from .resize import spatial_size


def same_padding(size, kernel_size, stride):
    """Padding of one axis.

    Args:
        size (int | Tensor): of the input. A size that only running tells (a Tensor) is taken to be a multiple
            of the stride, as an image whose sides are multiples of the coarsest stride makes it everywhere.
        kernel_size, stride (int): of the convolution or pooling.

    Returns:
        tuple(int, int): before and after.
    """
    rest = size % stride if isinstance(size, int) else 0
    total = max(kernel_size - (rest or stride), 0)
    return total // 2, total - total // 2


def _same_padding_2d(x, kernel_size, stride):
    height, width = spatial_size(x)
    return [*same_padding(height, kernel_size, stride), *same_padding(width, kernel_size, stride)]


class SameConv2D(nn.Conv2D):
    """A convolution with SAME padding: ``[B, Cin, H, W] -> [B, Cout, ceil(H / s), ceil(W / s)]``.

    Its own ``padding`` is the one of sizes that are multiples of the stride, so that whatever takes the layer
    apart (PaddleSlim, an exporter) finds a plain convolution; other sizes are padded as they come.

    Args:
        in_channels, out_channels (int): Cin, Cout.
        kernel_size, stride, groups (int): square.
        bias (bool): with a bias.
    """

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, groups=1, bias=False):
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride=stride,
            padding=[*same_padding(0, kernel_size, stride)] * 2,
            groups=groups,
            bias_attr=None if bias else False,
        )

    def forward(self, x):
        padding = _same_padding_2d(x, self._kernel_size[0], self._stride[0])
        return F.conv2d(x, self.weight, self.bias, self._stride, padding, self._dilation, self._groups)

    def blank(self):
        """A layer of this geometry with a bias and fresh weights."""
        return type(self)(
            self._in_channels,
            self._out_channels,
            self._kernel_size[0],
            self._stride[0],
            self._groups,
            bias=True,
        )


class SameMaxPool2D(nn.Layer):
    """Max pooling with SAME padding, which never wins: ``[B, C, H, W] -> [B, C, ceil(H / s), ceil(W / s)]``.

    Args:
        kernel_size, stride (int): square.
    """

    def __init__(self, kernel_size, stride):
        super().__init__()
        self.kernel_size, self.stride = kernel_size, stride

    def forward(self, x):
        padding = _same_padding_2d(x, self.kernel_size, self.stride)
        return F.max_pool2d(x, self.kernel_size, self.stride, padding)
