"""Necks: feature maps to fused feature maps."""

from .csp_rep_pan import CSPRepPAN

__all__ = ["CSPRepPAN"]
