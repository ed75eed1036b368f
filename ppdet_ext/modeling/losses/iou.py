"""Losses on the overlap of matched boxes."""

import paddle

# Keeps 0 / 0 of two empty boxes at 0; far below the area of any box in cells of a feature map.
EPSILON = 1e-10


def giou_loss(predicted, target):
    """Generalised IoU loss of matched boxes.

    Args:
        predicted, target (Tensor): [P, 4] float32, xyxy, same unit.

    Returns:
        Tensor: [P, 1] float32 in [0, 2].

    Source: arXiv:1902.09630, algorithm 1.
    """
    top_left, bottom_right = predicted[:, :2], predicted[:, 2:]
    target_top_left, target_bottom_right = target[:, :2], target[:, 2:]

    def area(size):
        return size[:, :1] * size[:, 1:]

    inner = paddle.minimum(bottom_right, target_bottom_right) - paddle.maximum(top_left, target_top_left)
    outer = paddle.maximum(bottom_right, target_bottom_right) - paddle.minimum(top_left, target_top_left)
    overlap = area(inner.clip(0))
    union = area(bottom_right - top_left) + area(target_bottom_right - target_top_left) - overlap + EPSILON
    hull = area(outer) + EPSILON
    return 1 - overlap / union + (hull - union) / hull


IOU_LOSSES = {"giou": giou_loss}
