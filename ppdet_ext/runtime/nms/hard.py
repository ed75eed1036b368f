"""Hard NMS in NumPy: class by class, detection for detection what Paddle's `multiclass_nms3` keeps, or over
all classes together.

Paddle works class by class and cuts to `keep_top_k` at the end. Here all candidates stand in one list, in
the order of Paddle's last sort: by falling score, then class, then index. Within a class that is Paddle's
own order, so a walk down the list makes the same choices and may stop at `keep_top_k`. The walk takes a
block of candidates a step and settles them among themselves; those it keeps take out at once all they overlap
further down, so that most candidates never come to be compared with each other.
"""

import numpy as np

from .candidates import Overlaps, choose

# Candidates a step. Larger blocks compare more pairs, smaller ones take more steps; 96..128 measured best.
BLOCK = 128
# How far down a step takes out candidates: further down the walk may never come (`keep_top_k`).
REACH = 2048


def multiclass_nms(
    boxes,
    scores,
    score_threshold=0.01,
    nms_top_k=1000,
    keep_top_k=300,
    nms_threshold=0.7,
    normalized=True,
    background_label=-1,
):
    """Non-maximum suppression over all classes of one image.

    Args:
        boxes (numpy.ndarray): [L, 4] float32 xyxy, in any unit.
        scores (numpy.ndarray): [C, L] float32.
        score_threshold (float): candidates score more than this.
        nms_top_k (int): best candidates of a class that enter, -1 for all.
        keep_top_k (int): best detections of the image that stay, -1 for all.
        nms_threshold (float): a box goes when its IoU with a better one of its class is more than this.
        normalized (bool): False counts the last pixel in, so that a side is x2 - x1 + 1.
        background_label (int): a class to leave out, -1 for none.

    Returns:
        tuple: indices [N] int64 into L and labels [N] int64, by falling score; ties by class, then index.
    """
    scores = np.asarray(scores, np.float32)
    labels, indices = choose(scores, score_threshold, nms_top_k, background_label)
    order = np.argsort(-scores[labels, indices], kind="stable")
    labels, indices = labels[order], indices[order]
    kept = _suppress(Overlaps(boxes, indices, normalized), labels, nms_threshold, keep_top_k)
    return indices[kept], labels[kept]


def class_agnostic_nms(
    boxes,
    scores,
    score_threshold=0.01,
    nms_top_k=1000,
    keep_top_k=300,
    nms_threshold=0.7,
    normalized=True,
    background_label=-1,
):
    """Non-maximum suppression in which a box also goes for a better one of another class.

    Each box enters once, with its best class: with any other it would fall to itself.

    Args:
        as of `multiclass_nms`, but `nms_top_k` counts the candidates of the image, not of a class.

    Returns:
        tuple: indices [N] int64 into L and labels [N] int64, by falling score; ties by class, then index.
    """
    scores = np.asarray(scores, np.float32)
    labels, indices = choose(scores, score_threshold, -1, background_label)
    # By class, then index, so that among equal scores the lower class stands first.
    order = np.argsort(-scores[labels, indices], kind="stable")
    _, first = np.unique(indices[order], return_index=True)
    order = order[np.sort(first)]
    order = order if nms_top_k < 0 else order[:nms_top_k]
    labels, indices = labels[order], indices[order]
    kept = _suppress(Overlaps(boxes, indices, normalized), None, nms_threshold, keep_top_k)
    return indices[kept], labels[kept]


def _suppress(overlaps, labels, threshold, keep_top_k):
    """Positions of the first `keep_top_k` candidates that no better kept one of their class overlaps.

    Args:
        overlaps (Overlaps): of N candidates, best first.
        labels (numpy.ndarray | None): [N] int, None where all are of one class.
        threshold (float): IoU above which a candidate goes.
        keep_top_k (int): how many to keep, -1 for all.

    Returns:
        numpy.ndarray: int64, rising.
    """
    count = len(overlaps.areas)
    limit = count if keep_top_k < 0 else keep_top_k
    threshold = np.float32(threshold)
    labels = None if labels is None else labels.astype(np.int32)

    def suppresses(first, second):
        # Not 'iou > threshold': two empty boxes at one place give 0 / 0, and Paddle drops the second.
        goes = ~(overlaps.iou(first, second) <= threshold)
        return goes if labels is None else goes & (labels[first, None] == labels[second])

    kept = np.zeros(0, np.int64)
    with np.errstate(divide="ignore", invalid="ignore"):
        for start in range(0, count, REACH):
            left = np.arange(start, min(start + REACH, count))
            if len(kept):
                left = left[~suppresses(kept, left).any(0)]
            while len(left):
                block, left = left[:BLOCK], left[BLOCK:]
                stays = block[_settle(np.triu(suppresses(block, block), 1))]
                kept = np.concatenate([kept, stays])
                if len(kept) >= limit:
                    return kept[:limit]
                if len(left):
                    left = left[~suppresses(stays, left).any(0)]
    return kept


def _settle(suppresses):
    """Greedy choice among candidates, best first.

    Args:
        suppresses (numpy.ndarray): [N, N] bool, strictly upper triangular: row takes out column if row
            itself stays.

    Returns:
        numpy.ndarray: [N] bool. Who stays follows from those before; a pass settles at least one more link
        of the longest chain, so the passes end with the one consistent answer, the greedy one.
    """
    stays = np.ones(len(suppresses), bool)
    contested = suppresses.any(1)
    rows = suppresses[contested]
    while True:
        now = ~rows[stays[contested]].any(0)
        if (now == stays).all():
            return stays
        stays = now
