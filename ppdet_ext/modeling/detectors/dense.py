"""What the architectures of a backbone, a neck and a dense head share."""

from ppdet.core.workspace import create
from ppdet.modeling.architectures.meta_arch import BaseArch

from ppdet_ext.data.views import split_views

from .views import detect_views


class DenseDetector(BaseArch):
    """Backbone, neck and a head whose ``post_process`` turns raw outputs into boxes.

    A subclass sets the three; ``head`` is the last one in every family, and ``head_key`` its name in configs
    and checkpoints.

    In training ``model(inputs)`` returns a dict of losses with the total under 'loss'; in evaluation a
    dict of 'bbox' [sum(N_i), 6] (label, score, xyxy in pixels of the original image) and 'bbox_num' [B].

    Attributes:
        tta (TTA | None): test-time augmentation: ``inputs`` hold several views, merged as it says.
    """

    head_key = "head"
    tta = None

    @classmethod
    def from_config(cls, cfg, *args, **kwargs):
        backbone = create(cfg["backbone"])
        neck = create(cfg["neck"], input_shape=backbone.out_shape)
        head = create(cfg[cls.head_key], input_shape=neck.out_shape)
        return {"backbone": backbone, "neck": neck, cls.head_key: head}

    def features(self, inputs):
        """The neck's feature maps of ``inputs['image']`` [B, 3, H, W], in the neck's order."""
        return self.neck(self.backbone(inputs))

    def get_loss(self):
        return self.head(self.features(self.inputs), self.inputs)

    def get_pred(self):
        if self.tta is not None:
            boxes, count = detect_views(split_views(self.inputs), self._raw, self.head.nms, self.tta)
        else:
            outputs = self.head(self.features(self.inputs))
            boxes, count, _ = self.head.post_process(outputs, self.inputs["scale_factor"])
        return {"bbox": boxes, "bbox_num": count}

    def _raw(self, inputs):
        """Boxes [B, L, 4] xyxy in pixels of ``inputs['image']`` and scores [B, C, L]."""
        return self.head.decode(self.head(self.features(inputs)))
