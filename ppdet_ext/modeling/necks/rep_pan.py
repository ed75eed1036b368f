"""YOLOv6's necks: top-down, then bottom-up, with stages of re-parameterisable blocks."""

import paddle
import paddle.nn as nn
from ppdet.core.workspace import register, serializable

from ppdet_ext.nn import (
    YOLOV6_BATCH_NORM,
    BepC3,
    BiFusion,
    ConvNormAct,
    RepStack,
    block_builder,
    set_batch_norm,
)

from ..parts import Part
from ..scaling import scale_depth, scale_width_by_8
from .pyramid import Pyramid

__all__ = ["RepBiFPAN", "RepPAN"]


@register
@serializable
class RepPAN(Pyramid):
    """The neck of YOLOv6 2.0: a transposed convolution upsamples, concatenation joins.

    .. code-block:: text

        C5 -- 1x1 ------------------------------------+-- concat -- stage --> stride 32
               | transposed 2x2                       ^ 3x3 /2
        C4 -- concat -- stage -- 1x1 -----------------+-- concat -- stage --> stride 16
                                  | transposed 2x2    ^ 3x3 /2
        C3 -------------------- concat -- stage ------+---------------------> stride 8

    Feature maps leave in this order: coarsest first.

    Args:
        in_channels (list[int]): of the incoming maps, finest first; set from the backbone.
        in_strides (list[int] | None): of the incoming maps; set from the backbone.
        lateral_channels (list[int]): behind each 1x1, coarsest first, before ``width_mult``.
        out_channels (list[int]): of each level, coarsest first, before ``width_mult``; rounded up to 8.
        blocks (int): blocks of a stage, before ``depth_mult``.
        act (str): of the convolutions between stages.
        rep_block (str): kind of a stage's blocks, see :class:`EfficientRep`.
        stage_act (str): of the stages.
        csp_expansion (float | None): makes BepC3 stages, with paths of so much of the stage's width; null
            makes rows of blocks.
        width_mult, depth_mult (float): shared with the backbone.

    Source: YOLOv6, arXiv:2209.02976, figure 2.
    """

    __shared__ = ["width_mult", "depth_mult"]

    # Maps beside the level's own that the joining reads.
    finer = 0

    def __init__(
        self,
        in_channels=(256, 512, 1024),
        in_strides=None,
        lateral_channels=(256, 128),
        out_channels=(512, 256, 128),
        blocks=12,
        act="relu",
        rep_block="repvgg",
        stage_act="relu",
        csp_expansion=None,
        width_mult=1.0,
        depth_mult=1.0,
    ):
        super().__init__()
        name = type(self).__name__
        levels = len(out_channels)
        if len(lateral_channels) != levels - 1 or lateral_channels[-1] != out_channels[-1]:
            raise ValueError(
                f"{name}: lateral_channels {list(lateral_channels)} and out_channels {list(out_channels)}, "
                "both coarsest first: one lateral less than outputs, and the last of both is one map"
            )
        if len(in_channels) != levels + self.finer:
            raise ValueError(
                f"{name}: {levels} levels need {levels + self.finer} feature maps, not {len(in_channels)}; "
                "set the backbone's return_idx"
            )
        if in_strides and any(2 * finer != coarser for finer, coarser in zip(in_strides, in_strides[1:])):
            raise ValueError(
                f"{name}: feature maps of strides {list(in_strides)}, where each has to be twice the one "
                "before; set the backbone's return_idx"
            )
        incoming = list(in_channels)[::-1]
        lateral = scale_width_by_8(lateral_channels, width_mult)
        out = scale_width_by_8(out_channels, width_mult)
        (depth,) = scale_depth([blocks], depth_mult)
        block = block_builder(rep_block, stage_act)

        def stage(cin, cout):
            if csp_expansion is None:
                return RepStack(cin, cout, depth, block)
            return BepC3(cin, cout, depth, csp_expansion, block, stage_act)

        self.reduce, self.join, self.top_down = nn.LayerList(), nn.LayerList(), nn.LayerList()
        width = incoming[0]
        for i, wanted in enumerate(lateral):
            self.reduce.append(ConvNormAct(width, wanted, 1, act=act))
            join, joined = self._make_join(incoming[i + 1 : i + 2 + self.finer], wanted, act)
            self.join.append(join)
            self.top_down.append(stage(joined, wanted))
            width = wanted
        self.down, self.bottom_up = nn.LayerList(), nn.LayerList()
        for wanted, aside in zip(out[-2::-1], lateral[::-1]):
            self.down.append(ConvNormAct(width, width, 3, 2, act=act))
            self.bottom_up.append(stage(width + aside, wanted))
            width = wanted
        self._channels = out
        self._strides = list(in_strides)[::-1][:levels] if in_strides else [None] * levels
        set_batch_norm(self, **YOLOV6_BATCH_NORM)

    def _make_join(self, channels, width, act):
        """A layer that joins a map of ``width`` with those of ``channels``, coarsest first, and its width."""
        return nn.Conv2DTranspose(width, width, 2, stride=2), width + channels[0]

    def _join(self, level, coarser, maps):
        """What ``join[level]`` makes of them."""
        return paddle.concat([self.join[level](coarser), maps[0]], axis=1)

    def forward(self, feats, for_mot=False):
        """Fuses the feature maps.

        Args:
            feats (list[Tensor]): ``[B, C_i, H / s_i, W / s_i]``, finest first.
            for_mot (bool): accepted because PaddleDetection's architectures pass it; has no effect.

        Returns:
            list[Tensor]: one map a level, coarsest first.
        """
        feats = feats[::-1]
        x = feats[0]
        lateral = []
        for i, (reduce, stage) in enumerate(zip(self.reduce, self.top_down)):
            x = reduce(x)
            lateral.append(x)
            x = stage(self._join(i, x, feats[i + 1 : i + 2 + self.finer]))
        out = [x]
        for down, stage, aside in zip(self.down, self.bottom_up, lateral[::-1]):
            x = stage(paddle.concat([down(x), aside], axis=1))
            out.append(x)
        return out[::-1]

    def parts(self):
        """The nodes of the way down, then of the way up (list[Part]).

        A node of the way down ends with the 1x1 that the way up and the next node read.
        """
        incoming = len(self.reduce) + 1 + self.finer
        nodes = [Part("down", (self.reduce[0],), (incoming - 1,))]
        for i, (join, stage) in enumerate(zip(self.join, self.top_down)):
            coarsest = incoming - 2 - i
            reads = (*range(coarsest, coarsest - 1 - self.finer, -1), incoming + i)
            nodes.append(Part("down", (join, stage, *self.reduce[i + 1 : i + 2]), reads))
        for i, (down, stage) in enumerate(zip(self.down, self.bottom_up)):
            aside = incoming + len(self.reduce) - 1 - i
            nodes.append(Part("up", (down, stage), (aside, incoming + len(nodes) - 1)))
        return nodes


@register
@serializable
class RepBiFPAN(RepPAN):
    """The neck of YOLOv6 3.0: BiFusion joins three levels; it reads one map more, C2.

    .. code-block:: text

        C5 -- 1x1 ------------------------------------------+-- concat -- stage --> stride 32
               |                                            ^ 3x3 /2
        C4 -- BiFusion (and C3) -- stage -- 1x1 ------------+-- concat -- stage --> stride 16
                                             |              ^ 3x3 /2
        C3 ------------------------------- BiFusion -- stage ---------------------> stride 8
        C2 --------------------------------- |

    Feature maps leave in this order: coarsest first.

    Args: as :class:`RepPAN`.

    Source: YOLOv6 v3.0, arXiv:2301.05586, figure 2.
    """

    finer = 1

    def _make_join(self, channels, width, act):
        return BiFusion(channels, width, act), width

    def _join(self, level, coarser, maps):
        return self.join[level](coarser, *maps)
