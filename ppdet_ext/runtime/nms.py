"""Class-wise hard NMS in NumPy, detection for detection what Paddle's `multiclass_nms3` keeps.

Paddle works class by class and cuts to `keep_top_k` at the end. Here all candidates stand in one list, in
the order of Paddle's last sort: by falling score, then class, then index. Within a class that is Paddle's
own order, so a walk down the list makes the same choices and may stop at `keep_top_k`. The walk takes a
block of candidates a step: those that overlap a kept box fall out in one comparison, the rest are settled
among themselves.
"""

import numpy as np

# Candidates a step. Larger blocks compare more pairs, smaller ones take more steps; 128..256 measured best.
BLOCK = 192


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
    passed = scores > np.float32(score_threshold)
    if 0 <= background_label < len(scores):
        passed[background_label] = False
    # On the flat array: nonzero is several times faster in one dimension.
    labels, indices = np.divmod(np.flatnonzero(passed), scores.shape[1])
    labels, indices = _best_of_class(labels, indices, scores[labels, indices], nms_top_k)
    order = np.argsort(-scores[labels, indices], kind="stable")
    labels, indices = labels[order], indices[order]
    kept = _suppress(
        np.ascontiguousarray(np.asarray(boxes, np.float32)[indices].T),
        labels,
        np.float32(nms_threshold),
        np.float32(0 if normalized else 1),
        len(labels) if keep_top_k < 0 else keep_top_k,
    )
    return indices[kept], labels[kept]


def _best_of_class(labels, indices, scores, top_k):
    """Keep the `top_k` best of each class; labels rise, ties go to the lower index."""
    counts = np.bincount(labels) if len(labels) else np.zeros(1, np.int64)
    if top_k < 0 or counts.max() <= top_k:
        return labels, indices
    order = np.lexsort((-scores, labels))
    first = np.cumsum(counts) - counts
    rank = np.arange(len(order)) - first[labels[order]]
    chosen = np.sort(order[rank < top_k])
    return labels[chosen], indices[chosen]


def _suppress(sides, labels, threshold, one, limit):
    """Positions of the first `limit` candidates that no better kept one of their class overlaps.

    Args:
        sides (numpy.ndarray): [4, N] float32, xyxy, best candidate first.
        labels (numpy.ndarray): [N] int.
        threshold (numpy.float32): IoU above which a candidate goes.
        one (numpy.float32): what is added to a side's length.
        limit (int): how many to keep.
    """
    areas = _areas(sides, one)
    kept = np.zeros(0, np.int64)
    for start in range(0, len(labels), BLOCK):
        block = np.arange(start, min(start + BLOCK, len(labels)))
        if len(kept):
            block = block[~_overlaps(sides, areas, labels, kept, block, threshold, one).any(0)]
        within = np.triu(_overlaps(sides, areas, labels, block, block, threshold, one), 1)
        kept = np.concatenate([kept, block[_settle(within)]])
        if len(kept) >= limit:
            break
    return kept[:limit]


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


def _areas(sides, one):
    """Areas [N] of boxes [4, N]; 0 for one whose corners are swapped."""
    width, height = sides[2] - sides[0], sides[3] - sides[1]
    return np.where((width < 0) | (height < 0), np.float32(0), (width + one) * (height + one))


def _overlaps(sides, areas, labels, first, second, threshold, one):
    """[A, B] bool: which of `first` [A] and `second` [B] are of one class with IoU above `threshold`."""
    a, b = sides[:, first, None], sides[:, None, second]
    width = np.minimum(a[2], b[2])
    width -= np.maximum(a[0], b[0])
    height = np.minimum(a[3], b[3])
    height -= np.maximum(a[1], b[1])
    touching = (width >= 0) & (height >= 0) & (labels[first, None] == labels[second])
    width += one
    height += one
    width *= height
    union = areas[first, None] + areas[second]
    union -= width
    with np.errstate(divide="ignore", invalid="ignore"):
        width /= union
    # Not 'iou > threshold': two empty boxes at one place give 0 / 0, and Paddle drops the second.
    return touching & ~(width <= threshold)
