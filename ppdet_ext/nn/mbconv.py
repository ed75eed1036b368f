"""Inverted residual blocks with squeeze-and-excitation, EfficientNet's."""

import paddle.nn as nn
import paddle.nn.functional as F

from .activation import build_activation
from .conv import ConvNormAct


class SqueezeExcite(nn.Layer):
    """Channel attention through a bottleneck: ``x * sigmoid(expand(act(reduce(mean(x)))))``.

    Args:
        channels (int): C of ``[B, C, H, W]``.
        reduced (int): width of the bottleneck.
        act (str | nn.Layer): inside the bottleneck.

    Source: arXiv:1709.01507, section 3; both convolutions have a bias.
    """

    def __init__(self, channels, reduced, act="swish"):
        super().__init__()
        self.reduce = nn.Conv2D(channels, reduced, 1)
        self.act = build_activation(act)
        self.expand = nn.Conv2D(reduced, channels, 1)

    def forward(self, x):
        # Pooling and not mean(): the same value, a fraction of the time in the backward pass on a CPU.
        gate = self.expand(self.act(self.reduce(F.adaptive_avg_pool2d(x, 1))))
        return x * F.sigmoid(gate)


class MBConv(nn.Layer):
    """An inverted residual block: ``[B, Cin, H, W] -> [B, Cout, ceil(H / s), ceil(W / s)]``.

    .. code-block:: text

        x -- expand 1x1 -- depthwise kxk, stride s -- squeeze-excite -- project 1x1 -- drop-path -- + -- out
        \\______________________________ if Cin = Cout and s = 1 _________________________________/

    Every convolution is without bias and has a BatchNorm, which :func:`reparameterize` folds away; the
    projection has no activation. Padding is SAME.

    Args:
        in_channels, out_channels (int): Cin, Cout.
        kernel_size, stride (int): of the depthwise convolution.
        expansion (int): inner width over Cin; at 1 there is no expanding convolution.
        se_ratio (float): width of the squeeze-and-excitation's bottleneck over Cin; 0 leaves it out.
        act (str): after expansion and depthwise convolution, and in the bottleneck.
        drop_path (float): share of the images of a batch that skip the block in training, the others being
            scaled up to keep the mean; for a block with a shortcut.
        bn_epsilon, bn_momentum (float): of every BatchNorm.

    Source: MobileNetV2 (arXiv:1801.04381), EfficientNet (arXiv:1905.11946); drop-path arXiv:1603.09382.
    """

    def __init__(
        self,
        in_channels,
        out_channels,
        kernel_size=3,
        stride=1,
        expansion=6,
        se_ratio=0.25,
        act="swish",
        drop_path=0.0,
        bn_epsilon=1e-3,
        bn_momentum=0.99,
    ):
        super().__init__()
        inner = in_channels * expansion
        norm = {"bn_epsilon": bn_epsilon, "bn_momentum": bn_momentum}
        self.expand = ConvNormAct(in_channels, inner, 1, act=act, **norm) if expansion != 1 else None
        self.depthwise = ConvNormAct(
            inner, inner, kernel_size, stride, groups=inner, act=act, same=True, **norm
        )
        # Of the block's own width and not of the expanded one, as published.
        self.se = SqueezeExcite(inner, max(1, int(in_channels * se_ratio)), act) if se_ratio else None
        self.project = ConvNormAct(inner, out_channels, 1, **norm)
        self.shortcut = stride == 1 and in_channels == out_channels
        # Along the batch: one draw an image, which is drop-path.
        self.drop_path = nn.Dropout(drop_path, axis=0)

    def forward(self, x):
        y = x if self.expand is None else self.expand(x)
        y = self.depthwise(y)
        if self.se is not None:
            y = self.se(y)
        y = self.project(y)
        return x + self.drop_path(y) if self.shortcut else y
