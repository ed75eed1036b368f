"""The RepVGG block: parallel branches in training, one convolution in deployment."""

from paddle import ParamAttr
from paddle.nn.initializer import Constant

from .conv import ConvNormAct, batch_norm
from .fusion import bn_scale_shift, fold_conv_bn, identity_kernel, pad_kernel
from .rep_base import RepBlock


class RepVGGBlock(RepBlock):
    r"""A 3x3 and a 1x1 branch, optionally an identity, summed and activated.

    .. code-block:: text

        x --+-- 3x3 conv, BN ------------------+
            +-- 1x1 conv, BN (times alpha) ----+--> sum --> act        deployed: x --> 3x3 conv --> act
            +-- BN, if ``identity`` -----------+

    Two forms: PP-YOLOE's (3x3 and 1x1, ``alpha`` in PP-YOLOE+) and the classic one of RepVGG
    (``identity=True``, groups, stride). Keys follow PaddleDetection: ``conv1`` (3x3), ``conv2`` (1x1),
    ``alpha`` [1]; the identity's BatchNorm is ``identity``; deployed: ``conv.weight``, ``conv.bias``.

    Args: see :class:`RepBlock`; ``alpha`` is 1 at the start.

    Source: RepVGG, arXiv:2101.03697; PP-YOLOE, arXiv:2203.16250.
    """

    branches = ("conv1", "conv2", "identity", "alpha")

    def _make_branches(
        self, in_channels, out_channels, stride, groups, dilation, identity, alpha, padding_mode, bn
    ):
        self.conv1 = ConvNormAct(
            in_channels, out_channels, 3, stride, groups, dilation, padding_mode=padding_mode, **bn
        )
        self.conv2 = ConvNormAct(in_channels, out_channels, 1, stride, groups, **bn)
        self.identity = batch_norm(in_channels, bn["bn_epsilon"], bn["bn_momentum"]) if identity else None
        self.alpha = self.create_parameter([1], attr=ParamAttr(initializer=Constant(1.0))) if alpha else None

    def _run_branches(self, x):
        small = self.conv2(x)
        y = self.conv1(x) + (small if self.alpha is None else self.alpha * small)
        return y if self.identity is None else y + self.identity(x)

    def equivalent_kernel_bias(self):
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
