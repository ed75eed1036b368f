"""Label assignment by the best overlap of fixed anchors."""

import numpy as np
import paddle
from paddle import nn
from ppdet.core.workspace import register

from ..boxes import iou, planes
from .common import check_mode, is_per_image

__all__ = ["BACKGROUND", "IGNORED", "ArgmaxIoUAssigner"]

BACKGROUND, IGNORED = -1, -2
# Elements of [B, rows, L] compared at once: 64 MB a tensor on GPUs; on CPUs 4 MB, which caches hold.
BATCH_ELEMENTS, IMAGE_ELEMENTS = 2**24, 2**20


@register
class ArgmaxIoUAssigner(nn.Layer):
    """Every anchor looks for the gt that it overlaps most.

    It learns it from an IoU of ``positive_iou`` on, is background below ``negative_iou`` and neither between
    the two. Whatever its IoU, the anchor that a gt overlaps most learns that gt, unless it overlaps none; of
    equal anchors and of gts that claim the same one, the first.

    Args:
        positive_iou (float): up to 1.
        negative_iou (float | None): above 0, up to ``positive_iou``; None is as high, and ignores nothing.
        force_match (bool): False leaves a gt without an anchor where no IoU reaches ``positive_iou``.
        mode (str): 'per_image' for CPUs, 'batch' for GPUs, 'auto' for what suits the place of the gts. The
            result is the same.

    Attributes: ``ignores`` (bool), whether an anchor can be neither of a gt nor background.

    Raises:
        ValueError: thresholds out of range or order, or an unknown mode.

    Source: google/automl 6a54c87, efficientdet/object_detection/argmax_matcher.py, which gives a gt without
    any overlap the first anchor of all, and leaves boxes without area to the reader.
    """

    def __init__(self, positive_iou=0.5, negative_iou=None, force_match=True, mode="auto"):
        super().__init__()
        negative_iou = positive_iou if negative_iou is None else negative_iou
        if not 0 < negative_iou <= positive_iou <= 1:
            raise ValueError(
                f"ArgmaxIoUAssigner: negative_iou {negative_iou} and positive_iou {positive_iou} do not "
                "lie between 0 and 1 in this order; the published ones are both 0.5"
            )
        self.positive_iou, self.negative_iou = positive_iou, negative_iou
        self.ignores = negative_iou < positive_iou
        self.force_match = force_match
        self.mode = check_mode(mode)

    @paddle.no_grad()
    def forward(self, anchors, gt_bboxes, pad_gt_mask):
        """Assigns gts to anchors. Boxes are xyxy, in one unit throughout (input pixels).

        Args:
            anchors: `[L, 4]` float32.
            gt_bboxes: `[B, n, 4]` float32. n may be 0.
            pad_gt_mask: `[B, n, 1]` float32, 0 where a row is padding.

        Returns:
            `[B, L]` int64: the gt of each anchor, BACKGROUND (-1) or IGNORED (-2).

        Raises:
            ValueError: shapes of the gts that don't fit.
        """
        batch, num_gts = gt_bboxes.shape[:2]
        if list(pad_gt_mask.shape) != [batch, num_gts, 1] or gt_bboxes.shape[2] != 4:
            raise ValueError(
                f"ArgmaxIoUAssigner: gt_bboxes {list(gt_bboxes.shape)} and pad_gt_mask "
                f"{list(pad_gt_mask.shape)} are not [B, n, 4] and [B, n, 1]"
            )
        num_anchors = anchors.shape[0]
        if not num_gts:
            return paddle.full([batch, num_anchors], BACKGROUND, dtype="int64")
        compare = self._per_image if is_per_image(self.mode, gt_bboxes) else self._batch
        largest, owner, reach, place = compare(anchors, gt_bboxes, pad_gt_mask)
        background = paddle.full_like(owner, BACKGROUND)
        matches = paddle.where(largest >= self.positive_iou, owner, paddle.full_like(owner, IGNORED))
        matches = paddle.where(largest < self.negative_iou, background, matches)
        if not self.force_match:
            return matches
        forced = self._forced(place, reach > 0, num_anchors)
        return paddle.where(forced >= 0, forced, matches)

    @staticmethod
    def _forced(place, claims, num_anchors):
        """`[B, L]` int64: the first gt that claims an anchor, -1 for none.

        Args:
            place: `[B, n]` int64, the anchor that a gt overlaps most.
            claims: `[B, n]` bool, whether it does.
        """
        batch, num_gts = place.shape
        same = (place.unsqueeze(2) == place.unsqueeze(1)) & claims.unsqueeze(1)
        row = paddle.arange(num_gts, dtype="int64")
        is_late = (same & (row.unsqueeze(0) < row.unsqueeze(1))).any(axis=-1)
        # Who claims nothing writes into a column that is cut off, so that none need be selected.
        column = paddle.where(claims & ~is_late, place, paddle.full_like(place, num_anchors))
        index = column + paddle.arange(batch, dtype="int64").unsqueeze(1) * (num_anchors + 1)
        forced = paddle.full([batch * (num_anchors + 1)], -1, dtype="int64")
        forced = paddle.scatter(forced, index.flatten(), row.tile([batch]))
        return forced.reshape([batch, num_anchors + 1])[:, :num_anchors]

    @staticmethod
    def _batch(anchors, gt_bboxes, pad_gt_mask):
        step = max(BATCH_ELEMENTS // (gt_bboxes.shape[0] * anchors.shape[0]), 1)
        # A box without area overlaps nothing, so that padding is nobody's best gt and claims no anchor.
        return _compare(gt_bboxes * pad_gt_mask, planes(anchors), step, paddle.concat)

    @staticmethod
    def _per_image(anchors, gt_bboxes, pad_gt_mask):
        anchors, gts, real = anchors.numpy(), gt_bboxes.numpy(), pad_gt_mask.numpy()[..., 0] > 0
        step = max(IMAGE_ELEMENTS // len(anchors), 1)
        batch, num_gts = real.shape
        found = [
            np.zeros([batch, side], dtype)
            for side in (len(anchors), num_gts)
            for dtype in ("float32", "int64")
        ]
        largest, owner, reach, place = found
        for image, is_real in enumerate(real):
            rows = np.flatnonzero(is_real)
            if len(rows):
                best, gt, *of_gts = _compare(gts[None, image, rows], planes(anchors), step, np.concatenate)
                largest[image], owner[image] = best[0], rows[gt[0]]
                reach[image, rows], place[image, rows] = (values[0] for values in of_gts)
        return map(paddle.to_tensor, found)


def _compare(gts, anchors, step, join):
    """The best IoU of every anchor and of every gt, some gts at a time.

    Args:
        gts: `[B, n, 4]`, of Paddle or NumPy.
        anchors: planes of `[L]`, of the same.
        step (int): gts compared at once.
        join: concat of Paddle or concatenate of NumPy.

    Returns:
        tuple: of anchors, `[B, L]`, the largest IoU, and its gt, int64; of gts, `[B, n]`, the largest IoU,
        and its anchor, int64. The first of equals.
    """
    best, reach, place = None, [], []
    for start in range(0, gts.shape[1], step):
        ious = iou(planes(gts[:, start : start + step, None]), anchors)
        reach.append(ious.max(2))
        place.append(ious.argmax(2))
        found = ious.max(1), ious.argmax(1) + start
        best = found if best is None else _better(*best, *found)
    return (*best, join(reach, 1), join(place, 1))


def _better(value, owner, new_value, new_owner):
    """The larger of two IoUs of each anchor, and its gt; the first of equals."""
    is_new = new_value > value
    if isinstance(value, np.ndarray):
        return np.maximum(value, new_value), np.where(is_new, new_owner, owner)
    return paddle.maximum(value, new_value), paddle.where(is_new, new_owner, owner)
