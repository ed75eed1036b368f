"""What the anchor-free heads share: decoding, assignment and loss."""

import paddle
import paddle.nn as nn
import paddle.nn.functional as F
from paddle import ParamAttr
from paddle.nn.initializer import Constant

from ..anchors import anchor_points, boxes_to_distances, distances_to_boxes, grid_boxes
from ..lazy_boxes import LazyBoxes
from ..losses import CLASSIFICATION_LOSSES, IOU_LOSSES, LossWeights, distribution_focal_loss
from .dense import CLASS_BIAS, DenseHead
from .positives import Positives
from .rows import level_rows

# Published.
LOSS_WEIGHT = {"class": 1.0, "iou": 2.5, "dfl": 0.5}
# Distances of one cell.
BOX_BIAS = 1.0
# A target must lie strictly below the last bin to have a right neighbour.
LAST_BIN_MARGIN = 0.01


def prediction_convs(in_channels, out_channels, bias, kernel_size=3):
    """One convolution a level, which predicts ``bias`` everywhere until it has learnt."""
    return nn.LayerList(
        [
            nn.Conv2D(
                channels,
                out_channels,
                kernel_size,
                padding=kernel_size // 2,
                weight_attr=ParamAttr(initializer=Constant(0.0)),
                bias_attr=ParamAttr(initializer=Constant(bias)),
            )
            for channels in in_channels
        ]
    )


