"""Classification losses with soft targets.

Almost every target of a dense detector is zero. So each loss is written as the sum over all predictions
of the loss they would have as background, plus a correction at the few that are not; no dense target
tensor takes part, and the values are those of the dense formula.
"""

import paddle
import paddle.nn.functional as F


def _counted(values, weights):
    """Values [P] times weights [P], where there are any."""
    return values if weights is None else values * weights


def varifocal_loss(logits, flat_index, targets, alpha=0.75, gamma=2.0, epoch_alpha=None, weights=None):
    """Varifocal loss, summed.

    A background prediction p costs ``alpha p^gamma * -log(1 - p)``, a positive one with soft target q
    ``q * BCE(p, q)``.

    Args:
        logits (Tensor): [N] float32, all predictions before the sigmoid.
        flat_index (Tensor): [P] int64, positions of the positives.
        targets (Tensor): [P] float32 in [0, 1], their soft targets q.
        alpha, gamma (float): weight and focus of the background.
        epoch_alpha: accepted for a common signature with :func:`focal_loss`; has no effect.
        weights (Tensor | None): [P] float32, how often each positive counts.

    Returns:
        Tensor: [] float32.

    Source: VarifocalNet, arXiv:2008.13367, equation 2.
    """

    def background(x):
        p = F.sigmoid(x)
        focus = p * p if gamma == 2.0 else p.pow(gamma)
        return alpha * (focus * F.softplus(x)).sum()

    loss = background(logits)
    if flat_index.shape[0]:
        positive = paddle.gather(logits, flat_index)
        bce = F.softplus(positive) - positive * targets
        loss = loss - background(positive) + (_counted(targets, weights) * bce).sum()
    return loss


def focal_loss(logits, flat_index, targets, alpha=0.25, gamma=2.0, epoch_alpha=None, weights=None):
    """Focal loss with soft targets (as in generalised focal loss), summed.

    A prediction p with target q costs ``|p - q|^gamma * BCE(p, q)``, weighted by
    ``alpha q + (1 - alpha)(1 - q)`` where alpha is positive.

    Args:
        logits, flat_index, targets, weights: as in :func:`varifocal_loss`.
        alpha, gamma (float): balance and focus.
        epoch_alpha (float | None): takes the place of ``alpha``; PP-YOLOE balances only while the static
            assigner is at work.

    Returns:
        Tensor: [] float32.
    """
    balance = alpha if epoch_alpha is None else epoch_alpha

    def cost(x, q, weights=None):
        p = F.sigmoid(x)
        weight = (p - q).pow(gamma)
        if balance > 0:
            weight = weight * (balance * q + (1 - balance) * (1 - q))
        return (_counted(weight, weights) * (F.softplus(x) - x * q)).sum()

    loss = cost(logits, paddle.zeros([1]))
    if flat_index.shape[0]:
        positive = paddle.gather(logits, flat_index)
        loss = loss - cost(positive, paddle.zeros([1])) + cost(positive, targets, weights)
    return loss


def sigmoid_focal_loss(logits, flat_index, ignored, alpha=0.25, gamma=1.5, weights=None):
    """Focal loss with hard targets, summed.

    A prediction p of a class that is there costs ``alpha (1 - p)^gamma * -log(p)``, of one that is not
    ``(1 - alpha) p^gamma * -log(1 - p)``. :func:`focal_loss` takes soft targets and even powers only.

    Args:
        logits (Tensor): [N, C] float32, before the sigmoid.
        flat_index (Tensor): [P] int64, positions in the flattened logits of the classes that are there.
        ignored (Tensor): [I] int64, rows that cost nothing.
        alpha (float): weight of the positives, beside ``1 - alpha``.
        gamma (float): focus.
        weights (Tensor | None): [P] float32, how often each positive counts.

    Returns:
        Tensor: [] float32.

    Source: arXiv:1708.02002, equation 5; EfficientDet's gamma.
    """

    def surprise(x, weights=None):
        """What a wrong answer costs that is as sure as x."""
        return (_counted(F.sigmoid(x).pow(gamma), weights) * F.softplus(x)).sum()

    background = surprise(logits)
    if ignored.shape[0]:
        background = background - surprise(paddle.gather(logits, ignored))
    if not flat_index.shape[0]:
        return (1 - alpha) * background
    positive = paddle.gather(logits.flatten(), flat_index)
    return (1 - alpha) * (background - surprise(positive)) + alpha * surprise(-positive, weights)


CLASSIFICATION_LOSSES = {"varifocal": varifocal_loss, "focal": focal_loss}
