"""YOLOv6's backbones: RepVGG blocks in a row, or in cross-stage-partial stages."""

import paddle.nn as nn
from ppdet.core.workspace import register, serializable

from ppdet_ext.nearest import choice
from ppdet_ext.nn import SPP_BLOCKS, YOLOV6_BATCH_NORM, BepC3, RepStack, block_builder, set_batch_norm

from ..scaling import scale_depth, scale_width_by_8
from .staged import StagedBackbone

__all__ = ["CSPBepBackbone", "EfficientRep"]


class RepBackbone(StagedBackbone):
    """What both backbones are; arguments as there.

    Args:
        stage (callable): (width, blocks, block) -> what follows the first block of a stage.
    """

    def __init__(self, layers, channels, act, return_idx, spp, rep_block, width_mult, depth_mult, stage):
        super().__init__()
        self._check_stages(layers, channels, return_idx)
        if spp not in SPP_BLOCKS:
            raise ValueError(f"{type(self).__name__}: unknown spp '{spp}'; {choice(spp, SPP_BLOCKS)}")
        widths = scale_width_by_8(channels, width_mult)
        block = block_builder(rep_block, act)
        self.return_idx = list(return_idx)
        self.stem = block(3, widths[0], 2)
        self.stages = nn.LayerList(
            [
                nn.Sequential(("down", block(cin, cout, 2)), ("body", stage(cout, blocks, block)))
                for cin, cout, blocks in zip(widths, widths[1:], scale_depth(layers, depth_mult))
            ]
        )
        pool, pool_act = SPP_BLOCKS[spp]
        self.stages[-1].add_sublayer("spp", pool(widths[-1], pool_act))
        self._channels = widths[1:]
        set_batch_norm(self, **YOLOV6_BATCH_NORM)


@register
@serializable
class EfficientRep(RepBackbone):
    """A stem, then stages of RepVGG blocks, each of stride 2; pooling at the end.

    .. code-block:: text

        image -- stem /2 -- stage 0 /4 -- stage 1 /8 -- stage 2 /16 -- stage 3 /32, SPP

    A sixth width makes the P6 form, with a stage of stride 64 that has the SPP.

    Args:
        layers (list[int]): blocks of each stage, before ``depth_mult``; a first block of stride 2 is extra.
        channels (list[int]): the stem's and each stage's width, before ``width_mult``; rounded up to 8.
        act (str): of the blocks.
        return_idx (list[int]): stages whose output is returned, from 0.
        spp (str): a key of ``SPP_BLOCKS``.
        rep_block (str): kind of the blocks: 'repvgg', or 'qarepvgg' and the RepOptimizer's kinds for INT8;
            'conv' is a plain convolution.
        width_mult, depth_mult (float): shared with the neck.

    Source: YOLOv6, arXiv:2209.02976 and arXiv:2301.05586.
    """

    __shared__ = ["width_mult", "depth_mult"]

    def __init__(
        self,
        layers=(6, 12, 18, 6),
        channels=(64, 128, 256, 512, 1024),
        act="relu",
        return_idx=(0, 1, 2, 3),
        spp="SimCSPSPPF",
        rep_block="repvgg",
        width_mult=1.0,
        depth_mult=1.0,
    ):
        def row(width, blocks, block):
            return RepStack(width, width, blocks, block)

        super().__init__(layers, channels, act, return_idx, spp, rep_block, width_mult, depth_mult, row)


@register
@serializable
class CSPBepBackbone(RepBackbone):
    """EfficientRep with BepC3 stages, for the larger sizes.

    Args:
        csp_expansion (float): width of each path of a stage over the stage's.
        The others: as :class:`EfficientRep`; ``layers`` counts 3x3 blocks, two in each BottleRep.
    """

    __shared__ = ["width_mult", "depth_mult"]

    def __init__(
        self,
        layers=(6, 12, 18, 6),
        channels=(64, 128, 256, 512, 1024),
        act="relu",
        return_idx=(0, 1, 2, 3),
        spp="SimSPPF",
        rep_block="repvgg",
        width_mult=1.0,
        depth_mult=1.0,
        csp_expansion=0.5,
    ):
        def partial(width, blocks, block):
            return BepC3(width, width, blocks, csp_expansion, block, act)

        super().__init__(layers, channels, act, return_idx, spp, rep_block, width_mult, depth_mult, partial)
