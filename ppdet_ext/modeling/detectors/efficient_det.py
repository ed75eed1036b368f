"""The architecture of EfficientDet."""

from paddle.regularizer import L2Decay
from ppdet.core.workspace import register

from .dense import DenseDetector

__all__ = ["EfficientDet"]


@register
class EfficientDet(DenseDetector):
    """Backbone, neck and a head over anchors; see :class:`DenseDetector`.

    Weight decay takes kernels alone, as published: biases, BatchNorms and the weights of a fusion are exempt.

    Args:
        backbone (str): a registered backbone.
        neck (str): a registered neck, finest level first.
        head (str): a registered head.

    Source: arXiv:1911.09070.
    """

    __category__ = "architecture"

    def __init__(self, backbone="EfficientNet", neck="WeightedBiFPN", head="EfficientDetHead"):
        super().__init__()
        self.backbone = backbone
        self.neck = neck
        self.head = head
        for parameter in self.parameters():
            if parameter.ndim < 4:
                parameter.regularizer = L2Decay(0.0)
