"""Heads: feature maps to losses in training, to raw scores and distances in evaluation."""

from .et_head import ETHead

__all__ = ["ETHead"]
