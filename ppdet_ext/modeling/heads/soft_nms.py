"""Soft-NMS for evaluation in PaddleDetection, by the runtime's implementation."""

import numpy as np
import paddle
from ppdet.core.workspace import register, serializable

from ppdet_ext.runtime.nms import NMS

__all__ = ["SoftNMS"]


@register
@serializable
class SoftNMS:
    """Soft-NMS in NumPy, called as PaddleDetection's MultiClassNMS; the defaults are EfficientDet's.

    The settings, of the same names in ``infer_cfg.yml``: see :func:`ppdet_ext.runtime.nms.soft_nms`. It is no
    part of a graph: a model is exported with raw outputs and the runtime does the same afterwards.

    Raises:
        ValueError: a value that is not of its kind.
    """

    in_graph = False

    def __init__(
        self,
        score_threshold=0.001,
        nms_top_k=-1,
        keep_top_k=100,
        nms_threshold=0.5,
        post_threshold=0.001,
        use_gaussian=True,
        gaussian_sigma=0.5,
        normalized=True,
        background_label=-1,
    ):
        self.score_threshold, self.nms_top_k, self.keep_top_k = score_threshold, nms_top_k, keep_top_k
        self.nms_threshold, self.post_threshold = nms_threshold, post_threshold
        self.use_gaussian, self.gaussian_sigma = use_gaussian, gaussian_sigma
        self.normalized, self.background_label = normalized, background_label
        self._kind()  # which checks them

    def _kind(self):
        """The runtime's NMS of these settings."""
        return NMS({"name": type(self).__name__, **self.__dict__}, source="the config")

    def __call__(self, boxes, scores):
        """Suppresses in every image of a batch.

        Args:
            boxes (Tensor): [B, L, 4] float32 xyxy, in any unit.
            scores (Tensor): [B, C, L] float32.

        Returns:
            tuple: [sum(N_i), 6] float32 (label, lowered score, box), image by image and by falling score;
            counts [B] int32; None.

        Raises:
            ValueError: within a graph that is being captured.
        """
        if not paddle.in_dynamic_mode():
            raise ValueError("SoftNMS runs in NumPy and is no part of a graph; export with raw outputs")
        nms = self._kind()
        found = []
        for box, score in zip(boxes.numpy(), scores.numpy()):
            index, label, lowered = nms(box, score)
            found.append(np.column_stack([label, lowered, box[index]]).astype("float32"))
        counts = np.array([len(rows) for rows in found], "int32")
        return paddle.to_tensor(np.concatenate(found)), paddle.to_tensor(counts), None
