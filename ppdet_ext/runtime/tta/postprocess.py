"""From the outputs for all views of an image to its Detections."""

import numpy as np

from ..detections import Detections
from .box_fusion import fuse_boxes
from .settings import WBF


class ViewsPostprocess:
    """Maps the boxes of all views back to the input image and merges them.

    Args:
        plain (Postprocess | InGraphPostprocess): that of the model; its `candidates` lead back.
        nms (nms.NMS): of the model.
        tta (TTA): says how to merge.
    """

    def __init__(self, plain, nms, tta):
        self.plain = plain
        self.nms = nms
        self.tta = tta

    def __call__(self, outputs, images, score_threshold=None, sources=None):
        """Detections of a batch.

        Args:
            outputs (list): of each view, what the network gave for the batch.
            images (list): of each image of the batch, a list of its ViewImages.
            score_threshold, sources: as of `Postprocess`.

        Returns:
            list: B Detections, boxes in pixels of the input image, by falling score.

        Raises:
            ValueError: as of `Postprocess`.
        """
        found = []
        for view, output in enumerate(outputs):
            found.append(self.plain.candidates(*output, [image[view].network_image for image in images]))
        results = []
        for number, (candidates, views) in enumerate(zip(zip(*found), images)):
            parts = [(unflip(boxes, view.mirror), scores) for (boxes, scores), view in zip(candidates, views)]
            merged = (self._fuse if self.tta.merge == WBF else self._suppress)(parts, score_threshold)
            source = sources[number] if sources else None
            results.append(Detections(*merged, self.plain.names, source))
        return results

    def _suppress(self, parts, score_threshold):
        """Boxes, scores and labels of one image after an NMS over the candidates of all views."""
        # Side by side, as `candidates` lays them out: NMS takes sides.
        boxes = np.concatenate([boxes.T for boxes, _ in parts], 1).T
        scores = np.concatenate([scores for _, scores in parts], 1)
        indices, labels, kept_scores = self.nms(boxes, scores, score_threshold)
        return boxes[indices], kept_scores, labels

    def _fuse(self, parts, score_threshold):
        """The same by weighted box fusion of what an NMS leaves of each view."""
        found = []
        for boxes, scores in parts:
            # Below the threshold asked for, a view may still lift what others see.
            indices, labels, kept_scores = self.nms(boxes, scores)
            found.append((boxes[indices], kept_scores, labels))
        settings = self.nms.settings
        least = settings.get("post_threshold", settings["score_threshold"])
        least = least if score_threshold is None else score_threshold
        return fuse_views(found, self.tta.iou_threshold, least, settings["keep_top_k"])


def unflip(boxes, mirror):
    """Boxes [L, 4] xyxy of a flipped image, in the image itself; as they are where `mirror` is None.

    Args:
        boxes (numpy.ndarray): float32, in pixels.
        mirror (int | None): the image's width in pixels.
    """
    if mirror is None:
        return boxes
    left, top, right, bottom = boxes.T
    return np.stack([mirror - right, top, mirror - left, bottom]).T


def fuse_views(found, iou_threshold, score_threshold, keep_top_k):
    """Weighted box fusion of what was found in the views of one image.

    Args:
        found (list): of each view boxes [N, 4] xyxy in pixels of the image, scores [N] and labels [N].
        iou_threshold (float): as of `fuse_boxes`.
        score_threshold (float): what stays scores more than this.
        keep_top_k (int): the best that stay, -1 for all.

    Returns:
        tuple: boxes [M, 4] float32, scores [M] float32 and labels [M] int64, by falling score.
    """
    boxes, scores, labels = fuse_boxes(*map(np.concatenate, zip(*found)), len(found), iou_threshold)
    count = int((scores > np.float32(score_threshold)).sum())
    count = count if keep_top_k < 0 else min(count, keep_top_k)
    return boxes[:count], scores[:count], labels[:count]
