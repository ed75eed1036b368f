"""RepOptimizer: a plain block that learns as RepVGG's branches would, and the search for their scales."""

import weakref
from functools import partial

import numpy as np
import paddle
import paddle.nn as nn
import paddle.nn.functional as F
from paddle import ParamAttr
from paddle.nn.initializer import Constant
from paddle.regularizer import L2Decay
from paddle.utils import unique_name

from .conv import ConvNormAct, batch_norm, conv2d
from .fusion import fold_bn, fold_conv_bn, identity_kernel, pad_kernel, weight_array
from .rep_base import RepBlock

NOT_SET = (
    "rep_block: repopt trains with the scales of a search; give YOLODetector.rep_scales the .pdparams of a "
    "run with rep_block: repopt_search, or load a checkpoint of a run with rep_block: repopt"
)
SCALED = "every branch has a scale a channel"


def _sum_of_branches(dense, small, scales, groups):
    """The kernel [Cout, Cin / groups, 3, 3] that equals scaled branches.

    Args:
        dense, small (ndarray): kernels [Cout, Cin / groups, 3, 3] and [Cout, Cin / groups, 1, 1].
        scales (list[ndarray | None]): [Cout] each: of the 3x3, the 1x1 and the identity branch, if any.
        groups (int): of the branches.
    """
    dense_scale, small_scale, copy_scale = (
        None if scale is None else np.asarray(scale, np.float64)[:, None, None, None] for scale in scales
    )
    kernel = dense * dense_scale + pad_kernel(small * small_scale, 3)
    if copy_scale is not None:
        kernel = kernel + identity_kernel(len(kernel), groups, 3) * copy_scale
    return kernel


class ChannelScale(nn.Layer):
    """A learnable factor a channel, 1 at the start: ``[B, C, H, W]`` to the same. Key: ``scale`` [C].

    Args:
        channels (int): C.
        decay (bool): False exempts the factors from weight decay, as a BatchNorm's scale.
    """

    def __init__(self, channels, decay=False):
        super().__init__()
        regularizer = None if decay else L2Decay(0.0)
        self.scale = self.create_parameter(
            [channels], attr=ParamAttr(initializer=Constant(1.0), regularizer=regularizer)
        )

    def forward(self, x):
        return x * self.scale.reshape([1, -1, 1, 1])


class ScaledConv(ChannelScale):
    """A convolution without bias, times a learnable factor a channel. Keys: ``conv.weight``, ``scale``.

    Args:
        in_channels, out_channels (int): Cin, Cout.
        kernel_size, stride, groups, dilation (int), padding_mode (str): as :class:`ConvNormAct`.
    """

    def __init__(
        self,
        in_channels,
        out_channels,
        kernel_size,
        stride=1,
        groups=1,
        dilation=1,
        padding_mode="zeros",
    ):
        super().__init__(out_channels)
        self.conv = conv2d(in_channels, out_channels, kernel_size, stride, groups, dilation, padding_mode)

    def forward(self, x):
        return super().forward(self.conv(x))


class RepOptSearchBlock(RepBlock):
    r"""The block of a search: what its scales have learnt is what :class:`RepOptBlock` trains with.

    .. code-block:: text

        x --+-- 3x3 conv, scale --------------+
            +-- 1x1 conv, scale --------------+--> sum --> BN --> act    deployed: x --> 3x3 conv --> act
            +-- scale, if ``identity`` -------+

    Constructor, shapes and deployed form are :class:`RepVGGBlock`'s; the training form's keys are
    ``conv1.conv.weight`` and ``conv1.scale`` (3x3), ``conv2.conv.weight`` and ``conv2.scale`` (1x1),
    ``identity.scale`` and ``bn.*``; scales are [Cout].

    Every scale starts at 1. The authors start the convolutions' at 1 in the first block of a stage and at
    sqrt(2 / i) in the i-th after it, which keeps the variance of a long chain of identities from growing; a
    block here does not know its place, few have an identity, and without one the BatchNorm after the sum
    takes a common factor away again.

    Args: see :class:`RepBlock`; ``alpha`` is refused.

    Source: RepOptimizer, arXiv:2205.15242 (the hyper-search model of RepOpt-VGG); weight decay of the scales
    and their start from DingXiaoH/RepOptimizers (MIT), commit 2e45ff5.
    """

    branches = ("conv1", "conv2", "identity", "bn")
    no_alpha = SCALED

    def _make_branches(
        self, in_channels, out_channels, stride, groups, dilation, identity, alpha, padding_mode, bn
    ):
        self.conv1 = ScaledConv(in_channels, out_channels, 3, stride, groups, dilation, padding_mode)
        self.conv2 = ScaledConv(in_channels, out_channels, 1, stride, groups)
        # It decays as a kernel does: it stands for a trainable depthwise 1x1 convolution.
        self.identity = ChannelScale(in_channels, decay=True) if identity else None
        self.bn = batch_norm(out_channels, bn["bn_epsilon"], bn["bn_momentum"])

    def _run_branches(self, x):
        y = self.conv1(x) + self.conv2(x)
        return self.bn(y if self.identity is None else y + self.identity(x))

    def equivalent_kernel_bias(self):
        branches = (self.conv1, self.conv2, self.identity)
        scales = [None if branch is None else branch.scale.numpy() for branch in branches]
        dense, small = weight_array(self.conv1.conv), weight_array(self.conv2.conv)
        return fold_bn(_sum_of_branches(dense, small, scales, self.conv1.conv._groups), None, self.bn)


