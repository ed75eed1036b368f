"""Non-maximum suppression in NumPy, one image at a time; `NMS` is what an `infer_cfg.yml` asks for."""

from .hard import class_agnostic_nms, multiclass_nms
from .kinds import KINDS, NMS
from .matrix import matrix_nms
from .soft import soft_nms

__all__ = ["KINDS", "NMS", "class_agnostic_nms", "matrix_nms", "multiclass_nms", "soft_nms"]
