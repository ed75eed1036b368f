"""Weighted box fusion (Solovyev, Wang, Gabruseva, arXiv:1910.13302, section 3)."""

import numpy as np

from ..box_iou import box_iou


def fuse_boxes(boxes, scores, labels, views, iou_threshold=0.55):
    """Makes one box of those that lie on each other in several views of an image.

    Class by class, the best first, a box joins the cluster whose fused box it overlaps most, if by more than
    `iou_threshold`, and opens one of its own otherwise. With boxes b_i and scores s_i, i = 1..T, in a cluster

        box = sum(s_i * b_i) / sum(s_i)        score = mean(s_i) * min(T, views) / views

    so that what one view alone sees falls to 1/views of its score.

    Args:
        boxes (numpy.ndarray): [N, 4] float32 xyxy of all views, in pixels of one image.
        scores (numpy.ndarray): [N] float32, above 0.
        labels (numpy.ndarray): [N] int.
        views (int): how many views there are.
        iou_threshold (float): see above.

    Returns:
        tuple: boxes [M, 4] float32, scores [M] float32 and labels [M] int64, by falling score; ties by
        class, then by the best box of the cluster.
    """
    order = np.argsort(-np.asarray(scores), kind="stable")
    boxes, scores = np.asarray(boxes, np.float64)[order], np.asarray(scores, np.float64)[order]
    labels = np.asarray(labels, np.int64)[order]
    found = [np.zeros((0, 4))], [np.zeros(0)], [np.zeros(0, np.int64)]
    for label in np.unique(labels):
        mine = labels == label
        fused, fused_scores = _fuse_class(boxes[mine], scores[mine], views, iou_threshold)
        for whole, part in zip(found, (fused, fused_scores, np.full(len(fused), label))):
            whole.append(part)
    boxes, scores, labels = map(np.concatenate, found)
    scores = scores.astype(np.float32)
    order = np.argsort(-scores, kind="stable")
    return boxes[order].astype(np.float32), scores[order], labels[order]


def _fuse_class(boxes, scores, views, iou_threshold):
    """Fused boxes and scores of one class, whose boxes come best first."""
    count = 0
    fused, weighted, total = (np.zeros((len(boxes), size)) for size in (4, 4, 1))
    members = np.zeros(len(boxes))
    for box, score in zip(boxes, scores):
        overlap = box_iou(box[None], fused[:count])[0]
        at = int(overlap.argmax()) if count else 0
        if not count or not overlap[at] > iou_threshold:
            at, count = count, count + 1
        weighted[at] += score * box
        total[at] += score
        members[at] += 1
        fused[at] = weighted[at] / total[at]
    fused, total, members = fused[:count], total[:count, 0], members[:count]
    return fused, total / members * np.minimum(members, views) / views
