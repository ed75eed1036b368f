"""Heads: feature maps to losses in training, to raw scores and distances in evaluation."""

from .efficient_rep_head import EfficientRepHead
from .et_head import ETHead

__all__ = ["ETHead", "EfficientRepHead"]
