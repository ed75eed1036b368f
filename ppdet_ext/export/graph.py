"""The graphs that are exported: raw outputs, or PaddleDetection's form with NMS inside."""

import paddle.nn as nn

from ppdet_ext.nn import reparameterize


class RawGraph(nn.Layer):
    """Image in, every box and score out; no NMS.

    Args:
        model (YOLODetector or the like): with ``backbone``, ``neck`` and a ``yolo_head`` that decodes.
    """

    def __init__(self, model):
        super().__init__()
        self.backbone = model.backbone
        self.neck = model.neck
        self.head = model.yolo_head

    def forward(self, image):
        """image [B, 3, H, W] float32 to boxes [B, L, 4] xyxy in its pixels and scores [B, C, L]."""
        return self.head.decode(self.head(self.neck(self.backbone({"image": image}))))


class NMSGraph(RawGraph):
    """Image and scale factor in, boxes after NMS out: what PaddleDetection's ``deploy/`` programs run."""

    def forward(self, image, scale_factor):
        """scale_factor [B, 2] (y, x) to boxes [sum(N_i), 6] in original pixels and their counts [B]."""
        outputs = self.head(self.neck(self.backbone({"image": image})))
        boxes, counts, _ = self.head.post_process(outputs, scale_factor)
        return boxes, counts


def deployed(graph):
    """Puts a graph into evaluation mode and re-parameterises it, in place; returns it."""
    graph.eval()
    return reparameterize(graph)
