"""Fusion of a coarser, an equal and a finer map."""

import paddle
import paddle.nn as nn

from .conv import ConvNormAct


class BiFusion(nn.Layer):
    r"""Three neighbouring levels in one, at the middle one's size.

    .. code-block:: text

        coarser -- transposed 2x2, x2 --+
        level ---- 1x1 -----------------+-- concat -- 1x1 -->
        finer ---- 1x1 -- 3x3 /2 -------+

    Args:
        in_channels (tuple[int]): of level and finer.
        out_channels (int): of the coarser map, and C of the result ``[B, C, H, W]``.
        act (str): of the convolutions.

    Source: YOLOv6 v3.0, arXiv:2301.05586, figure 2 (BiC).
    """

    def __init__(self, in_channels, out_channels, act="relu"):
        super().__init__()
        level, finer = in_channels
        self.upsample = nn.Conv2DTranspose(out_channels, out_channels, 2, stride=2)
        self.conv1 = ConvNormAct(level, out_channels, 1, act=act)
        self.conv2 = ConvNormAct(finer, out_channels, 1, act=act)
        self.downsample = ConvNormAct(out_channels, out_channels, 3, 2, act=act)
        self.conv3 = ConvNormAct(3 * out_channels, out_channels, 1, act=act)

    def forward(self, coarser, level, finer):
        maps = [self.upsample(coarser), self.conv1(level), self.downsample(self.conv2(finer))]
        return self.conv3(paddle.concat(maps, axis=1))
