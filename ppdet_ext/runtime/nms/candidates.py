"""What every kind of NMS begins with: who enters, and how much two boxes overlap, both as Paddle has it."""

import math

import numpy as np

WORD = 8  # bytes; so many flags are looked at in one step


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
    labels, indices = np.divmod(_flagged(passed.ravel()), max(scores.shape[1], 1))
    return _best_of_class(labels, indices, scores[labels, indices], nms_top_k)


def _flagged(flags):
    """`np.flatnonzero` for flags [N] bool of which few are set: most words of them are zero as a whole."""
    whole = len(flags) // WORD * WORD
    words = np.flatnonzero(flags[:whole].view(np.uint64))
    inside = np.flatnonzero(flags[:whole].reshape(-1, WORD)[words])
    places = words[inside // WORD] * WORD + inside % WORD
    return np.concatenate([places, np.flatnonzero(flags[whole:]) + whole])


def _best_of_class(labels, indices, scores, top_k):
    """Keep the `top_k` best of each class; labels rise, ties go to the lower index."""
    counts = np.bincount(labels) if len(labels) else np.zeros(1, np.int64)
    if top_k < 0 or counts.max() <= top_k:
        return labels, indices
    keep = np.ones(len(labels), bool)
    ends = np.cumsum(counts)
    for label in np.flatnonzero(counts > top_k):
        mine = slice(ends[label] - counts[label], ends[label])
        keep[mine] = False
        keep[mine.start + np.argsort(-scores[mine], kind="stable")[:top_k]] = True
    return labels[keep], indices[keep]


class Overlaps:
    """IoU among boxes.

    Args:
        boxes (numpy.ndarray): [L, 4] float32 xyxy, in any unit.
        indices (numpy.ndarray): [N] int, those of `boxes` that entered; all arguments below count in them.
        normalized (bool): False counts the last pixel in, so that a side is x2 - x1 + 1.
    """

    def __init__(self, boxes, indices, normalized):
        self.sides = np.take(np.asarray(boxes, np.float32).T, indices, 1)
        self.one = np.float32(0 if normalized else 1)
        width, height = self.sides[2] - self.sides[0], self.sides[3] - self.sides[1]
        # A box whose corners are swapped has no area.
        self.areas = np.where(
            (width < 0) | (height < 0), np.float32(0), (width + self.one) * (height + self.one)
        )
        # Then nothing divides 0 by 0, and boxes apart need no step of their own: a side cut at 0 says it.
        self.simple = bool(normalized and len(self.areas) and self.areas.min() > 0)
        self._scratch = np.zeros((4, 0), np.float32)

    def iou(self, first, second):
        """[A, B] float32: IoU of `first` [A] and `second` [B], both index arrays; as `among` gives it."""
        (a, area_a), (b, area_b) = self.take(first), self.take(second)
        return self.among(a[..., None], area_a[..., None], b[:, None], area_b)

    def take(self, indices):
        """Sides [4, ...] and areas [...] at `indices` [...], for `among`."""
        # Not `sides[:, indices]`: that lays the four sides of a box side by side, which slows `among` down.
        return np.take(self.sides, indices, 1), self.areas[indices]

    def among(self, a, area_a, b, area_b):
        """IoU of boxes that NumPy's broadcasting brings together.

        Args:
            a, b (numpy.ndarray): [4, ...] float32 xyxy.
            area_a, area_b (numpy.ndarray): [...] float32, taken from `areas`.

        Returns:
            numpy.ndarray: [...] float32, valid until the next call; 0 where two do not even touch, NaN
            (0 / 0) for two empty boxes in one place: call it within
            `np.errstate(divide="ignore", invalid="ignore")`.
        """
        width, height, other, zeros = self._buffers(np.broadcast(area_a, area_b).shape)
        np.minimum(a[2], b[2], out=width)
        np.minimum(a[3], b[3], out=height)
        width -= np.maximum(a[0], b[0], out=other)
        height -= np.maximum(a[1], b[1], out=other)
        if self.simple:
            np.maximum(width, zeros, out=width)
            np.maximum(height, zeros, out=height)
        else:
            apart = (width < 0) | (height < 0)
            width += self.one
            height += self.one
        width *= height
        np.add(area_a, area_b, out=other)
        other -= width
        width /= other
        if not self.simple:
            np.copyto(width, 0, where=apart)
        return width

    def _buffers(self, shape):
        """Three arrays to compute in and one of zeros: NumPy's maximum with one number is much slower."""
        size = math.prod(shape)
        if size > self._scratch.shape[1]:
            self._scratch = np.zeros((4, size), np.float32)
        return self._scratch[:, :size].reshape(4, *shape)
