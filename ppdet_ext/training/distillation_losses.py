"""How far a student's maps and predictions are from its teacher's. Each is zero where they are equal."""

import paddle
import paddle.nn.functional as F


def channel_wise_loss(student, teacher, temperature=1.0):
    """Channel-wise distillation: the divergence between where the two look, channel by channel.

    Args:
        student, teacher (Tensor): [B, C, H, W] float32; the teacher's without gradient.
        temperature (float): over 1, more of the map counts.

    Returns:
        Tensor: [] float32, ``T^2`` times KL(teacher || student) of the softmax over H x W, mean over B and C.

    Source: CWD, arXiv:2011.13256, equation 4.
    """
    return divergence_of_softmax(student.flatten(2), teacher.flatten(2), temperature).mean()


def divergence_of_softmax(student, teacher, temperature=1.0):
    """``T^2`` times KL(teacher || student) of the softmax over the last axis of [..., n]: [...]."""
    student, teacher = (F.log_softmax(values / temperature) for values in (student, teacher))
    return temperature**2 * (teacher.exp() * (teacher - student)).sum(-1)


def squared_loss(student, teacher):
    """The mean squared difference of two maps of one shape, in units of the teacher's mean square: []."""
    return F.mse_loss(student, teacher) / teacher.square().mean().clip(min=1e-6)


def class_loss(student, teacher):
    """The divergence of class scores, class by class, summed over everything.

    Args:
        student, teacher (Tensor): [B, C, L] float32 logits.

    Returns:
        Tensor: [] float32, the sum of KL(teacher || student) of the B * C * L yes-or-no answers.
    """
    goals = F.sigmoid(teacher)
    return sum(
        (share * (F.log_sigmoid(sign * teacher) - F.log_sigmoid(sign * student))).sum()
        for share, sign in ((goals, 1.0), (1.0 - goals, -1.0))
    )


def distribution_loss(student, teacher, weights):
    """The divergence of the distributions of DFL.

    Args:
        student, teacher (Tensor): [B, 4 * bins, L] float32 logits.
        weights (Tensor): [B, L] float32, how much each anchor point counts.

    Returns:
        Tensor: [] float32, KL(teacher || student) over the bins, mean of the four sides, weighted sum of
        the anchor points.

    Source: LD, arXiv:2102.12252, section 3.2.
    """
    batch, channels, points = student.shape
    student, teacher = (
        logits.reshape([batch, 4, channels // 4, points]).transpose([0, 1, 3, 2])
        for logits in (student, teacher)
    )
    return (divergence_of_softmax(student, teacher).mean(1) * weights).sum()


def distance_loss(student, teacher, weights):
    """The same for a head that predicts distances [B, 4, L] themselves: their mean difference, in cells."""
    return (paddle.abs(student - teacher).mean(1) * weights).sum()
