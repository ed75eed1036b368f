"""PP-YOLOE's efficient task-aligned head."""

from functools import partial

import paddle.nn as nn
import paddle.nn.functional as F
from paddle import ParamAttr
from paddle.nn.initializer import Normal
from ppdet.core.workspace import register

from ppdet_ext.nn import ConvNormAct, EffectiveSE, rep_block_class
from ppdet_ext.nn.activation import build_activation

from .anchor_free import AnchorFreeHead

__all__ = ["ETHead"]


class GatedStem(nn.Layer):
    """ESE over the level's mean, then a convolution: ``conv(x * sigmoid(fc(mean)))``.

    Args:
        channels (int): C of ``[B, C, H, W]``, in and out.
        act (str): of the convolution.
        ese (bool): False leaves the gate out.
        rep_block (str): the RepVGG block's kind, see :func:`rep_block_class`.
        conv (str): 'conv' for 1x1, 'rep' for a RepVGG block of two branches.
    """

    def __init__(self, channels, act, ese, rep_block="repvgg", conv="conv"):
        super().__init__()
        kind = rep_block_class(rep_block)
        # So small that every gate starts at one half.
        gate_init = ParamAttr(initializer=Normal(std=0.001))
        self.fc = nn.Conv2D(channels, channels, 1, weight_attr=gate_init) if ese else None
        if conv == "rep":
            self.conv = kind(channels, channels, act=act)
        else:
            self.conv = ConvNormAct(channels, channels, 1, act=act)

    def forward(self, x, mean):
        return self.conv(x if self.fc is None else x * F.sigmoid(self.fc(mean)))


class RepStem(nn.Layer):
    """A RepVGG block of three branches, then ESE; arguments as :class:`GatedStem`."""

    def __init__(self, channels, act, ese, rep_block="repvgg"):
        super().__init__()
        self.conv = rep_block_class(rep_block)(channels, channels, identity=True, act=act)
        self.attn = EffectiveSE(channels, gate="sigmoid") if ese else None

    def forward(self, x, mean):
        x = self.conv(x)
        return x if self.attn is None else self.attn(x)


STEMS = {
    "ese_conv": GatedStem,
    "ese_rep": partial(GatedStem, conv="rep"),
    "rep_ese": RepStem,
}


@register
class ETHead(AnchorFreeHead):
    """Decoupled head with ESE stems, DFL and task-aligned assignment.

    .. code-block:: text

        level --+-- stem_cls -- + level -- 3x3 --> C class logits
                +-- stem_reg ------------- 3x3 --> 4 x (reg_max + 1) bins

    State-dict keys and shapes are those of PaddleDetection's PPYOLOEHead, and so are the evaluation
    outputs and the losses.

    Args:
        stem (str): 'ese_conv' (PP-YOLOE: gate, then 1x1), 'ese_rep' (gate, then RepVGG block) or
            'rep_ese' (RepVGG block with identity, then gate).
        act (str): of the stems.
        use_ese (bool): False leaves the gates out.
        rep_block (str): of RepVGG stems: 'repvgg', or 'qarepvgg' for INT8.
        trt (bool): spell swish as two ops, and set the NMS to its TensorRT form.
        The others: see :class:`AnchorFreeHead`.

    Source: PP-YOLOE, arXiv:2203.16250, section 2.2.
    """

    __shared__ = ["num_classes", "trt", "exclude_nms", "exclude_post_process", "epoch"]
    __inject__ = ["static_assigner", "assigner", "nms"]

    def __init__(
        self,
        in_channels=(1024, 512, 256),
        num_classes=80,
        act="swish",
        fpn_strides=(32, 16, 8),
        grid_cell_scale=5.0,
        grid_cell_offset=0.5,
        reg_max=16,
        static_assigner_epoch=100,
        use_varifocal_loss=True,
        iou_loss="giou",
        static_assigner="ATSSLabelAssigner",
        assigner="TALLabelAssigner",
        nms="MultiClassNMS",
        loss_weight=None,
        trt=False,
        stem="ese_conv",
        use_ese=True,
        exclude_nms=False,
        exclude_post_process=False,
        rep_block="repvgg",
        epoch=300,
    ):
        if stem not in STEMS:
            raise ValueError(f"ETHead: stem '{stem}' is none of {sorted(STEMS)}")
        super().__init__(
            in_channels,
            num_classes,
            fpn_strides,
            grid_cell_scale,
            grid_cell_offset,
            reg_max,
            static_assigner_epoch,
            use_varifocal_loss,
            iou_loss,
            static_assigner,
            assigner,
            nms,
            loss_weight,
            exclude_nms,
            exclude_post_process,
            epoch=epoch,
        )
        if trt and hasattr(nms, "trt"):
            nms.trt = True

        def stems():
            return nn.LayerList(
                [STEMS[stem](c, build_activation(act, trt), use_ese, rep_block) for c in in_channels]
            )

        self.stem_cls = stems()
        self.stem_reg = stems()

    def _branches(self, level, feat):
        mean = F.adaptive_avg_pool2d(feat, 1)
        return self.stem_cls[level](feat, mean) + feat, self.stem_reg[level](feat, mean)
