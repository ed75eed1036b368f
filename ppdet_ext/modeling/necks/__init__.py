"""Necks: feature maps to fused feature maps."""

from .csp_rep_pan import CSPRepPAN
from .rep_pan import RepBiFPAN, RepPAN
from .weighted_bifpn import WeightedBiFPN

__all__ = ["CSPRepPAN", "RepBiFPAN", "RepPAN", "WeightedBiFPN"]
