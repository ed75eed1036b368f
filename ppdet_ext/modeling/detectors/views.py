"""Test-time augmentation in PaddleDetection's evaluation: several views of a batch to one set of boxes."""

import numpy as np
import paddle

from ppdet_ext.runtime.tta.postprocess import fuse_views
from ppdet_ext.runtime.tta.settings import WBF

from ..heads.dense import to_original


def detect_views(views, raw, nms, tta):
    """Boxes of a batch, from all its views.

    Args:
        views (list[dict]): of :func:`ppdet_ext.data.views.split_views`.
        raw (callable): a view -> boxes [B, L, 4] xyxy in its pixels and scores [B, C, L].
        nms: of the head.
        tta (TTA): says how to merge.

    Returns:
        tuple: boxes [sum(N_i), 6] (label, score, xyxy in original pixels) and counts [B].
    """
    found = []
    for view in views:
        boxes, scores = raw(view)
        found.append((_unflip(to_original(boxes, view["scale_factor"]), view.get("mirror")), scores))
    if tta.merge == WBF:
        return _fuse([nms(boxes, scores) for boxes, scores in found], nms, tta)
    boxes, scores = zip(*found)
    return nms(paddle.concat(boxes, axis=1), paddle.concat(scores, axis=2))[:2]


def _unflip(boxes, mirror):
    """Boxes [B, L, 4] xyxy as seen without a mirror, whose place is at width `mirror` [B, 1], 0 for none."""
    if mirror is None or not mirror.max() > 0:
        return boxes
    left, top, right, bottom = boxes.unbind(-1)
    return paddle.stack([mirror - right, top, mirror - left, bottom], axis=-1)


def _fuse(found, nms, tta):
    """Weighted box fusion, image by image, of what the NMS has left of each view."""
    views = []
    for rows, counts, *_ in found:
        ends = np.cumsum(counts.numpy())[:-1]
        views.append(np.split(rows.numpy().reshape(-1, 6), ends))
    least = getattr(nms, "post_threshold", getattr(nms, "score_threshold", 0.0))
    merged = []
    for parts in zip(*views):
        parts = [(rows[:, 2:], rows[:, 1], rows[:, 0].astype("int64")) for rows in parts]
        boxes, scores, labels = fuse_views(parts, tta.iou_threshold, least, getattr(nms, "keep_top_k", -1))
        merged.append(np.column_stack([labels, scores, boxes]).astype("float32"))
    counts = np.array([len(rows) for rows in merged], "int32")
    return paddle.to_tensor(np.concatenate(merged)), paddle.to_tensor(counts)
