"""A branch that learns with anchors beside an anchor-free head, in training only."""

import numpy as np
import paddle
import paddle.nn as nn
import paddle.nn.functional as F

from ..anchors import anchor_points
from ..assigners import TALLabelAssigner
from ..constants import constants
from ..losses import varifocal_loss
from .anchor_free import BOX_BIAS, CLASS_BIAS, prediction_convs
from .positives import Positives

# Three a level, width and height in input pixels, coarsest level first: those of YOLOv5 and YOLOv6.
ANCHORS = {
    32: ((116, 90), (185, 185), (373, 326)),
    16: ((30, 61), (59, 59), (59, 119)),
    8: ((10, 13), (19, 19), (33, 23)),
}
# An anchor-free cell has one prediction, here it has three: more of them may learn a gt.
TOPK = 26


def _repeated(anchors, cells):
    """[A * cells, 2] float32: width and height of each of A anchors, for all cells together."""
    return np.repeat(np.float32(anchors), cells, axis=0)


class AnchorAidedBranch(nn.Layer):
    """Predicts, from the maps of the anchor-free branch, a box for each of three anchors a cell.

    A centre is the cell's point plus what is predicted, in cells; a size is ``(2 sigmoid(p))^2`` times the
    anchor's. The assigner is TAL throughout.

    Args:
        in_channels (list[int]): of each level's two maps, coarsest first.
        num_classes (int): C.
        fpn_strides (list[int]): of each level, input pixels; keys of ``ANCHORS``.
        offset (float): place of a cell's point, in cells.
        iou_loss (callable): of ``IOU_LOSSES``.

    Raises:
        ValueError: a stride without anchors.

    Source: YOLOv6 v3.0, arXiv:2301.05586, section 2.2.
    """

    def __init__(self, in_channels, num_classes, fpn_strides, offset, iou_loss):
        super().__init__()
        unknown = [stride for stride in fpn_strides if stride not in ANCHORS]
        if unknown:
            raise ValueError(
                f"anchor_aided: no anchors are known for stride {unknown[0]}, only for {sorted(ANCHORS)}; "
                "set anchor_aided: false"
            )
        self.num_classes, self.fpn_strides, self.offset = num_classes, tuple(fpn_strides), offset
        self.iou_loss = iou_loss
        self.anchors = [
            tuple((width / stride, height / stride) for width, height in ANCHORS[stride])
            for stride in fpn_strides
        ]
        count = len(self.anchors[0])
        self.pred_cls = prediction_convs(in_channels, count * num_classes, CLASS_BIAS, 1)
        self.pred_reg = prediction_convs(in_channels, count * 4, BOX_BIAS, 1)
        self.assigner = TALLabelAssigner(topk=TOPK, alpha=1.0, beta=6.0)

    def forward(self, maps, targets, class_weight=None):
        """The branch's losses.

        Args:
            maps (list): pairs of a level's maps for classes and boxes, each [B, C_i, h, w].
            targets (dict): as :meth:`AnchorFreeHead.forward` takes them.
            class_weight (Tensor | None): as :class:`Positives` takes it.

        Returns:
            dict: 'loss_cls' and 'loss_iou', [] float32.
        """
        logits, boxes, points, strides, counts = self._predictions(maps)
        with paddle.no_grad():
            truth = targets["gt_class"], targets["gt_bbox"], targets["pad_gt_mask"]
            assigned = self.assigner(
                F.sigmoid(logits),
                boxes * strides,
                points * strides,
                counts,
                *truth,
                bg_index=self.num_classes,
            )[:3]
        positives = Positives(assigned, points, strides, self.num_classes, class_weight)
        loss_cls = positives.class_loss(varifocal_loss, logits)
        loss_iou = boxes.sum() * 0.0
        if positives.count:
            loss_iou = positives.weighted(self.iou_loss(positives.rows(boxes), positives.boxes))
        return {"loss_cls": loss_cls, "loss_iou": loss_iou}

    def _predictions(self, maps):
        """Logits [B, L, C], boxes [B, L, 4] in cells, points [L, 2] in cells, strides [L, 1], a level's L."""
        parts = []
        for level, ((class_map, box_map), stride) in enumerate(zip(maps, self.fpn_strides)):
            points, _, (cells,) = anchor_points([class_map], [stride], self.offset)
            count = len(self.anchors[level])
            logits = self._rows(self.pred_cls[level](class_map), count)
            raw = self._rows(self.pred_reg[level](box_map), count)
            points = points.tile([count, 1])
            (anchors,) = constants(_repeated, self.anchors[level], cells)
            sizes = (2 * F.sigmoid(raw[..., 2:])) ** 2 * anchors
            centres = points + raw[..., :2]
            boxes = paddle.concat([centres - sizes / 2, centres + sizes / 2], axis=-1)
            parts.append((logits, boxes, points, paddle.full([count * cells, 1], float(stride))))
        logits, boxes, points, strides = zip(*parts)
        counts = [part.shape[0] for part in points]
        return (
            paddle.concat(logits, axis=1),
            paddle.concat(boxes, axis=1),
            paddle.concat(points),
            paddle.concat(strides),
            counts,
        )

    @staticmethod
    def _rows(outputs, count):
        """[B, count * K, h, w] to [B, count * h * w, K] float32, an anchor's cells together."""
        batch, channels = outputs.shape[:2]
        rows = outputs.astype("float32").reshape([batch, count, channels // count, -1])
        return rows.transpose([0, 1, 3, 2]).reshape([batch, -1, channels // count])
