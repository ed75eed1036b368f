"""One node of a BiFPN: maps are brought to one shape, added with weights and convolved."""

import paddle.nn as nn

from ppdet_ext.nn import ConvNormAct, SameMaxPool2D, SeparableConv2D, SeparableConvNormAct, WeightedFusion
from ppdet_ext.nn.activation import build_activation
from ppdet_ext.nn.conv import batch_norm
from ppdet_ext.nn.fusion import conv_like, fold_conv_bn
from ppdet_ext.nn.resize import upsample_like


class Resample(nn.Layer):
    """An edge: ``[B, Cin, h, w]`` to the width and the level of the node that reads it.

    A 1x1 convolution with bias and BatchNorm (``project``) where the widths differ, before everything else.
    Then max-pooling with SAME padding, or nearest-neighbour upsampling to a given size.

    Args:
        in_channels, out_channels (int): Cin, Cout.
        steps (int): levels upwards; 2 makes the map four times smaller, -1 twice as large.
    """

    def __init__(self, in_channels, out_channels, steps):
        super().__init__()
        self.project = None
        if in_channels != out_channels:
            self.project = ConvNormAct(in_channels, out_channels, 1, bias=True)
        # Windows overlap by a pixel, whatever the stride.
        self.pool = SameMaxPool2D(2**steps + 1, 2**steps) if steps > 0 else None
        self.upsamples = steps < 0
        self.factor = 1.0

    def forward(self, x, reference=None):
        """Resamples x; where that is upsampling, to the size of ``reference`` [B, *, H, W]."""
        if self.project is not None:
            x = self.project(x)
        if self.pool is not None:
            x = self.pool(x)
        if self.factor != 1.0:
            x = x * self.factor  # where the map is smallest
        return upsample_like(x, reference) if self.upsamples else x

    def scale(self, factor):
        """Multiplies what the edge gives by a constant from now on.

        For nothing where a projection can take it into its BatchNorm, which is folded in its turn; but not
        past pooling, which a negative factor would turn into a minimum.
        """
        if factor == 1.0:
            return
        if self.project is None or self.pool is not None:
            self.factor = factor
            return
        for parameter in (self.project.bn.weight, self.project.bn.bias):
            parameter.set_value(parameter * factor)


class ActConvNorm(nn.Layer):
    """Activation, 3x3 convolution, BatchNorm: ``[B, C, H, W] -> [B, C, H, W]``.

    Args:
        channels (int): C.
        act (str): see :func:`build_activation`.
        separable (bool): :class:`SeparableConv2D`, else a dense convolution with bias.
    """

    def __init__(self, channels, act, separable):
        super().__init__()
        self.act = build_activation(act)
        if separable:
            self.conv = SeparableConv2D(channels, channels, 3)
        else:
            self.conv = nn.Conv2D(channels, channels, 3, padding=1)
        self.bn = batch_norm(channels)

    def forward(self, x):
        x = self.conv(self.act(x))
        return x if self.bn is None else self.bn(x)

    def convert_to_deploy(self):
        """Folds the BatchNorm into the convolution before it; a second call does nothing."""
        if self.bn is None:
            return
        if isinstance(self.conv, SeparableConv2D):
            pointwise = self.conv.pointwise
            self.conv.pointwise = conv_like(pointwise, *fold_conv_bn(pointwise, self.bn))
        else:
            self.conv = conv_like(self.conv, *fold_conv_bn(self.conv, self.bn))
        self.bn = None


class FusionNode(nn.Layer):
    """Reads some of a cell's maps and makes one of ``[B, C, H, W]``.

    Args:
        inputs (tuple[int]): numbers of the maps that it reads; of one map, nothing is fused.
        in_channels (list[int]): of each of these.
        steps (list[int]): levels from each of these up to the node's.
        place (int): number of a map that has the node's height and width.
        channels (int): C.
        fusion (str): see :class:`WeightedFusion`.
        act (str): activation.
        separable (bool): a depthwise-separable convolution, else a dense one.
        norm_each (bool): depthwise convolution, norm, pointwise convolution, norm, activation; else as
            :class:`ActConvNorm`.
    """

    def __init__(self, inputs, in_channels, steps, place, channels, fusion, act, separable, norm_each):
        super().__init__()
        self.inputs, self.place = inputs, place
        self.edges = nn.LayerList([Resample(cin, channels, up) for cin, up in zip(in_channels, steps)])
        self.fuse = WeightedFusion(len(inputs), fusion) if len(inputs) > 1 else None
        if norm_each:
            self.block = (SeparableConvNormAct if separable else ConvNormAct)(channels, channels, 3, act=act)
        else:
            self.block = ActConvNorm(channels, act, separable)

    def forward(self, maps):
        """Makes the node's map from those of the cell so far (list[Tensor])."""
        reference = maps[self.place]
        maps = [edge(maps[number], reference) for edge, number in zip(self.edges, self.inputs)]
        return self.block(maps[0] if self.fuse is None else self.fuse(maps))

    def weights(self):
        """The weight of each edge (list[float])."""
        return [1.0] if self.fuse is None else self.fuse.weights()

    def convert_to_deploy(self):
        """Moves the weights into the edges, as constants; a second call does nothing."""
        if self.fuse is not None:
            for edge, factor in zip(self.edges, self.fuse.hand_out()):
                edge.scale(factor)
