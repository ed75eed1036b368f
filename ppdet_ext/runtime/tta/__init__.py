"""Test-time augmentation: the network sees an image several times, flipped and at other sizes, and what it
finds is mapped back and merged."""

from .settings import TTA, View

__all__ = ["TTA", "View"]
