"""The architecture of the anchor-free YOLO family."""

from ppdet.core.workspace import register

from ppdet_ext.nn import load_rep_scales

from .dense import DenseDetector

__all__ = ["YOLODetector"]


@register
class YOLODetector(DenseDetector):
    """Backbone, neck and an anchor-free head; see :class:`DenseDetector`.

    The name holds 'YOLO' because PaddleDetection's exporter silently writes nothing for an architecture
    whose name it does not know.

    Args:
        backbone (str): a registered backbone.
        neck (str): a registered neck.
        yolo_head (str): a registered head.
        rep_scales (str | None): for ``rep_block: repopt``, the ``.pdparams`` of the same detector trained
            with ``rep_block: repopt_search``, see :func:`load_rep_scales`. Checkpoints keep what it gives:
            where one is loaded afterwards, the file need not be there.
        distillation (str | None): SelfDistillation, and it learns from a network of its own kind, too.
    """

    __category__ = "architecture"
    __inject__ = ["distillation"]
    head_key = "yolo_head"  # of PaddleDetection's checkpoints

    def __init__(
        self,
        backbone="CSPRepResNet",
        neck="CSPRepPAN",
        yolo_head="ETHead",
        rep_scales=None,
        distillation=None,
    ):
        super().__init__()
        self.backbone = backbone
        self.neck = neck
        self.yolo_head = yolo_head
        if rep_scales is not None:
            load_rep_scales(self, rep_scales, missing_ok=True)
        if distillation is not None:
            distillation.attach(self)

    @property
    def head(self):
        """The head, by the name that every family has for it."""
        return self.yolo_head
