"""The architecture of the anchor-free YOLO family."""

from ppdet.core.workspace import create, register
from ppdet.modeling.architectures.meta_arch import BaseArch

from ppdet_ext.nn import load_rep_scales

__all__ = ["YOLODetector"]


@register
class YOLODetector(BaseArch):
    """Backbone, neck and an anchor-free head.

    The name holds 'YOLO' because PaddleDetection's exporter silently writes nothing for an architecture
    whose name it does not know.

    Args:
        backbone (str): a registered backbone.
        neck (str): a registered neck.
        yolo_head (str): a registered head; its ``post_process`` turns raw outputs into boxes.
        rep_scales (str | None): for ``rep_block: repopt``, the ``.pdparams`` of the same detector trained
            with ``rep_block: repopt_search``, see :func:`load_rep_scales`. Checkpoints keep what it gives:
            where one is loaded afterwards, the file need not be there.
        distillation (str | None): SelfDistillation, and it learns from a network of its own kind, too.

    In training ``model(inputs)`` returns a dict of losses with the total under 'loss'; in evaluation a
    dict of 'bbox' [sum(N_i), 6] (label, score, xyxy in pixels of the original image) and 'bbox_num' [B].
    """

    __category__ = "architecture"
    __inject__ = ["distillation"]

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

    @classmethod
    def from_config(cls, cfg, *args, **kwargs):
        backbone = create(cfg["backbone"])
        neck = create(cfg["neck"], input_shape=backbone.out_shape)
        head = create(cfg["yolo_head"], input_shape=neck.out_shape)
        return {"backbone": backbone, "neck": neck, "yolo_head": head}

    def features(self, inputs):
        """The neck's feature maps of ``inputs['image']`` [B, 3, H, W], in the neck's order."""
        return self.neck(self.backbone(inputs))

    def get_loss(self):
        return self.yolo_head(self.features(self.inputs), self.inputs)

    def get_pred(self):
        outputs = self.yolo_head(self.features(self.inputs))
        boxes, count, _ = self.yolo_head.post_process(outputs, self.inputs["scale_factor"])
        return {"bbox": boxes, "bbox_num": count}
