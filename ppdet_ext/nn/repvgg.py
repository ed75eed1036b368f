"""The RepVGG block: parallel branches in training, one convolution in deployment."""

import paddle
import paddle.nn as nn
from paddle import ParamAttr
from paddle.nn.initializer import Constant

from .activation import build_activation
from .conv import ConvNormAct, batch_norm
from .fusion import bn_scale_shift, conv3x3, fold_conv_bn, fuse_branches, identity_kernel, pad_kernel


class RepVGGBlock(nn.Layer):
    r"""A 3x3 and a 1x1 branch, optionally an identity, summed and activated.

    .. code-block:: text

        x --+-- 3x3 conv, BN ------------------+
            +-- 1x1 conv, BN (times alpha) ----+--> sum --> act        deployed: x --> 3x3 conv --> act
            +-- BN, if ``identity`` -----------+

    Two forms: PP-YOLOE's (3x3 and 1x1, ``alpha`` in PP-YOLOE+) and the classic one of RepVGG
    (``identity=True``, groups, stride). Keys follow PaddleDetection: ``conv1`` (3x3), ``conv2`` (1x1),
    ``alpha`` [1]; the identity's BatchNorm is ``identity``; deployed: ``conv.weight``, ``conv.bias``.

    Args:
        in_channels, out_channels (int): Cin, Cout.
        stride, groups, dilation (int): of the 3x3 branch; the others follow.
        identity (bool): add the identity branch where shapes allow (Cin = Cout, stride 1).
        alpha (bool): a learnable weight on the 1x1 branch, 1 at the start.
        act (str | None | nn.Layer): after the sum.
        padding_mode (str): zeros, reflect, replicate or circular.
        deploy (bool): build the deployed form at once.
        bn_epsilon, bn_momentum (float): of every BatchNorm.

    Source: RepVGG, arXiv:2101.03697; PP-YOLOE, arXiv:2203.16250.
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
        self.act = build_activation(act)
        self.deployed = deploy
        if deploy:
            self.conv = conv3x3(in_channels, out_channels, stride, groups, dilation, padding_mode)
            return
        bn = {"bn_epsilon": bn_epsilon, "bn_momentum": bn_momentum}
        self.conv1 = ConvNormAct(
            in_channels, out_channels, 3, stride, groups, dilation, padding_mode=padding_mode, **bn
        )
        self.conv2 = ConvNormAct(in_channels, out_channels, 1, stride, groups, **bn)
        has_identity = identity and in_channels == out_channels and stride == 1
        self.identity = batch_norm(in_channels, bn_epsilon, bn_momentum) if has_identity else None
        self.alpha = self.create_parameter([1], attr=ParamAttr(initializer=Constant(1.0))) if alpha else None

    def forward(self, x):
        if self.deployed:
            return self.act(self.conv(x))
        small = self.conv2(x)
        y = self.conv1(x) + (small if self.alpha is None else self.alpha * small)
        if self.identity is not None:
            y = y + self.identity(x)
        return self.act(y)

    def equivalent_kernel_bias(self):
        """The one convolution that equals the branches.

        Returns:
            tuple(ndarray, ndarray): kernel [Cout, Cin / groups, 3, 3] and bias [Cout], float64.
        """
        kernel, bias = fold_conv_bn(self.conv1.conv, self.conv1.bn)
        small, small_bias = fold_conv_bn(self.conv2.conv, self.conv2.bn)
        alpha = 1.0 if self.alpha is None else float(self.alpha.astype("float64"))
        kernel = kernel + alpha * pad_kernel(small, 3)
        bias = bias + alpha * small_bias
        if self.identity is not None:
            scale, shift = bn_scale_shift(self.identity)
            conv = self.conv1.conv
            copy = identity_kernel(conv._out_channels, conv._groups, 3)
            kernel = kernel + copy * scale[:, None, None, None]
            bias = bias + shift
        return kernel, bias

    @paddle.no_grad()
    def convert_to_deploy(self):
        """Replaces the branches by their one convolution; a second call does nothing."""
        fuse_branches(self, ("conv1", "conv2", "identity", "alpha"))
