"""Simplified optimal-transport label assignment."""

import math

import paddle
from paddle import nn
from ppdet.core.workspace import register

from ..boxes import is_inside, is_near_center, pairwise_iou, planes
from .common import anchor_strides, as_float32, build_targets, check_gts, empty_targets, resolve_mask

__all__ = ["SimOTALabelAssigner"]

_IOU_EPS = 1e-9
# The smallest probability or IoU whose logarithm is told from that of 0; YOLOX's.
_LOG_EPS = 1e-8


def _surprise(probability):
    """Minus the logarithm."""
    return -probability.clip(min=_LOG_EPS).log()


@register
class SimOTALabelAssigner(nn.Layer):
    """SimOTA (YOLOX, Ge et al. 2021, section 2.1; YOLOv6 1.0): as many anchors a gt as its predictions merit.

    Candidates are the anchors in the box of any gt of the image, or in the square around its centre. Each
    costs a gt `cls_weight * BCE + iou_weight * -log(IoU)`; one that isn't both in this gt's box and in its
    square costs more than any that is. A gt takes its k cheapest candidates, the first of equals; k is the
    sum of its `candidate_topk` largest IoUs, rounded down, and at least 1. An anchor that several gts take
    goes to the cheapest among **all** gts of its image.

    The score of an assigned anchor is the IoU of its predicted box with its gt.

    Args:
        center_radius: half side of the square, in strides of the anchor's level.
        candidate_topk: how many IoUs k is the sum of, and so the most it can be.
        cls_weight, iou_weight: of the two terms of the cost.
    """

    def __init__(self, center_radius=2.5, candidate_topk=10, cls_weight=1.0, iou_weight=3.0):
        super().__init__()
        if candidate_topk < 1:
            raise ValueError(f"candidate_topk: {candidate_topk}, but k is the sum of at least 1 IoU")
        self.center_radius = center_radius
        self.candidate_topk = candidate_topk
        self.cls_weight = cls_weight
        self.iou_weight = iou_weight

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
        """Assigns gts to anchors: arguments, results and errors as :meth:`TALLabelAssigner.forward`."""
        check_gts(gt_labels, gt_bboxes, pad_gt_mask)
        batch, num_anchors, num_classes = pred_scores.shape
        if gt_bboxes.shape[1] == 0:
            return empty_targets(batch, num_anchors, 0, gt_labels.dtype, bg_index, num_classes)
        if stride_tensor is None:
            stride_tensor = anchor_strides(anchor_points, num_anchors_list)
        candidate, own = self._candidates(anchor_points, stride_tensor.flatten(), gt_bboxes, pad_gt_mask > 0)
        ious = pairwise_iou(gt_bboxes, as_float32(pred_bboxes), _IOU_EPS)
        cost = self.cls_weight * self._class_cost(as_float32(pred_scores), gt_labels)
        cost = cost + self.iou_weight * _surprise(ious)
        # More than any cost, as the 1e5 of YOLOX's code, which leaves a float32 cost but two decimals.
        beyond = (self.cls_weight * num_classes + self.iou_weight) * -math.log(_LOG_EPS)
        cost = paddle.where(own, cost, cost + beyond)
        cost = paddle.where(candidate, cost, paddle.full_like(cost, float("inf")))
        claims = self._claims(cost, ious * candidate.astype("float32"))
        gt_index, positive = resolve_mask(claims.astype("float32"), -cost)
        soft = paddle.take_along_axis(ious, gt_index.unsqueeze(1), axis=1).squeeze(1)
        soft = soft * positive.astype("float32")
        return build_targets(gt_index, positive, soft, gt_labels, gt_bboxes, bg_index, num_classes)

    def _candidates(self, anchor_points, strides, gt_bboxes, real):
        """`[B, n, L]` bools: anchors that a gt may take, and those both in its box and in its square."""
        x, y = anchor_points[:, 0], anchor_points[:, 1]
        gts = planes(gt_bboxes.unsqueeze(2))
        inside = is_inside(x, y, gts)
        near = is_near_center(x, y, gts, strides * self.center_radius)
        candidate = ((inside | near) & real).any(axis=1, keepdim=True)
        return candidate & real, inside & near

    @staticmethod
    def _class_cost(scores, gt_labels):
        """`[B, n, L]`: binary cross entropy of an anchor's scores with the class of a gt, over all classes.

        What it would be for background, and the gt's class apart, so that no `[B, n, L, C]` is made.
        """
        batch, num_anchors, num_classes = scores.shape
        first = paddle.arange(batch, dtype="int64").unsqueeze(-1) * num_classes
        rows = (gt_labels.squeeze(-1).astype("int64") + first).flatten()
        of_class = paddle.gather(scores.transpose([0, 2, 1]).reshape([-1, num_anchors]), rows)
        of_class = of_class.reshape([batch, -1, num_anchors])
        background = _surprise(1 - scores).sum(axis=-1).unsqueeze(1)
        return background + _surprise(of_class) - _surprise(1 - of_class)

    def _claims(self, cost, ious):
        """`[B, n, L]` bool: the k cheapest anchors of each gt, as far as their cost is finite."""
        most = min(self.candidate_topk, cost.shape[-1])
        count = paddle.topk(ious, most, axis=-1)[0].sum(axis=-1, keepdim=True).floor().clip(min=1)
        cheapest = paddle.topk(cost, most, axis=-1, largest=False)[0]
        last = paddle.take_along_axis(cheapest, (count - 1).astype("int64"), axis=-1)
        # By value and then by place: which of equal ones a top-k takes differs between devices.
        cheaper, equal = cost < last, cost == last
        rank = equal.astype("float32").cumsum(axis=-1) + cheaper.astype("float32").sum(axis=-1, keepdim=True)
        return (cheaper | (equal & (rank <= count))) & cost.isfinite()
