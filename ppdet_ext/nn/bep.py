"""YOLOv6's stages: stacks of re-parameterisable blocks, plain and cross-stage-partial.

Source: YOLOv6, arXiv:2209.02976, figure 3; RepVGG, arXiv:2101.03697.
"""

import paddle
import paddle.nn as nn
from paddle import ParamAttr
from paddle.nn.initializer import Constant

from .conv import ConvNormAct
from .rep_block import rep_block_class

# As published (momentum counted as Paddle does): they belong to the weights, and to what fuses them.
YOLOV6_BATCH_NORM = {"epsilon": 1e-3, "momentum": 0.97}
# Beside the kinds of `rep_block`: one convolution, which the largest model trains with.
PLAIN = "conv"


def block_builder(kind, act):
    """How a stage makes its 3x3 blocks.

    Args:
        kind (str): of :func:`rep_block_class`, with an identity branch where shapes allow; or 'conv', a plain
            convolution with BatchNorm.
        act (str): after each.

    Returns:
        callable: (Cin, Cout, stride=1) -> a layer ``[B, Cin, H, W] -> [B, Cout, H / stride, W / stride]``.
    """
    if kind == PLAIN:
        return lambda cin, cout, stride=1: ConvNormAct(cin, cout, 3, stride, act=act)
    block = rep_block_class(kind, beside=[PLAIN])
    return lambda cin, cout, stride=1: block(cin, cout, stride, identity=True, act=act)


class RepStack(nn.Sequential):
    """Blocks in a row: ``[B, Cin, H, W] -> [B, Cout, H, W]``.

    Args:
        in_channels, out_channels (int): Cin, Cout; the first block changes the width.
        blocks (int): how many.
        block (callable): see :func:`block_builder`.
    """

    def __init__(self, in_channels, out_channels, blocks, block):
        super().__init__(*[block(out_channels if i else in_channels, out_channels) for i in range(blocks)])


class BottleRep(nn.Layer):
    """Two blocks and a weighted shortcut: ``block(block(x)) + alpha x``, ``[B, C, H, W]`` to the same.

    Args:
        channels (int): C.
        block (callable): see :func:`block_builder`.
    """

    def __init__(self, channels, block):
        super().__init__()
        self.conv1 = block(channels, channels)
        self.conv2 = block(channels, channels)
        self.alpha = self.create_parameter([1], attr=ParamAttr(initializer=Constant(1.0)))

    def forward(self, x):
        return self.conv2(self.conv1(x)) + self.alpha * x


class BepC3(nn.Layer):
    r"""A cross-stage-partial stage.

    .. code-block:: text

        x --+-- 1x1 -- blocks / 2 of BottleRep --+-- concat -- 1x1 -->
            +-- 1x1 -----------------------------+

    Args:
        in_channels, out_channels (int): of ``[B, Cin, H, W] -> [B, Cout, H, W]``.
        blocks (int): 3x3 blocks, two in each BottleRep; at least one BottleRep.
        expansion (float): width of each path over Cout.
        block (callable): see :func:`block_builder`.
        act (str): of the 1x1 convolutions.
    """

    def __init__(self, in_channels, out_channels, blocks, expansion, block, act):
        super().__init__()
        width = int(out_channels * expansion)
        self.conv1 = ConvNormAct(in_channels, width, 1, act=act)
        self.conv2 = ConvNormAct(in_channels, width, 1, act=act)
        self.blocks = nn.Sequential(*[BottleRep(width, block) for _ in range(max(blocks // 2, 1))])
        self.conv3 = ConvNormAct(2 * width, out_channels, 1, act=act)

    def forward(self, x):
        return self.conv3(paddle.concat([self.blocks(self.conv1(x)), self.conv2(x)], axis=1))
