"""YOLOv6's head."""

import paddle.nn as nn
from ppdet.core.workspace import register

from ppdet_ext.nn import YOLOV6_BATCH_NORM, ConvNormAct, block_builder, set_batch_norm

from ..anchors import distances_to_boxes
from .anchor_aided import AnchorAidedBranch
from .anchor_free import BOX_BIAS, AnchorFreeHead, prediction_convs
from .rows import level_rows

__all__ = ["EfficientRepHead"]


@register
class EfficientRepHead(AnchorFreeHead):
    """Decoupled head: a shared stem, a branch of 3x3 blocks for classes and one for boxes.

    .. code-block:: text

        level -- 1x1 stem --+-- blocks -- predict --> C class logits
                            +-- blocks -- predict --> 4 distances, or 4 x (reg_max + 1) bins

    The defaults are YOLOv6 3.0's n and s. Its larger sizes set ``reg_max: 16`` and ``iou_loss: giou``. The
    form with RepVGG blocks in the branches is ``stem: false``, ``branch_block: repvgg``, ``act: relu``,
    ``kernel_size: 3``, ``reg_max: 16``.

    Args:
        stem (bool): False leaves the 1x1 convolution out.
        branch_block (str): 'conv', or a kind of RepVGG block as in :class:`EfficientRep`.
        branch_blocks (int): blocks of each branch.
        act (str): of stem and blocks.
        kernel_size (int): of the convolutions that predict.
        direct_boxes (bool): a second convolution predicts the four distances themselves. Inference uses it,
            and the distributions of ``reg_max`` are for training alone: they are what a teacher can teach.
        anchor_aided (bool): adds, in training only, the branch of :class:`AnchorAidedBranch` and its losses.
        The others: see :class:`AnchorFreeHead`.

    Source: YOLOv6, arXiv:2209.02976 and arXiv:2301.05586.
    """

    __shared__ = ["num_classes", "exclude_nms", "exclude_post_process", "epoch"]
    __inject__ = ["static_assigner", "assigner", "nms"]

    def __init__(
        self,
        in_channels=(512, 256, 128),
        num_classes=80,
        fpn_strides=(32, 16, 8),
        grid_cell_scale=5.0,
        grid_cell_offset=0.5,
        reg_max=0,
        static_assigner_epoch=0,
        use_varifocal_loss=True,
        iou_loss="siou",
        static_assigner="ATSSLabelAssigner",
        assigner="TALLabelAssigner",
        nms="MultiClassNMS",
        loss_weight=None,
        stem=True,
        branch_block="conv",
        branch_blocks=1,
        act="silu",
        kernel_size=1,
        anchor_aided=False,
        direct_boxes=False,
        exclude_nms=False,
        exclude_post_process=False,
        epoch=300,
    ):
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
            kernel_size,
            epoch,
        )
        block = block_builder(branch_block, act)

        def branches():
            return nn.LayerList(
                [nn.Sequential(*[block(c, c) for _ in range(branch_blocks)]) for c in in_channels]
            )

        self.stem = nn.LayerList(
            [ConvNormAct(c, c, 1, act=act) if stem else nn.Identity() for c in in_channels]
        )
        self.branch_cls, self.branch_reg = branches(), branches()
        self.anchor_aided = None
        if anchor_aided:
            self.anchor_aided = AnchorAidedBranch(
                in_channels, num_classes, fpn_strides, grid_cell_offset, self.iou_loss
            )
        self.pred_direct = None
        if direct_boxes:
            if not reg_max:
                raise ValueError(
                    "EfficientRepHead: direct_boxes needs distributions beside it; set reg_max: 16"
                )
            self.pred_direct = prediction_convs(in_channels, 4, BOX_BIAS, kernel_size)
        set_batch_norm(self, **YOLOV6_BATCH_NORM)

    def _branches(self, level, feat):
        feat = self.stem[level](feat)
        return self.branch_cls[level](feat), self.branch_reg[level](feat)

    def _box_convs(self):
        return self.pred_reg if self.pred_direct is None or self.training else self.pred_direct

    def _with_auxiliary(self, losses, maps, outputs, positives, targets):
        added = {}
        if self.pred_direct is not None:
            loss = self._direct_loss([box_map for _, box_map in maps], positives)
            added["loss_direct_iou"] = (self.loss_weight["iou"], loss)
        if self.anchor_aided is not None:
            aided = self.anchor_aided(maps, targets, self.class_weight)
            added["loss_aided_cls"] = (self.loss_weight["class"], aided["loss_cls"])
            added["loss_aided_iou"] = (self.loss_weight["iou"], aided["loss_iou"])
        total = sum((weight * loss for weight, loss in added.values()), losses["loss"])
        return {**losses, "loss": total, **{name: loss for name, (_, loss) in added.items()}}

    def _direct_loss(self, maps, positives):
        """IoU loss of the directly predicted boxes, on the positives of the distributions."""
        distances = level_rows([pred(box_map) for pred, box_map in zip(self.pred_direct, maps)])
        if not positives.count:
            return distances.sum() * 0.0
        predicted = distances_to_boxes(positives.points, positives.rows(distances))
        return positives.weighted(self.iou_loss(predicted, positives.boxes))

    def keep_distributions(self):
        """Drops what is not needed to teach: evaluation gives the distributions of ``reg_max`` then."""
        self.anchor_aided = self.pred_direct = None

    def convert_to_deploy(self):
        """Drops what only training has; a second call does nothing."""
        self.anchor_aided = None
        if self.pred_direct is not None:
            self.pred_reg, self.pred_direct, self.proj_conv = self.pred_direct, None, None
            self.reg_max, self.reg_channels = 0, 1
