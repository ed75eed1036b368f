"""Measuring what a model is worth: accuracy, parity between backends, speed."""

from .coco import evaluate

__all__ = ["evaluate"]
