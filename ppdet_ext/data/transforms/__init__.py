"""Operators for PaddleDetection's readers beyond its own, one file a family."""

from .mosaic import MosaicMixUp
from .quarter_turn import RandomQuarterTurn
from .random_box_affine import RandomBoxAffine
from .scale_jitter import RandomScaleJitter

__all__ = ["MosaicMixUp", "RandomBoxAffine", "RandomQuarterTurn", "RandomScaleJitter"]
