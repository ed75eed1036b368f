"""What every kind of NMS begins with: who enters, and how much two boxes overlap, both as Paddle has it."""

import numpy as np


def choose(scores, score_threshold, nms_top_k, background_label):
    """The boxes that enter, each once for every class in which it passes.

    Args:
        scores (numpy.ndarray): [C, L] float32.
        score_threshold (float): they score more than this.
        nms_top_k (int): best ones of a class, -1 for all; ties go to the lower index.
        background_label (int): a class to leave out, -1 for none.

    Returns:
        tuple: labels [N] int64 and indices [N] int64 into L, by class, then index.
    """
    passed = scores > np.float32(score_threshold)
    if 0 <= background_label < len(scores):
        passed[background_label] = False
    # On the flat array: nonzero is several times faster in one dimension.
    labels, indices = np.divmod(np.flatnonzero(passed), scores.shape[1])
    return _best_of_class(labels, indices, scores[labels, indices], nms_top_k)


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


class Overlaps:
    """IoU among the boxes that entered.

    Args:
        boxes (numpy.ndarray): [N, 4] float32 xyxy, in any unit.
        normalized (bool): False counts the last pixel in, so that a side is x2 - x1 + 1.
    """

    def __init__(self, boxes, normalized):
        self.sides = np.ascontiguousarray(np.asarray(boxes, np.float32).T)
        self.one = np.float32(0 if normalized else 1)
        width, height = self.sides[2] - self.sides[0], self.sides[3] - self.sides[1]
        # A box whose corners are swapped has no area.
        self.areas = np.where(
            (width < 0) | (height < 0), np.float32(0), (width + self.one) * (height + self.one)
        )

    def iou(self, first, second):
        """[A, B] float32: IoU of `first` [A], an index array, and `second` [B], a slice or an index array; or
        [B], where `first` is one index.

        0 where two do not even touch, NaN (0 / 0) for two empty boxes at one place: call it within
        `np.errstate(invalid="ignore")`.
        """
        first = first if isinstance(first, int) else first[:, None]
        a, b = self.sides[:, first], self.sides[:, second]
        width = np.minimum(a[2], b[2])
        width -= np.maximum(a[0], b[0])
        height = np.minimum(a[3], b[3])
        height -= np.maximum(a[1], b[1])
        apart = (width < 0) | (height < 0)
        width += self.one
        height += self.one
        width *= height
        union = self.areas[first] + self.areas[second]
        union -= width
        width /= union
        np.copyto(width, 0, where=apart)
        return width