class RepOptBlock(RepBlock):
    r"""One 3x3 convolution that SGD trains as if it were three branches with constant scales.

    .. code-block:: text

        x --> 3x3 conv, BN --> act              deployed: x --> 3x3 conv --> act

    A 3x3 kernel, a 1x1 kernel and an identity, times constants s3, s1 and 1 a channel and summed, are one
    linear map, and what steps of SGD do to its kernel is what they do to the plain kernel with the gradient
    times a mask: s3^2 everywhere, s1^2 more in the centre, and 1 more in the centre of a channel's own
    kernel where there is an identity (which counts as a trainable depthwise 1x1 convolution). That holds
    with momentum and weight decay. It does not with Adam, and not quite with gradient clipping.

    No fused branch leaves outliers in this kernel: it is what has been trained, and INT8 takes it well.

    Constructor, shapes and deployed form are :class:`RepVGGBlock`'s; the training form's keys are
    ``conv1.conv.weight``, ``conv1.bn.*`` and the buffer ``scales`` [3, Cout], out of which the mask is made.
    Its rows are s3, s1 and 1, or all 0: not set, by :meth:`set_scales` or a checkpoint. The row of ones also
    tells by how much an average over training steps has scaled the buffer.

    Args: see :class:`RepBlock`; ``alpha`` is refused.

    Raises:
        ValueError: in training, the scales are not set.

    Source: RepOptimizer, arXiv:2205.15242, section 3; DingXiaoH/RepOptimizers (MIT), commit 2e45ff5.
    """

    branches = ("conv1", "scales")
    no_alpha = SCALED

    def _make_branches(
        self, in_channels, out_channels, stride, groups, dilation, identity, alpha, padding_mode, bn
    ):
        self.conv1 = ConvNormAct(
            in_channels, out_channels, 3, stride, groups, dilation, padding_mode=padding_mode, **bn
        )
        self.has_identity = identity
        self.register_buffer("scales", paddle.zeros([3, out_channels], paddle.get_default_dtype()))
        self.not_set = NOT_SET  # the error of a training without scales; who knows more says more
        self._checked = False
        self._hook_gradient()

    def _run_branches(self, x):
        if self.training and paddle.in_dynamic_mode():
            self._check_scales()
        return self.conv1(x)

    def _check_scales(self):
        if not self._checked:  # once: to look at values makes a GPU wait
            if not bool((self.scales[2] > 0).all()):
                raise ValueError(self.not_set)
            self._checked = True

    def _hook_gradient(self):
        weight = self.conv1.conv.weight
        if not weight.stop_gradient:
            # A weak reference: through Paddle's part of the parameter, Python finds no cycle to collect.
            weight.register_hook(partial(_masked, weakref.ref(self)))

    def __setstate__(self, state):
        """Of a deep copy, whose kernel is another parameter, without the hook."""
        super().__setstate__(state)
        if not self.deployed:
            self._hook_gradient()

    @paddle.no_grad()
    def gradient_mask(self):
        """What the kernel's gradient is multiplied by: [Cout, Cin / groups, 3, 3], at least float32.

        Raises:
            ValueError: the scales are not set.
        """
        self._check_scales()
        conv = self.conv1.conv
        scales = self.scales
        if scales.dtype != paddle.float64:
            scales = scales.astype("float32")  # squares would leave float16's range
        dense, small = ((scales[:2] / scales[2]) ** 2).reshape([2, -1, 1, 1, 1])
        rows, columns = conv.weight.shape[:2]
        centre = small.expand([rows, columns, 1, 1])
        if self.has_identity:
            own = F.one_hot(paddle.arange(rows) % columns, columns).astype(scales.dtype)
            centre = centre + own.reshape([rows, columns, 1, 1])
        return dense + F.pad(centre, [1, 1, 1, 1])

    @paddle.no_grad()
    def set_scales(self, dense, small, identity=None):
        """Takes the scales of a search, and a fresh kernel: that of fresh branches with these scales.

        Args:
            dense, small (ndarray): [Cout], of the 3x3 and the 1x1 branch.
            identity (ndarray | None): [Cout], of the identity; None where the block has none. It is where a
                trainable branch starts, so it is in the kernel; its constant scale, in the mask, is 1.
        """
        conv = self.conv1.conv
        shape = conv._in_channels, conv._out_channels
        with unique_name.guard():  # an optimizer's checkpoint goes by names: these take none
            fresh = [nn.Conv2D(*shape, size, groups=conv._groups, bias_attr=False) for size in (3, 1)]
        kernels = [weight_array(branch) for branch in fresh]
        kernel = _sum_of_branches(*kernels, (dense, small, identity), conv._groups)
        conv.weight.set_value(kernel.astype(conv.weight.numpy().dtype))
        scales = np.stack([dense, small, np.ones(len(kernel))])
        self.scales.set_value(scales.astype(self.scales.numpy().dtype))

    def equivalent_kernel_bias(self):
        return fold_conv_bn(self.conv1.conv, self.conv1.bn)


def _masked(block, gradient):
    """The gradient of a block's kernel as its optimizer is to see it."""
    mask = block().gradient_mask()
    return (gradient.astype(mask.dtype) * mask).astype(gradient.dtype)