class AnchorFreeHead(DenseHead):
    """Base of the heads that predict, at each cell, class scores and distances to a box's four sides.

    A subclass draws its branches and runs them in ``_branches``; everything else stands here.

    Args:
        in_channels (list[int]): of each level.
        num_classes (int): C.
        fpn_strides (list[int]): of each level, input pixels.
        grid_cell_scale, grid_cell_offset (float): size of a cell's box and place of its point, in cells.
        reg_max (int): distances are the mean of a distribution over 0..reg_max cells; 0 predicts them
            directly (no DFL).
        static_assigner_epoch (int): the static assigner works before this epoch.
        use_varifocal_loss (bool): False takes the focal loss.
        iou_loss (str): a key of ``IOU_LOSSES``.
        static_assigner, assigner: label assigners, called as PaddleDetection's ATSSAssigner and
            TaskAlignedAssigner; where one is null, the other works from the first epoch to the last.
        nms: PaddleDetection's MultiClassNMS or the like, used by :meth:`post_process`.
        loss_weight (dict | None): 'class', 'iou' and 'dfl'; the published 1, 2.5 and 0.5 by default. A value
            may move with the epoch, ``iou: {from: 0, to: 2}``, see :func:`weight_at`.
        exclude_nms, exclude_post_process (bool): PaddleDetection's switches for its own exporter.
        kernel_size (int): of the convolutions that predict.
        epoch (int): of the whole training; shared with the config's.

    Attributes: ``loss_weight`` (dict), in the epoch of the last batch.
    """

    class_layers = ("pred_cls", "anchor_aided.pred_cls")
    shifted_softmax = False  # for an engine whose softmax overflows (export/graph.py)

    def __init__(
        self,
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
        kernel_size=3,
        epoch=300,
    ):
        super().__init__(in_channels, num_classes, fpn_strides, nms, exclude_nms, exclude_post_process)
        if iou_loss not in IOU_LOSSES:
            raise ValueError(f"{type(self).__name__}: iou_loss '{iou_loss}' is none of {sorted(IOU_LOSSES)}")
        if static_assigner is None and assigner is None:
            raise ValueError(f"{type(self).__name__}: static_assigner and assigner are both null; name one")
        self.grid_cell_scale = grid_cell_scale
        self.grid_cell_offset = grid_cell_offset
        self.reg_max = reg_max
        self.reg_channels = reg_max + 1
        self.static_assigner_epoch = static_assigner_epoch
        self.static_assigner = static_assigner
        self.assigner = assigner
        self.cls_loss = CLASSIFICATION_LOSSES["varifocal" if use_varifocal_loss else "focal"]
        self.iou_loss = IOU_LOSSES[iou_loss]
        self._loss_weights = LossWeights(type(self).__name__, LOSS_WEIGHT, loss_weight, epoch)
        self.loss_weight = self._loss_weights.at(0)
        self.pred_cls = prediction_convs(in_channels, num_classes, CLASS_BIAS, kernel_size)
        self.pred_reg = prediction_convs(in_channels, 4 * self.reg_channels, BOX_BIAS, kernel_size)
        if reg_max:
            self.proj_conv = nn.Conv2D(self.reg_channels, 1, 1, bias_attr=False)
            bins = paddle.arange(self.reg_channels, dtype="float32")
            self.proj_conv.weight.set_value(bins.reshape([1, -1, 1, 1]))
            self.proj_conv.weight.stop_gradient = True
            self.proj_conv.skip_quant = True

    def _branches(self, level, feat):
        """What one level's classes and boxes are predicted from: two maps [B, C_i, h, w]."""
        raise NotImplementedError

    def _predict(self, level, class_map, box_map):
        """Class logits [B, C, h, w] and box outputs [B, 4 * bins, h, w] of one level."""
        return self.pred_cls[level](class_map), self._box_convs()[level](box_map)

    def _box_convs(self):
        """The convolutions that predict boxes, one a level."""
        return self.pred_reg

    def predict_level(self, level, feat):
        return self._predict(level, *self._branches(level, feat))

    def forward(self, feats, targets=None):
        """Losses in training, raw outputs in evaluation.

        Args:
            feats (list[Tensor]): ``[B, C_i, h_i, w_i]``, in the order of ``fpn_strides``.
            targets (dict | None): in training: 'gt_class' [B, n, 1] int, 'gt_bbox' [B, n, 4] xyxy input
                pixels, 'pad_gt_mask' [B, n, 1], 'epoch_id' int. n may be 0.

        Returns:
            dict | tuple: in training 'loss', 'loss_cls', 'loss_iou', 'loss_dfl', 'loss_l1' (the last is
            for the log only). In evaluation scores [B, C, L] in [0, 1], distances [B, L, 4] in cells,
            anchor points [L, 2] in cells and strides [L, 1].
        """
        self._check_count(feats)
        maps = [self._branches(level, feat) for level, feat in enumerate(feats)]
        outputs = [self._predict(level, *pair) for level, pair in enumerate(maps)]
        points, strides, counts = anchor_points(feats, self.fpn_strides, self.grid_cell_offset)
        if self.training:
            if self._loss_weights.moving:
                self.loss_weight = self._loss_weights.at(int(targets["epoch_id"]))
            logits, regression = map(level_rows, zip(*outputs))
            losses, positives = self._loss(logits, regression, points, strides, counts, targets)
            return self._with_auxiliary(losses, maps, outputs, positives, targets)
        # Levels are joined first, so that a deployed graph has one sigmoid and one softmax. By reshape, since
        # Paddle Lite's optimizer dies of flatten; with the channels told, no shape is left to compute.
        scores = F.sigmoid(paddle.concat([c.reshape([0, self.num_classes, -1]) for c, _ in outputs], axis=-1))
        regression = paddle.concat([r.reshape([0, r.shape[1], -1]) for _, r in outputs], axis=-1)
        return scores, self._map_distances(regression), points, strides

    def _map_distances(self, regression):
        """[B, 4 * bins, L] to distances [B, L, 4] in cells."""
        if regression.shape[1] != 4:
            bins = regression.reshape([0, 4, self.reg_channels, -1]).transpose([0, 2, 1, 3])
            if self.shifted_softmax:
                bins = bins - bins.max(axis=1, keepdim=True)
            regression = self.proj_conv(F.softmax(bins, axis=1)).reshape([0, 4, -1])
        return regression.transpose([0, 2, 1])

    def _distances(self, regression):
        """[..., 4 * bins] to distances [..., 4] in cells."""
        if regression.shape[-1] == 4:
            return regression
        bins = F.softmax(regression.reshape([*regression.shape[:-1], 4, self.reg_channels]))
        # Not a matrix product, which mixed precision would do in half precision.
        return (bins * self.proj_conv.weight.flatten()).sum(-1)

    @paddle.no_grad()
    def _assign(self, logits, regression, points, strides, counts, targets):
        """Labels [B, L], boxes [B, L, 4] in pixels and soft scores [B, L, C] of every cell."""
        is_static = self._is_static(targets)
        assigner = self.static_assigner if is_static else self.assigner
        boxes = self._assigners_boxes(assigner, regression, points, strides, targets)
        points = points * strides
        truth = targets["gt_class"], targets["gt_bbox"], targets["pad_gt_mask"]
        if is_static:
            anchors = grid_boxes(points, strides, self.grid_cell_scale)
            assigned = self.static_assigner(
                anchors, counts, *truth, bg_index=self.num_classes, pred_bboxes=boxes
            )
        else:
            scores = F.sigmoid(logits)
            assigned = self.assigner(scores, boxes, points, counts, *truth, bg_index=self.num_classes)
        return assigned[:3]

    def _assigners_boxes(self, assigner, regression, points, strides, targets):
        """The predicted boxes [B, L, 4] in pixels, each when it is read where the assigner can do so."""
        reads_few = getattr(assigner, "reads_few_boxes", None)
        if reads_few is None or not reads_few(targets["gt_bbox"]):
            return distances_to_boxes(points, self._distances(regression)) * strides
        return LazyBoxes.of_rows(regression, self._distances, points, strides)

    def _is_static(self, targets):
        if self.assigner is None or self.static_assigner is None:
            return self.assigner is None
        return targets["epoch_id"] < self.static_assigner_epoch

    def _loss(self, logits, regression, points, strides, counts, targets):
        assigned = self._assign(logits, regression, points, strides, counts, targets)
        positives = Positives(assigned, points, strides, self.num_classes, self.class_weight)
        balance = 0.25 if self._is_static(targets) else -1.0
        loss_cls = positives.class_loss(self.cls_loss, logits, epoch_alpha=balance)
        if positives.count:
            loss_iou, loss_dfl, loss_l1 = self._box_losses(positives.rows(regression), positives)
        else:
            # Keeps the regression branch in the graph, which a distributed run waits for.
            loss_iou = loss_dfl = regression.sum() * 0.0
            loss_l1 = paddle.zeros([])
        weight = self.loss_weight
        loss = weight["class"] * loss_cls + weight["iou"] * loss_iou + weight["dfl"] * loss_dfl
        losses = {
            "loss": loss,
            "loss_cls": loss_cls,
            "loss_iou": loss_iou,
            "loss_dfl": loss_dfl,
            "loss_l1": loss_l1,
        }
        return losses, positives

    def _with_auxiliary(self, losses, maps, outputs, positives, targets):
        """Losses with those of branches, or of a teacher, that only training has.

        Args:
            losses (dict): what :meth:`forward` returns in training.
            maps (list): of :meth:`_branches`, one a level.
            outputs (list): of :meth:`_predict`, one a level.
            positives (Positives): of this head's own assignment.
            targets (dict): the batch, as :meth:`forward` takes it.
        """
        return losses

    def _box_losses(self, regression, positives):
        """IoU, DFL and L1 losses of the positives' box outputs [P, 4 * bins]."""
        predicted = distances_to_boxes(positives.points, self._distances(regression))
        loss_iou = positives.weighted(self.iou_loss(predicted, positives.boxes))
        loss_l1 = F.l1_loss(predicted.detach(), positives.boxes)
        if not self.reg_max:
            return loss_iou, paddle.zeros([]), loss_l1
        goals = boxes_to_distances(positives.points, positives.boxes, self.reg_max - LAST_BIN_MARGIN)
        bins = regression.reshape([-1, 4, self.reg_channels])
        return loss_iou, positives.weighted(distribution_focal_loss(bins, goals)), loss_l1

    def keep_distributions(self):
        """Drops what is not needed to teach another network, whatever its training had."""

    def decode(self, outputs):
        scores, distances, points, strides = outputs
        return distances_to_boxes(points, distances) * strides, scores
