"""Losses of the dense heads: functions of positives, not of dense one-hot targets."""

from .classification import CLASSIFICATION_LOSSES, focal_loss, sigmoid_focal_loss, varifocal_loss
from .distribution import distribution_focal_loss
from .iou import IOU_LOSSES, giou_loss, siou_loss
from .schedule import LossWeights, check_weight, weight_at

__all__ = [
    "CLASSIFICATION_LOSSES",
    "IOU_LOSSES",
    "LossWeights",
    "check_weight",
    "distribution_focal_loss",
    "focal_loss",
    "giou_loss",
    "sigmoid_focal_loss",
    "siou_loss",
    "varifocal_loss",
    "weight_at",
]
