"""Label assigners: which anchor learns which gt. Importing this registers them with ppdet."""

from .atss import ATSSLabelAssigner
from .simota import SimOTALabelAssigner
from .tal import TALLabelAssigner

__all__ = ["ATSSLabelAssigner", "SimOTALabelAssigner", "TALLabelAssigner"]
