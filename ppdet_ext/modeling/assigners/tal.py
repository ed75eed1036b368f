"""Task-aligned label assignment."""

import numpy as np
import paddle
from paddle import nn
from ppdet.core.workspace import register

from ..boxes import iou, is_inside, is_near_center, pairwise_iou, planes
from ..lazy_boxes import LazyBoxes
from .common import (
    CHUNK,
    anchor_strides,
    apply_as_dense,
    as_float32,
    build_targets,
    check_gts,
    check_mode,
    dense_mask,
    empty_targets,
    is_per_image,
    resolve_claims,
    resolve_mask,
)

__all__ = ["TALLabelAssigner"]

SCORES = ("normalized", "alignment")
_IOU_EPS = 1e-9


def _power(values, exponent):
    # x ** 1 is x to the last bit, in Paddle's kernels too.
    return values if exponent == 1 else values.pow(exponent)


@register
class TALLabelAssigner(nn.Layer):
    """Task-aligned assignment (TOOD, section 3.3), equal to ppdet's TaskAlignedAssigner.

    Each gt takes the `topk` candidates of largest alignment `score ** alpha * iou ** beta`; an
    anchor that several gts take goes to the gt that its predicted box overlaps most.

    Args:
        topk: anchors a gt takes; all of them where there are fewer.
        alpha, beta: exponents of the class score and of the IoU.
        eps: added to the largest alignment of a gt before dividing by it.
        center_radius: None for candidates inside the box alone; r to add the anchors in the
            square of half side `r * stride` around the centre of the box.
        score: 'normalized' scales a gt's alignments to its largest IoU; 'alignment' is the
            alignment itself.
        mode: 'per_image' for CPUs, 'batch' for GPUs, 'auto' for what suits the place of the gts.
            The result is the same.
    """

    def __init__(
        self, topk=13, alpha=1.0, beta=6.0, eps=1e-9, center_radius=None, score="normalized", mode="auto"
    ):
        super().__init__()
        if topk < 1:
            raise ValueError(f"topk: {topk}, but a gt takes at least 1 anchor")
        if score not in SCORES:
            raise ValueError(f"score: no such value {score!r}; choose one of {', '.join(SCORES)}")
        self.topk = topk
        self.alpha = alpha
        self.beta = beta
        self.eps = eps
        self.center_radius = center_radius
        self.score = score
        self.mode = check_mode(mode)

    def reads_few_boxes(self, gt_bboxes):
        """Whether of the predicted boxes only those at points inside gts will be read."""
        return is_per_image(self.mode, gt_bboxes)

    @paddle.no_grad()
    def forward(
        self,
        pred_scores,
        pred_bboxes,
        anchor_points,
        num_anchors_list,
        gt_labels,
        gt_bboxes,
        pad_gt_mask,
        bg_index,
        gt_scores=None,
        stride_tensor=None,
    ):
        """Assigns gts to anchors. Boxes are xyxy, in one unit throughout (input pixels).

        Args:
            pred_scores: `[B, L, C]` float32, probabilities.
            pred_bboxes: `[B, L, 4]` float32, or LazyBoxes where :meth:`reads_few_boxes` says so.
            anchor_points: `[L, 2]` float32, xy.
            num_anchors_list: anchors a level.
            gt_labels: `[B, n, 1]` int32 or int64. gt_bboxes: `[B, n, 4]` float32.
            pad_gt_mask: `[B, n, 1]` float32, 0 where a row is padding. n may be 0.
            bg_index: the label of an unassigned anchor.
            gt_scores: not used, as in ppdet.
            stride_tensor: `[L, 1]` float32, for `center_radius`; read off the points if None.

        Returns:
            `labels: [B, L]`, `boxes: [B, L, 4]`, `scores: [B, L, C]`, `mask: [B, n, L]` float32.

        Raises:
            ValueError: shapes of the gts that don't fit.
        """
        check_gts(gt_labels, gt_bboxes, pad_gt_mask)
        batch, num_anchors, num_classes = pred_scores.shape
        num_gts = gt_bboxes.shape[1]
        if num_gts == 0:
            return empty_targets(batch, num_anchors, 0, gt_labels.dtype, bg_index, num_classes)
        radius = None
        if self.center_radius is not None:
            if stride_tensor is None:
                stride_tensor = anchor_strides(anchor_points, num_anchors_list)
            radius = stride_tensor.flatten() * self.center_radius
        pred_scores = as_float32(pred_scores)
        if not isinstance(pred_bboxes, LazyBoxes):
            pred_bboxes = as_float32(pred_bboxes)
        assign = self._per_image if is_per_image(self.mode, gt_bboxes) else self._batch
        gt_index, positive, soft, mask = assign(
            pred_scores, pred_bboxes, anchor_points, radius, gt_labels, gt_bboxes, pad_gt_mask
        )
        return build_targets(gt_index, positive, soft, gt_labels, gt_bboxes, bg_index, num_classes, mask)

    def _batch(self, pred_scores, pred_bboxes, anchor_points, radius, gt_labels, gt_bboxes, pad_gt_mask):
        batch, num_anchors, _ = pred_scores.shape
        num_gts = gt_bboxes.shape[1]
        image = paddle.arange(batch, dtype="int64").unsqueeze(-1).expand([batch, num_gts])
        index = paddle.stack([image, gt_labels.squeeze(-1).astype("int64")], axis=-1)
        alignment = _power(paddle.gather_nd(pred_scores.transpose([0, 2, 1]), index), self.alpha)
        ious = pairwise_iou(gt_bboxes, pred_bboxes, _IOU_EPS)
        alignment = alignment * _power(ious, self.beta)

        x, y = anchor_points[:, 0], anchor_points[:, 1]
        gts = planes(gt_bboxes.unsqueeze(2))
        candidate = is_inside(x, y, gts)
        if radius is not None:
            candidate = candidate | is_near_center(x, y, gts, radius)
        candidate = candidate.astype("float32") * pad_gt_mask

        top = paddle.topk(alignment * candidate, min(self.topk, num_anchors), axis=-1)[1]
        claims = paddle.zeros_like(candidate).put_along_axis_(
            top, paddle.take_along_axis(candidate, top, axis=-1), axis=-1
        )
        del candidate, top
        gt_index, positive = resolve_mask(claims, ious)
        del claims

        mask = dense_mask(gt_index, positive, num_gts)
        chosen = gt_index.unsqueeze(1)
        soft = paddle.take_along_axis(alignment, chosen, axis=1).squeeze(1)
        if self.score == "normalized":
            largest = (alignment * mask).max(axis=-1)
            largest_iou = (ious * mask).max(axis=-1)
            soft = soft / (paddle.take_along_axis(largest, gt_index, axis=1) + self.eps)
            soft = soft * paddle.take_along_axis(largest_iou, gt_index, axis=1)
        return gt_index, positive, soft * positive.astype("float32"), mask

    def _per_image(self, pred_scores, pred_bboxes, anchor_points, radius, gt_labels, gt_bboxes, pad_gt_mask):
        boxes, gts = LazyBoxes.of(pred_bboxes), gt_bboxes.numpy()
        labels, real = gt_labels.numpy()[..., 0], pad_gt_mask.numpy()[..., 0] > 0
        x, y = anchor_points.numpy().T.copy()
        radius = None if radius is None else radius.numpy()
        shape = (*real.shape, len(x))
        # The largest input stays where it is; it is read at the candidates only.
        num_classes, pred_scores = pred_scores.shape[-1], pred_scores.reshape([-1])

        def align(image, gt, anchor):
            """Alignment and IoU of gts with anchors of their image, all `[P]`, in order."""
            flat = (image * shape[1] + gt) * shape[2] + anchor
            ious = iou(planes(gts[image, gt]), planes(boxes.at(image, anchor)), _IOU_EPS)
            if not len(flat):
                return ious, ious
            index = (image * shape[2] + anchor) * num_classes + labels[image, gt]
            scores = paddle.gather(pred_scores, paddle.to_tensor(index)).numpy()
            scores, powers = (
                values
                if exponent == 1
                else apply_as_dense(lambda tensor, e=exponent: tensor.pow(e), values, shape, flat)
                for values, exponent in ((scores, self.alpha), (ious, self.beta))
            )
            return scores * powers, ious

        images, rows = np.nonzero(real)
        claims = [(np.zeros(0, "int64"),) * 3]
        for start in range(0, len(rows), CHUNK):
            image, row = images[start : start + CHUNK], rows[start : start + CHUNK]
            chunk = planes(gts[image, row][:, None])
            candidate = is_inside(x, y, chunk)
            if radius is not None:
                candidate |= is_near_center(x, y, chunk, radius)
            local, anchor = np.nonzero(candidate)
            # Top-k sees whole rows of zeros and alignments: which of equal ones it takes
            # depends on all of them.
            metric = np.zeros(candidate.shape, "float32")
            metric[local, anchor] = align(image[local], row[local], anchor)[0]
            top = paddle.topk(paddle.to_tensor(metric), min(self.topk, shape[2]), axis=-1)[1]
            top = top.numpy()
            local, rank = np.nonzero(np.take_along_axis(candidate, top, axis=1))
            claims.append((image[local], row[local], top[local, rank]))
        # Boxes are compared where anchors are claimed, and these have been looked at.
        owner = resolve_claims(*map(np.concatenate, zip(*claims)), gts, real, boxes.array(), _IOU_EPS)

        image, anchor = np.nonzero(owner >= 0)
        gt = owner[image, anchor]
        order = np.lexsort((anchor, gt, image))
        image, gt, anchor = image[order], gt[order], anchor[order]
        soft, ious = align(image, gt, anchor)
        if self.score == "normalized":
            largest, largest_iou = np.zeros((2, *real.shape), "float32")
            np.maximum.at(largest, (image, gt), soft)
            np.maximum.at(largest_iou, (image, gt), ious)
            soft = soft / (largest[image, gt] + np.float32(self.eps)) * largest_iou[image, gt]
        dense = np.zeros(owner.shape, "float32")
        dense[image, anchor] = soft
        return (paddle.to_tensor(owner.clip(0)), paddle.to_tensor(owner >= 0), paddle.to_tensor(dense), None)
