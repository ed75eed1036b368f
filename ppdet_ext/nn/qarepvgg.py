"""The QARepVGG block: RepVGG's branches with their norms placed so that INT8 keeps the accuracy."""

import paddle.nn as nn

from .conv import ConvNormAct, batch_norm, conv2d
from .fusion import fold_bn, fold_conv_bn, identity_kernel, pad_kernel, weight_array
from .rep_base import RepBlock


class QARepVGGBlock(RepBlock):
    r"""A 3x3 branch with a norm, a bare 1x1 and optionally a bare identity, summed, normed and activated.

    .. code-block:: text

        x --+-- 3x3 conv, BN ---------+
            +-- 1x1 conv -------------+--> sum --> BN --> act        deployed: x --> 3x3 conv --> act
            +-- x, if ``identity`` ---+

    In :class:`RepVGGBlock` every branch has a BatchNorm of its own, and each may scale a channel far up: the
    fused kernel gets outliers and the sum a variance that one INT8 scale cannot cover. Here one BatchNorm
    after the sum sets both. Maps are ``[B, Cin, H, W] -> [B, Cout, H / stride, W / stride]``; constructor and
    deployed form are RepVGGBlock's, the training form's keys are not: ``conv1.conv.weight`` and
    ``conv1.bn.*`` (3x3), ``conv2.weight`` (1x1), ``bn.*``; deployed: ``conv.weight``, ``conv.bias``.

    Args: see :class:`RepBlock`; ``alpha`` is refused.

    Source: QARepVGG, arXiv:2212.01593 (the form it calls S4). The paper keeps the last norm beside the fused
    convolution; here it is folded, too, which is the same function.
    """

    branches = ("conv1", "conv2", "identity", "bn")
    no_alpha = "its 1x1 convolution is bare and holds that scale itself"

    def _make_branches(
        self, in_channels, out_channels, stride, groups, dilation, identity, alpha, padding_mode, bn
    ):
        self.conv1 = ConvNormAct(
            in_channels, out_channels, 3, stride, groups, dilation, padding_mode=padding_mode, **bn
        )
        self.conv2 = conv2d(in_channels, out_channels, 1, stride, groups)
        self.identity = nn.Identity() if identity else None
        self.bn = batch_norm(out_channels, bn["bn_epsilon"], bn["bn_momentum"])

    def _run_branches(self, x):
        y = self.conv1(x) + self.conv2(x)
        return self.bn(y if self.identity is None else y + self.identity(x))

    def equivalent_kernel_bias(self):
        kernel, bias = fold_conv_bn(self.conv1.conv, self.conv1.bn)
        kernel = kernel + pad_kernel(weight_array(self.conv2), 3)
        if self.identity is not None:
            conv = self.conv1.conv
            kernel = kernel + identity_kernel(conv._out_channels, conv._groups, 3)
        return fold_bn(kernel, bias, self.bn)
