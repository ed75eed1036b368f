"""PP-YOLOE's backbone."""

import paddle.nn as nn
from ppdet.core.workspace import register, serializable

from ppdet_ext.nn import ConvNormAct, CSPRepStage
from ppdet_ext.nn.activation import build_activation

from ..scaling import scale_depth, scale_width
from .staged import StagedBackbone

__all__ = ["CSPRepResNet"]


@register
@serializable
class CSPRepResNet(StagedBackbone):
    """A stem of stride 2, then CSP stages of RepVGG residual blocks, each of stride 2.

    .. code-block:: text

        image -- stem /2 -- stage 0 /4 -- stage 1 /8 -- stage 2 /16 -- stage 3 /32

    State-dict keys and shapes are those of PaddleDetection's CSPResNet.

    Args:
        layers (list[int]): blocks of each stage, before ``depth_mult``.
        channels (list[int]): the stem's and each stage's width, before ``width_mult``.
        act (str): activation.
        return_idx (list[int]): stages whose output is returned, from 0.
        depth_wise (bool): depthwise-separable convolutions in the blocks.
        use_large_stem (bool): a stem of three convolutions rather than two.
        width_mult, depth_mult (float): shared with the neck.
        trt (bool): spell swish as two ops.
        use_checkpoint (bool): recompute each stage in the backward pass: less memory, more time.
        use_alpha (bool): learnable weight on the 1x1 branches (PP-YOLOE+).
        ese (str): 'stage' (PP-YOLOE), 'block' (a gate in each block) or 'none'.
        use_rep (bool): False replaces RepVGG blocks by plain convolutions.
        rep_block (str): of RepVGG blocks: 'repvgg', or 'qarepvgg' for INT8 (without ``use_alpha``).

    Source: PP-YOLOE, arXiv:2203.16250, section 2.2.
    """

    __shared__ = ["width_mult", "depth_mult", "trt"]

    def __init__(
        self,
        layers=(3, 6, 6, 3),
        channels=(64, 128, 256, 512, 1024),
        act="swish",
        return_idx=(1, 2, 3),
        depth_wise=False,
        use_large_stem=True,
        width_mult=1.0,
        depth_mult=1.0,
        trt=False,
        use_checkpoint=False,
        use_alpha=False,
        ese="stage",
        use_rep=True,
        rep_block="repvgg",
    ):
        super().__init__()
        self._check_stages(layers, channels, return_idx)
        widths = scale_width(channels, width_mult)
        depths = scale_depth(layers, depth_mult)
        half = widths[0] // 2
        self.use_checkpoint = use_checkpoint
        self.return_idx = list(return_idx)

        def activation():
            return build_activation(act, trt)

        stem = [("conv1", ConvNormAct(3, half, 3, 2, act=activation()))]
        if use_large_stem:
            stem.append(("conv2", ConvNormAct(half, half, 3, act=activation())))
        stem.append((f"conv{len(stem) + 1}", ConvNormAct(half, widths[0], 3, act=activation())))
        self.stem = nn.Sequential(*stem)
        self.stages = nn.LayerList(
            [
                CSPRepStage(
                    widths[i],
                    widths[i + 1],
                    depths[i],
                    act=activation(),
                    ese=ese,
                    alpha=use_alpha,
                    rep=use_rep,
                    depthwise=depth_wise,
                    rep_block=rep_block,
                )
                for i in range(len(depths))
            ]
        )
        self._channels = widths[1:]
