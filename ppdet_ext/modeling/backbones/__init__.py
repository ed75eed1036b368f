"""Backbones: image to feature maps."""

from .csp_rep_resnet import CSPRepResNet
from .efficient_net import EfficientNet
from .efficient_rep import CSPBepBackbone, EfficientRep

__all__ = ["CSPBepBackbone", "CSPRepResNet", "EfficientNet", "EfficientRep"]
