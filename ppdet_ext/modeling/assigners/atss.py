"""Adaptive training sample selection."""

import numpy as np
import paddle
from paddle import nn
from ppdet.core.workspace import register

from ..boxes import iou, is_inside, pairwise_iou, planes
from ..lazy_boxes import LazyBoxes
from .common import (
    CHUNK,
    apply_as_dense,
    as_float32,
    build_targets,
    check_gts,
    check_mode,
    empty_targets,
    is_per_image,
    resolve_claims,
    resolve_mask,
)

__all__ = ["ATSSLabelAssigner"]

_ANCHOR_IOU_EPS = 1e-10
_PRED_IOU_EPS = 1e-9
# Relative gap of squared distances above which no rounding of a norm can swap them: single
# precision errs by 1e-7 an operation, and five operations are at most between them.
_CLEAR_GAP = 1e-5


def _centers(boxes):
    """`boxes: [..., 4]` xyxy -> `[..., 2]` xy, for tensors and arrays."""
    return (boxes[..., :2] + boxes[..., 2:]) / 2


@register
class ATSSLabelAssigner(nn.Layer):
    """ATSS (Zhang et al. 2020, algorithm 1), equal to ppdet's ATSSAssigner.

    Each gt takes the `topk` anchors of each level whose centres are nearest to its own, keeps
    those whose IoU exceeds mean + standard deviation of them all, and of these those whose centre
    it holds. An anchor that several gts keep goes to the gt that it overlaps most.

    Args:
        topk: candidates a gt and level; all of a level where there are fewer.
        num_classes: C of the scores.
        force_gt_matching: give every gt the anchor of its largest IoU, unless two gts share it.
        eps: kept for ppdet's configs, not used.
        mode: 'per_image' for CPUs, 'batch' for GPUs, 'auto' for what suits the place of the gts.
            The result is the same.
    """

    __shared__ = ["num_classes"]

    def __init__(self, topk=9, num_classes=80, force_gt_matching=False, eps=1e-9, mode="auto"):
        super().__init__()
        if topk < 1:
            raise ValueError(f"topk: {topk}, but a gt takes at least 1 anchor")
        self.topk = topk
        self.num_classes = num_classes
        self.force_gt_matching = force_gt_matching
        self.eps = eps
        self.mode = check_mode(mode)

    def reads_few_boxes(self, gt_bboxes):
        """Whether of the predicted boxes only those of positives will be read."""
        return is_per_image(self.mode, gt_bboxes)

    @paddle.no_grad()
    def forward(
        self,
        anchor_bboxes,
        num_anchors_list,
        gt_labels,
        gt_bboxes,
        pad_gt_mask,
        bg_index,
        gt_scores=None,
        pred_bboxes=None,
    ):
        """Assigns gts to anchors. Boxes are xyxy, in one unit throughout (input pixels).

        Args:
            anchor_bboxes: `[L, 4]` float32.
            num_anchors_list: anchors a level.
            gt_labels: `[B, n, 1]` int32 or int64. gt_bboxes: `[B, n, 4]` float32.
            pad_gt_mask: `[B, n, 1]` float32, 0 where a row is padding. n may be 0.
            bg_index: the label of an unassigned anchor.
            gt_scores: `[B, n, 1]` float32 or None: scores where `pred_bboxes` is None.
            pred_bboxes: `[B, L, 4]` float32 or None: scores are the IoU of these with the gts. May be
                LazyBoxes where :meth:`reads_few_boxes` says so.

        Returns:
            `labels: [B, L]`, `boxes: [B, L, 4]`, `scores: [B, L, C]`, `mask: [B, n, L]` float32.

        Raises:
            ValueError: shapes of the gts, or sizes of the levels, that don't fit.
        """
        check_gts(gt_labels, gt_bboxes, pad_gt_mask)
        num_anchors = anchor_bboxes.shape[0]
        if sum(num_anchors_list) != num_anchors:
            raise ValueError(
                f"num_anchors_list: {list(num_anchors_list)} adds up to "
                f"{sum(num_anchors_list)}, but there are {num_anchors} anchors"
            )
        batch, num_gts = gt_bboxes.shape[:2]
        if num_gts == 0:
            return empty_targets(batch, num_anchors, 0, gt_labels.dtype, bg_index, self.num_classes)
        assign = self._per_image if is_per_image(self.mode, gt_bboxes) else self._batch
        gt_index, positive = assign(anchor_bboxes, list(num_anchors_list), gt_bboxes, pad_gt_mask)
        soft = positive.astype("float32")
        if isinstance(pred_bboxes, LazyBoxes):
            soft = self._overlap_of_positives(gt_index, positive, gt_bboxes, pred_bboxes)
        elif pred_bboxes is not None:
            soft = soft * self._overlap(gt_index, gt_bboxes, as_float32(pred_bboxes))
        elif gt_scores is not None:
            soft = soft * paddle.take_along_axis(gt_scores.squeeze(-1), gt_index, axis=1)
        return build_targets(gt_index, positive, soft, gt_labels, gt_bboxes, bg_index, self.num_classes)

    @staticmethod
    def _overlap(gt_index, gt_bboxes, pred_bboxes):
        """`[B, L]`: IoU of each predicted box with the gt of its anchor."""
        chosen = [paddle.take_along_axis(plane, gt_index, axis=1) for plane in planes(gt_bboxes)]
        return iou(chosen, planes(pred_bboxes), _PRED_IOU_EPS)

    @staticmethod
    def _overlap_of_positives(gt_index, positive, gt_bboxes, pred_bboxes):
        """The same where `positive: [B, L]`, and 0 elsewhere."""
        image, anchor = np.nonzero(positive.numpy())
        chosen = gt_bboxes.numpy()[image, gt_index.numpy()[image, anchor]]
        overlap = np.zeros(positive.shape, "float32")
        overlap[image, anchor] = iou(planes(chosen), planes(pred_bboxes.at(image, anchor)), _PRED_IOU_EPS)
        return paddle.to_tensor(overlap)

    def _nearest(self, distances, num_anchors_list, extra=0):
        """The `topk + extra` nearest anchors of each level.

        Args:
            distances: `[..., L]`.

        Returns:
            One pair a level, each `[..., k]` and ascending: distances, and int64 indices in L.
        """
        nearest, start = [], 0
        for size, level in zip(num_anchors_list, paddle.split(distances, num_anchors_list, axis=-1)):
            near, top = paddle.topk(level, min(self.topk + extra, size), axis=-1, largest=False)
            nearest.append((near, top + start))
            start += size
        return nearest

    @staticmethod
    def _threshold(ious):
        """Mean and deviation; not by `std`, for which Paddle 3 waits for the device."""
        mean = ious.mean(axis=-1, keepdim=True)
        variance = (ious - mean).square().sum(axis=-1, keepdim=True) / max(ious.shape[-1] - 1, 1)
        return mean + variance.sqrt()

    def _batch(self, anchors, num_anchors_list, gt_bboxes, pad_gt_mask):
        points = _centers(anchors)
        distances = (_centers(gt_bboxes).unsqueeze(2) - points).norm(2, axis=-1)
        nearest = paddle.concat([top for _, top in self._nearest(distances, num_anchors_list)], axis=-1)
        del distances
        ious = pairwise_iou(gt_bboxes, anchors, _ANCHOR_IOU_EPS)
        overlap = paddle.take_along_axis(ious, nearest, axis=-1) * pad_gt_mask
        x, y = (
            paddle.gather(plane, nearest.flatten()).reshape(nearest.shape)
            for plane in (points[:, 0], points[:, 1])
        )
        keep = (overlap > self._threshold(overlap)) & is_inside(x, y, planes(gt_bboxes.unsqueeze(2)))
        claims = paddle.zeros_like(ious).put_along_axis_(
            nearest, keep.astype("float32") * pad_gt_mask, axis=-1
        )
        gt_index, positive = resolve_mask(claims, ious)
        if self.force_gt_matching:
            forced = paddle.zeros_like(ious).put_along_axis_(
                ious.argmax(axis=-1, keepdim=True), pad_gt_mask, axis=-1
            )
            alone = forced.sum(axis=1) == 1
            gt_index = paddle.where(alone, forced.argmax(axis=1), gt_index)
            positive = positive | alone
        return gt_index, positive

    def _per_image(self, anchors, num_anchors_list, gt_bboxes, pad_gt_mask):
        anchors, gts = anchors.numpy(), gt_bboxes.numpy()
        real = pad_gt_mask.numpy()[..., 0] > 0
        points, centers = _centers(anchors), _centers(gts)
        shape = (*real.shape, len(anchors))
        images, rows = np.nonzero(real)
        if not len(rows):
            nothing = np.zeros((shape[0], shape[2]), "int64")
            return paddle.to_tensor(nothing), paddle.to_tensor(nothing > 0)

        nearest = []
        for start in range(0, len(rows), CHUNK):
            image, row = images[start : start + CHUNK], rows[start : start + CHUNK]
            nearest.append(
                self._nearest_anchors(
                    centers[image, row], points, num_anchors_list, image * shape[1] + row, shape
                )
            )
        nearest = np.concatenate(nearest)

        gt = planes(gts[images, rows][:, None])
        # Dense, since the standard deviation's last bit depends on a row's place in the tensor.
        overlap = np.zeros((*real.shape, nearest.shape[1]), "float32")
        overlap[images, rows] = iou(gt, planes(anchors[nearest]), _ANCHOR_IOU_EPS)
        threshold = self._threshold(paddle.to_tensor(overlap)).numpy()
        keep = (overlap > threshold)[images, rows]
        keep &= is_inside(points[nearest, 0], points[nearest, 1], gt)
        row, rank = np.nonzero(keep)
        owner = resolve_claims(
            images[row], rows[row], nearest[row, rank], gts, real, anchors[None], _ANCHOR_IOU_EPS
        )
        if self.force_gt_matching:
            best = np.concatenate(
                [
                    iou(
                        tuple(plane[start : start + CHUNK] for plane in gt), planes(anchors), _ANCHOR_IOU_EPS
                    ).argmax(axis=1)
                    for start in range(0, len(rows), CHUNK)
                ]
            )
            keys, first, count = np.unique(
                images * len(anchors) + best, return_index=True, return_counts=True
            )
            owner.reshape(-1)[keys[count == 1]] = rows[first[count == 1]]
        return paddle.to_tensor(owner.clip(0)), paddle.to_tensor(owner >= 0)

    def _nearest_anchors(self, centers, points, num_anchors_list, dense_rows, shape):
        """`[R, K]` int64 array: the nearest anchors of each level, level after level.

        Squared distances settle a row whose nearest differ clearly. Elsewhere the order hangs on
        the rounding of Paddle's norm and on how its top-k breaks ties, so these two are asked.
        """
        squared = np.square(centers[:, :1] - points[:, 0])
        squared += np.square(centers[:, 1:] - points[:, 1])
        nearest, clear = [], np.ones(len(centers), bool)
        for near, top in self._nearest(paddle.to_tensor(squared), num_anchors_list, extra=1):
            near = near.numpy()
            clear &= (np.diff(near) > _CLEAR_GAP * near[:, 1:]).all(axis=1)
            nearest.append(top[:, : self.topk].numpy())
        nearest = np.concatenate(nearest, axis=1)
        unclear = np.flatnonzero(~clear)
        if len(unclear):
            distances = self._distances(centers[unclear], points, dense_rows[unclear], shape)
            nearest[unclear] = np.concatenate(
                [top.numpy() for _, top in self._nearest(distances, num_anchors_list)], axis=1
            )
        return nearest

    @staticmethod
    def _distances(centers, points, dense_rows, shape):
        """`[R, L]` tensor of distances, with the bits of a dense `[B, n, L]` computation."""
        flat, num_anchors = None, shape[-1]
        offsets = np.empty((len(centers), num_anchors, 2), "float32")
        for axis in range(2):
            np.subtract(centers[:, axis, None], points[:, axis], out=offsets[..., axis])
        if (dense_rows[-1] + 1) * num_anchors > np.prod(shape) - 64:
            flat = (dense_rows[:, None] * num_anchors + np.arange(num_anchors)).reshape(-1)
        distances = apply_as_dense(
            lambda tensor: tensor.norm(2, axis=-1), offsets.reshape(-1, 2), shape, flat
        )
        return paddle.to_tensor(distances.reshape(-1, num_anchors))
