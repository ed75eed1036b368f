"""Heads: feature maps to losses in training, to raw outputs in evaluation. And an NMS that ppdet lacks."""

from .efficient_det_head import EfficientDetHead
from .efficient_rep_head import EfficientRepHead
from .et_head import ETHead
from .soft_nms import SoftNMS

__all__ = ["ETHead", "EfficientDetHead", "EfficientRepHead", "SoftNMS"]
