"""Losses on the overlap of matched boxes."""

import paddle

# Keeps 0 / 0 of two empty boxes at 0; far below the area of any box in cells of a feature map.
EPSILON = 1e-10
# How little a small difference in shape weighs; the paper finds values around 4 by search.
SIOU_THETA = 4


def _area(size):
    """[P, 2] width and height to [P, 1]."""
    return size[:, :1] * size[:, 1:]


def _compare(predicted, target):
    """What losses on overlap measure of matched boxes.

    Args:
        predicted, target (Tensor): [P, 4] float32, xyxy, same unit.

    Returns:
        tuple: IoU [P, 1], union [P, 1]; width and height [P, 2] of the predicted box, of the target and of
        the smallest box around both.
    """
    top_left, bottom_right = predicted[:, :2], predicted[:, 2:]
    target_top_left, target_bottom_right = target[:, :2], target[:, 2:]
    inner = paddle.minimum(bottom_right, target_bottom_right) - paddle.maximum(top_left, target_top_left)
    outer = paddle.maximum(bottom_right, target_bottom_right) - paddle.minimum(top_left, target_top_left)
    size, target_size = bottom_right - top_left, target_bottom_right - target_top_left
    overlap = _area(inner.clip(0))
    union = _area(size) + _area(target_size) - overlap + EPSILON
    return overlap / union, union, size, target_size, outer


def giou_loss(predicted, target):
    """Generalised IoU loss of matched boxes.

    Args:
        predicted, target (Tensor): [P, 4] float32, xyxy, same unit.

    Returns:
        Tensor: [P, 1] float32 in [0, 2].

    Source: arXiv:1902.09630, algorithm 1.
    """
    iou, union, _, _, outer = _compare(predicted, target)
    hull = _area(outer) + EPSILON
    return 1 - iou + (hull - union) / hull


def siou_loss(predicted, target):
    """SCYLLA-IoU loss of matched boxes: ``1 - IoU + (distance + shape) / 2``.

    The distance of the centres counts in widths and heights of the box around both, in full along an axis and
    half along a diagonal; the shape is the difference of widths and heights.

    Args:
        predicted, target (Tensor): [P, 4] float32, xyxy, in cells of a feature map.

    Returns:
        Tensor: [P, 1] float32 in [0, 3).

    Source: arXiv:2205.12740, with theta as YOLOv6 (arXiv:2209.02976) takes it.
    """
    iou, _, size, target_size, outer = _compare(predicted, target)
    offset = (predicted[:, :2] + predicted[:, 2:] - target[:, :2] - target[:, 2:]) / 2
    # The paper's 1 - 2 sin^2(arcsin(x) - pi / 4) is sin(2 arcsin(x)); this form has a gradient at 0 and 1.
    angle = 2 * _area(offset.abs()) / (offset.square().sum(-1, keepdim=True) + EPSILON)
    distance = 1 - paddle.exp((angle - 2) * (offset / (outer + EPSILON)).square())
    misfit = (size - target_size).abs() / (paddle.maximum(size, target_size) + EPSILON)
    shape = (1 - paddle.exp(-misfit)).pow(SIOU_THETA)
    return 1 - iou + (distance + shape).sum(-1, keepdim=True) / 2


IOU_LOSSES = {"giou": giou_loss, "siou": siou_loss}
