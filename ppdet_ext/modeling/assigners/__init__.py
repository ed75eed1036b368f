"""Label assigners: which anchor learns which gt. Importing this registers them with ppdet."""

from .argmax_iou import ArgmaxIoUAssigner
from .atss import ATSSLabelAssigner
from .simota import SimOTALabelAssigner
from .tal import TALLabelAssigner

__all__ = ["ATSSLabelAssigner", "ArgmaxIoUAssigner", "SimOTALabelAssigner", "TALLabelAssigner"]
