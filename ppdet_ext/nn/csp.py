"""Cross-stage-partial stages of PP-YOLOE's backbone and neck.

Attribute names are the state-dict keys of PaddleDetection's published weights.
Source: CSPNet, arXiv:1911.11929; PP-YOLOE, arXiv:2203.16250, figure 3.
"""

import paddle
import paddle.nn as nn

from .conv import ConvNormAct, SeparableConvNormAct
from .ese import EffectiveSE
from .rep_block import rep_block_class
from .spp import SPP


class RepResidualBlock(nn.Layer):
    """A 3x3 convolution and a RepVGG block, with an optional shortcut: ``[B, C, H, W]`` to the same.

    Args:
        in_channels, out_channels (int): equal where ``shortcut``.
        act (str): after each.
        shortcut (bool): add the input.
        alpha (bool): learnable weight on the RepVGG block's 1x1 branch.
        rep (bool): False puts a plain 3x3 convolution in the RepVGG block's place (ablation).
        ese (bool): gate the block's output before the shortcut.
        depthwise (bool): depthwise-separable 3x3 convolutions; there is no RepVGG block then.
        rep_block (str): the RepVGG block's kind, see :func:`rep_block_class`; without an identity, as
            published (where ``shortcut``, there is one around both convolutions).
    """

    def __init__(
        self,
        in_channels,
        out_channels,
        act="swish",
        shortcut=True,
        alpha=False,
        rep=True,
        ese=False,
        depthwise=False,
        rep_block="repvgg",
    ):
        super().__init__()
        if shortcut and in_channels != out_channels:
            raise ValueError(
                f"RepResidualBlock: a shortcut needs equal channels, not {in_channels} and {out_channels}"
            )
        kind = rep_block_class(rep_block)
        dense = SeparableConvNormAct if depthwise else ConvNormAct
        self.conv1 = dense(in_channels, out_channels, 3, act=act)
        if rep and not depthwise:
            self.conv2 = kind(out_channels, out_channels, act=act, alpha=alpha)
        else:
            self.conv2 = dense(out_channels, out_channels, 3, act=act)
        self.attn = EffectiveSE(out_channels) if ese else None
        self.shortcut = shortcut

    def forward(self, x):
        y = self.conv2(self.conv1(x))
        if self.attn is not None:
            y = self.attn(y)
        return x + y if self.shortcut else y


class CSPRepStage(nn.Layer):
    r"""A backbone stage.

    .. code-block:: text

        x -- 3x3, stride 2 --+-- 1x1 ------------------+-- concat -- ESE -- 1x1 -->
                             +-- 1x1 -- n blocks ------+

    The middle width is (Cin + Cout) / 2, each half of it on one path.

    Args:
        in_channels, out_channels (int): Cin, Cout.
        blocks (int): n.
        stride (int): 2 halves H and W; 1 leaves the first convolution out.
        act (str): activation.
        ese (str): 'stage' gates the concatenation, 'block' each block's output, 'none' neither.
        alpha, rep, depthwise (bool), rep_block (str): see :class:`RepResidualBlock`.
    """

    def __init__(
        self,
        in_channels,
        out_channels,
        blocks,
        stride=2,
        act="swish",
        ese="stage",
        alpha=False,
        rep=True,
        depthwise=False,
        rep_block="repvgg",
    ):
        super().__init__()
        if ese not in ("stage", "block", "none"):
            raise ValueError(f"CSPRepStage: ese is 'stage', 'block' or 'none', not '{ese}'")
        middle = (in_channels + out_channels) // 2
        self.conv_down = ConvNormAct(in_channels, middle, 3, stride, act=act) if stride == 2 else None
        entry = middle if stride == 2 else in_channels
        half = middle // 2
        self.conv1 = ConvNormAct(entry, half, 1, act=act)
        self.conv2 = ConvNormAct(entry, half, 1, act=act)
        self.blocks = nn.Sequential(
            *[
                RepResidualBlock(half, half, act, True, alpha, rep, ese == "block", depthwise, rep_block)
                for _ in range(blocks)
            ]
        )
        self.attn = EffectiveSE(2 * half) if ese == "stage" else None
        self.conv3 = ConvNormAct(2 * half, out_channels, 1, act=act)

    def forward(self, x):
        if self.conv_down is not None:
            x = self.conv_down(x)
        y = paddle.concat([self.conv1(x), self.blocks(self.conv2(x))], axis=1)
        if self.attn is not None:
            y = self.attn(y)
        return self.conv3(y)


class CSPStage(nn.Layer):
    """A neck stage: two 1x1 paths, blocks without shortcut on one, concatenated, 1x1.

    Args:
        in_channels, out_channels (int): Cin, Cout; each path is Cout / 2 wide.
        blocks (int): blocks on the second path.
        act (str): activation.
        spp (bool): an SPP after the middle block.
        alpha, rep, ese, depthwise (bool), rep_block (str): see :class:`RepResidualBlock`.
    """

    def __init__(
        self,
        in_channels,
        out_channels,
        blocks,
        act="swish",
        spp=False,
        alpha=False,
        rep=True,
        ese=False,
        depthwise=False,
        rep_block="repvgg",
    ):
        super().__init__()
        half = out_channels // 2
        self.conv1 = ConvNormAct(in_channels, half, 1, act=act)
        self.conv2 = ConvNormAct(in_channels, half, 1, act=act)
        self.convs = nn.Sequential()
        for i in range(blocks):
            self.convs.add_sublayer(
                str(i), RepResidualBlock(half, half, act, False, alpha, rep, ese, depthwise, rep_block)
            )
            if spp and i == (blocks - 1) // 2:
                self.convs.add_sublayer("spp", SPP(half * 4, half, 1, (5, 9, 13), act=act))
        self.conv3 = ConvNormAct(half * 2, out_channels, 1, act=act)

    def forward(self, x):
        return self.conv3(paddle.concat([self.conv1(x), self.convs(self.conv2(x))], axis=1))
