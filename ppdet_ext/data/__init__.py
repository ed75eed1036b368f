"""Datasets: making, converting and checking them."""

from .demo import make_demo

__all__ = ["make_demo"]
