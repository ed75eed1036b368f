"""The QARepVGG block: RepVGG's branches with their norms placed so that INT8 keeps the accuracy."""

import paddle
import paddle.nn as nn

from .activation import build_activation
from .conv import ConvNormAct, batch_norm
from .fusion import conv3x3, fold_bn, fold_conv_bn, fuse_branches, identity_kernel, pad_kernel, weight_array


class QARepVGGBlock(nn.Layer):
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

    Args:
        in_channels, out_channels (int): Cin, Cout.
        stride, groups, dilation (int): of the 3x3 branch; the others follow.
        identity (bool): add the input where shapes allow (Cin = Cout, stride 1).
        alpha (bool): refused; a weight on a bare convolution is a scale of its kernel.
        act (str | None | nn.Layer): after the last norm.
        padding_mode (str): zeros, reflect, replicate or circular.
        deploy (bool): build the deployed form at once.
        bn_epsilon, bn_momentum (float): of both BatchNorms.

    Raises:
        ValueError: ``alpha`` is asked for.

    Source: QARepVGG, arXiv:2212.01593 (the form it calls S4). The paper keeps the last norm beside the fused
    convolution; here it is folded, too, which is the same function.
    """

    def __init__(
        self,
        in_channels,
        out_channels,
        stride=1,
        groups=1,
        dilation=1,
        identity=False,
        alpha=False,
        act="relu",
        padding_mode="zeros",
        deploy=False,
        bn_epsilon=1e-5,
        bn_momentum=0.9,
    ):
        super().__init__()
        if alpha:
            raise ValueError(
                "QARepVGGBlock: no alpha, since its 1x1 convolution is bare and holds that scale itself; "
                "set use_alpha: false or rep_block: repvgg"
            )
        self.act = build_activation(act)
        self.deployed = deploy
        if deploy:
            self.conv = conv3x3(in_channels, out_channels, stride, groups, dilation, padding_mode)
            return
        bn = {"bn_epsilon": bn_epsilon, "bn_momentum": bn_momentum}
        self.conv1 = ConvNormAct(
            in_channels, out_channels, 3, stride, groups, dilation, padding_mode=padding_mode, **bn
        )
        self.conv2 = nn.Conv2D(in_channels, out_channels, 1, stride, groups=groups, bias_attr=False)
        has_identity = identity and in_channels == out_channels and stride == 1
        self.identity = nn.Identity() if has_identity else None
        self.bn = batch_norm(out_channels, bn_epsilon, bn_momentum)

    def forward(self, x):
        if self.deployed:
            return self.act(self.conv(x))
        y = self.conv1(x) + self.conv2(x)
        if self.identity is not None:
            y = y + self.identity(x)
        return self.act(self.bn(y))

    def equivalent_kernel_bias(self):
        """The one convolution that equals the branches and the norm after them.

        Returns:
            tuple(ndarray, ndarray): kernel [Cout, Cin / groups, 3, 3] and bias [Cout], float64.
        """
        kernel, bias = fold_conv_bn(self.conv1.conv, self.conv1.bn)
        kernel = kernel + pad_kernel(weight_array(self.conv2), 3)
        if self.identity is not None:
            conv = self.conv1.conv
            kernel = kernel + identity_kernel(conv._out_channels, conv._groups, 3)
        return fold_bn(kernel, bias, self.bn)

    @paddle.no_grad()
    def convert_to_deploy(self):
        """Replaces branches and norms by their one convolution; a second call does nothing."""
        fuse_branches(self, ("conv1", "conv2", "identity", "bn"))
