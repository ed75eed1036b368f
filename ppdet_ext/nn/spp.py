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


class SPPF(nn.Layer):
    r"""One pool three times, which sees what three pools of growing size see; ``[B, C, H, W]`` to the same.

    .. code-block:: text

        x -- 1x1, C / 2 --+-------------------------------+
                          +-- pool 5 --+------------------+-- concat -- 1x1, C -->
                                       +-- pool --+-------+
                                                  +-- pool+

    Args:
        channels (int): C.
        act (str): of the convolutions; with ReLU this is YOLOv6's SimSPPF.
    """

    def __init__(self, channels, act="relu"):
        super().__init__()
        self.conv1 = ConvNormAct(channels, channels // 2, 1, act=act)
        self.pool = nn.MaxPool2D(5, stride=1, padding=2)
        self.conv2 = ConvNormAct(4 * (channels // 2), channels, 1, act=act)

    def forward(self, x):
        return self.conv2(pyramid(self.pool, self.conv1(x)))


class CSPSPPF(nn.Layer):
    r"""SPPF on one of two paths; ``[B, C, H, W]`` to the same.

    .. code-block:: text

        x --+-- 1x1, 3x3, 1x1 -- pyramid of three pools -- 1x1, 3x3 --+-- concat -- 1x1 -->
            +-- 1x1 --------------------------------------------------+

    Args:
        channels (int): C; each path is C / 2 wide.
        act (str): of the convolutions; with ReLU this is YOLOv6's SimCSPSPPF.
    """

    def __init__(self, channels, act="relu"):
        super().__init__()
        half = channels // 2

        def conv(cin, cout, kernel_size):
            return ConvNormAct(cin, cout, kernel_size, act=act)

        self.before = nn.Sequential(conv(channels, half, 1), conv(half, half, 3), conv(half, half, 1))
        self.pool = nn.MaxPool2D(5, stride=1, padding=2)
        self.after = nn.Sequential(conv(4 * half, half, 1), conv(half, half, 3))
        self.aside = conv(channels, half, 1)
        self.out = conv(2 * half, channels, 1)

    def forward(self, x):
        deep = self.after(pyramid(self.pool, self.before(x)))
        return self.out(paddle.concat([self.aside(x), deep], axis=1))


def pyramid(pool, x):
    """A map, and what a pool makes of it once, twice and three times: ``[B, C, H, W] -> [B, 4 C, H, W]``."""
    maps = [x]
    for _ in range(3):
        maps.append(pool(maps[-1]))
    return paddle.concat(maps, axis=1)


# By the names that YOLOv6 gives them: what they are and their activation.
SPP_BLOCKS = {
    "SPPF": (SPPF, "silu"),
    "SimSPPF": (SPPF, "relu"),
    "CSPSPPF": (CSPSPPF, "silu"),
    "SimCSPSPPF": (CSPSPPF, "relu"),
}
