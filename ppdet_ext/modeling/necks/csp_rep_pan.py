"""PP-YOLOE's neck."""

import paddle
import paddle.nn as nn
from ppdet.core.workspace import register, serializable

from ppdet_ext.nn import ConvNormAct, CSPStage, DropBlock
from ppdet_ext.nn.activation import build_activation
from ppdet_ext.nn.resize import upsample_like

from ..parts import Part
from ..scaling import scale_depth, scale_width
from .pyramid import Pyramid

__all__ = ["CSPRepPAN"]


@register
@serializable
class CSPRepPAN(Pyramid):
    """Top-down then bottom-up fusion with CSP stages of RepVGG blocks.

    .. code-block:: text

        C5 -- stage --------------------------+------- concat -- stage --> stride 32
                        | 1x1, up             ^ 3x3 /2
        C4 -- concat -- stage ----------------+------- concat -- stage --> stride 16
                        | 1x1, up             ^ 3x3 /2
        C3 -- concat -- stage ----------------+-------------------------> stride 8

    Feature maps leave in this order: coarsest first. State-dict keys and shapes are those of
    PaddleDetection's CustomCSPPAN.

    Args:
        in_channels (list[int]): of the incoming maps, finest first; set from the backbone.
        in_strides (list[int] | None): of the incoming maps; set from the backbone.
        out_channels (list[int]): coarsest first, before ``width_mult``.
        act (str): activation.
        stage_num (int): CSP stages in a row at each node.
        block_num (int): blocks of a CSP stage, before ``depth_mult``.
        drop_block (bool), block_size (int), keep_prob (float): DropBlock after each node.
        spp (bool): an SPP in the coarsest top-down stage.
        width_mult, depth_mult (float): shared with the backbone.
        use_alpha (bool): learnable weight on the 1x1 branches.
        trt (bool): spell swish as two ops.
        ese (str): 'block' gates each block's output, 'none' does not.
        use_rep (bool): False replaces RepVGG blocks by plain convolutions.
        depth_wise (bool): depthwise-separable convolutions in the blocks.
        rep_block (str): of RepVGG blocks: 'repvgg', or 'qarepvgg' for INT8 (without ``use_alpha``).

    Source: PP-YOLOE, arXiv:2203.16250, section 2.2.
    """

    __shared__ = ["width_mult", "depth_mult", "trt"]

    def __init__(
        self,
        in_channels=(256, 512, 1024),
        in_strides=None,
        out_channels=(768, 384, 192),
        act="swish",
        stage_num=1,
        block_num=3,
        drop_block=False,
        block_size=3,
        keep_prob=0.9,
        spp=True,
        width_mult=1.0,
        depth_mult=1.0,
        use_alpha=False,
        trt=False,
        ese="none",
        use_rep=True,
        depth_wise=False,
        rep_block="repvgg",
    ):
        super().__init__()
        if len(in_channels) != len(out_channels):
            raise ValueError(
                f"CSPRepPAN: {len(in_channels)} feature maps come in but out_channels has "
                f"{len(out_channels)} entries; give one for each, coarsest first"
            )
        widths = scale_width(out_channels, width_mult)
        (blocks,) = scale_depth([block_num], depth_mult)
        self._channels = widths
        self._strides = list(in_strides)[::-1] if in_strides else [None] * len(widths)

        def conv(cin, cout, kernel_size, stride=1):
            return ConvNormAct(cin, cout, kernel_size, stride, act=build_activation(act, trt))

        def node(cin, cout, with_spp=False):
            layers = nn.Sequential()
            for j in range(stage_num):
                stage = CSPStage(
                    cin if j == 0 else cout,
                    cout,
                    blocks,
                    act=build_activation(act, trt),
                    spp=with_spp,
                    alpha=use_alpha,
                    rep=use_rep,
                    ese=ese == "block",
                    depthwise=depth_wise,
                    rep_block=rep_block,
                )
                layers.add_sublayer(str(j), stage)
            if drop_block:
                layers.add_sublayer("drop", DropBlock(block_size, keep_prob))
            return layers

        coarse_first = list(in_channels)[::-1]
        levels = len(widths)
        self.fpn_stages = nn.LayerList()
        self.fpn_routes = nn.LayerList()
        for i in range(levels):
            extra = widths[i - 1] // 2 if i else 0
            self.fpn_stages.append(node(coarse_first[i] + extra, widths[i], spp and i == 0))
            if i < levels - 1:
                self.fpn_routes.append(conv(widths[i], widths[i] // 2, 1))
        self.pan_stages = nn.LayerList()
        self.pan_routes = nn.LayerList()
        for i in range(levels - 1):
            self.pan_routes.append(conv(widths[i + 1], widths[i + 1], 3, 2))
            self.pan_stages.append(node(widths[i] + widths[i + 1], widths[i]))

    def forward(self, feats, for_mot=False):
        """Fuses the feature maps.

        Args:
            feats (list[Tensor]): ``[B, C_i, H / s_i, W / s_i]``, finest first.
            for_mot (bool): accepted because PaddleDetection's PPYOLOE passes it; has no effect.

        Returns:
            list[Tensor]: one map a level, coarsest first.
        """
        down = []
        x = None
        for i, feat in enumerate(feats[::-1]):
            if i:
                x = upsample_like(self.fpn_routes[i - 1](x), feat)
                feat = paddle.concat([x, feat], axis=1)
            x = self.fpn_stages[i](feat)
            down.append(x)
        up = [x]
        for i in reversed(range(len(down) - 1)):
            x = self.pan_stages[i](paddle.concat([self.pan_routes[i](x), down[i]], axis=1))
            up.append(x)
        return up[::-1]

    def parts(self):
        """The nodes of the way down, then of the way up (list[Part])."""
        levels = len(self.fpn_stages)
        nodes = [Part("down", (self.fpn_stages[0],), (levels - 1,))]
        for i, route in enumerate(self.fpn_routes):
            reads = (levels - 2 - i, levels + i)
            nodes.append(Part("down", (route, self.fpn_stages[i + 1]), reads))
        for i in reversed(range(levels - 1)):
            reads = (levels + i, levels + len(nodes) - 1)
            nodes.append(Part("up", (self.pan_routes[i], self.pan_stages[i]), reads))
        return nodes
