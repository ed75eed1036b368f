"""Backbones: image to feature maps."""

from .csp_rep_resnet import CSPRepResNet

__all__ = ["CSPRepResNet"]
