"""Distribution focal loss."""

import paddle.nn.functional as F


def distribution_focal_loss(logits, targets):
    """Cross entropy with the two bins around a continuous target, weighted by nearness.

    Args:
        logits (Tensor): [P, 4, bins] float32.
        targets (Tensor): [P, 4] float32 in [0, bins - 1), in bins.

    Returns:
        Tensor: [P, 1] float32, the mean over the four sides.

    Source: Generalized Focal Loss, arXiv:2006.04388, equation 6.
    """
    left = targets.floor()
    right_weight = (targets - left).unsqueeze(-1)
    left_bin = left.astype("int64").unsqueeze(-1)
    left_loss = F.softmax_with_cross_entropy(logits, left_bin)
    right_loss = F.softmax_with_cross_entropy(logits, left_bin + 1)
    loss = left_loss * (1 - right_weight) + right_loss * right_weight
    return loss.squeeze(-1).mean(-1, keepdim=True)
