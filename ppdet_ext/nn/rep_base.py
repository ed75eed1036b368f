"""What re-parameterisable blocks share: one constructor, one deployed form."""

import paddle
import paddle.nn as nn

from .activation import build_activation
from .conv import conv2d
from .fusion import conv_like


class RepBlock(nn.Layer):
    """Branches in training, one 3x3 convolution deployed: ``[B, Cin, H, W] -> [B, Cout, H / s, W / s]``.

    A subclass makes its branches, runs them and says which one convolution equals them. ``conv1.conv`` has
    the geometry of that convolution; deployed, the keys are ``conv.weight`` and ``conv.bias``.

    Args:
        in_channels, out_channels (int): Cin, Cout.
        stride, groups, dilation (int): of the 3x3 branch; the others follow.
        identity (bool): with an identity branch where shapes allow (Cin = Cout, stride 1).
        alpha (bool): a learnable weight on the 1x1 branch, where the block takes one.
        act (str | None | nn.Layer): at the end.
        padding_mode (str): zeros, reflect, replicate or circular.
        deploy (bool): build the deployed form at once.
        bn_epsilon, bn_momentum (float): of every BatchNorm.

    Raises:
        ValueError: ``alpha``, where the block takes none.
    """

    # The attributes that the fused convolution replaces.
    branches = ()
    # Why the block takes no alpha; None where it does.
    no_alpha = None

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
        if alpha and self.no_alpha:
            raise ValueError(
                f"{type(self).__name__}: no alpha, since {self.no_alpha}; set use_alpha: false or rep_block: "
                "repvgg"
            )
        self.act = build_activation(act)
        self.deployed = deploy
        if deploy:
            self.conv = conv2d(
                in_channels, out_channels, 3, stride, groups, dilation, padding_mode, bias=True
            )
            return
        self._make_branches(
            in_channels,
            out_channels,
            stride=stride,
            groups=groups,
            dilation=dilation,
            identity=identity and in_channels == out_channels and stride == 1,
            alpha=alpha,
            padding_mode=padding_mode,
            bn={"bn_epsilon": bn_epsilon, "bn_momentum": bn_momentum},
        )

    def _make_branches(
        self, in_channels, out_channels, stride, groups, dilation, identity, alpha, padding_mode, bn
    ):
        """Makes the training form; ``identity`` is whether there is one, ``bn`` are options of a norm."""
        raise NotImplementedError

    def _run_branches(self, x):
        """The training form, without the activation."""
        raise NotImplementedError

    def equivalent_kernel_bias(self):
        """The one convolution that equals the training form in evaluation.

        Returns:
            tuple(ndarray, ndarray): kernel [Cout, Cin / groups, 3, 3] and bias [Cout], float64.
        """
        raise NotImplementedError

    def forward(self, x):
        return self.act(self.conv(x) if self.deployed else self._run_branches(x))

    @paddle.no_grad()
    def convert_to_deploy(self):
        """Replaces the training form by its one convolution; a second call does nothing."""
        if self.deployed:
            return
        self.conv = conv_like(self.conv1.conv, *self.equivalent_kernel_bias())
        for branch in self.branches:
            delattr(self, branch)
        self.deployed = True
