"""Soft-NMS: a box that a better one overlaps is not dropped, its score falls (Bodla et al., ICCV 2017,
section 3)."""

import numpy as np

from .candidates import Overlaps, choose

# The candidates still in play are packed together when this share of them is left.
PACK = 0.75


def soft_nms(
    boxes,
    scores,
    score_threshold,
    nms_top_k,
    keep_top_k,
    nms_threshold,
    post_threshold,
    use_gaussian,
    gaussian_sigma,
    normalized=True,
    background_label=-1,
):
    """Class-wise Soft-NMS of one image.

    A round takes the best candidate of every class, and those of its class that it overlaps fall. A class
    ends when none of its candidates is left above `post_threshold`, or above the last of the `keep_top_k`
    best taken so far: scores only fall.

    Args:
        boxes (numpy.ndarray): [L, 4] float32 xyxy, in any unit.
        scores (numpy.ndarray): [C, L] float32.
        score_threshold (float): candidates score more than this.
        nms_top_k (int): best candidates of a class that enter, -1 for all.
        keep_top_k (int): best detections of the image that stay, -1 for all.
        nms_threshold (float): linear only: an IoU above this multiplies the score with 1 - IoU.
        post_threshold (float): detections score more than this after the fall.
        use_gaussian (bool): any IoU multiplies the score with exp(-IoU^2 / gaussian_sigma) instead.
        gaussian_sigma (float): above 0.
        normalized (bool): False counts the last pixel in, so that a side is x2 - x1 + 1.
        background_label (int): a class to leave out, -1 for none.

    Returns:
        tuple: indices [N] int64 into L, labels [N] int64 and the lowered scores [N] float32, by falling
        score; ties by class, then index. Two empty boxes at one place overlap wholly.
    """
    scores = np.asarray(scores, np.float32)
    labels, indices = choose(scores, score_threshold, nms_top_k, background_label)
    nms_threshold, steepness = np.float32(nms_threshold), np.float32(-1 / gaussian_sigma)

    def fall(iou):
        iou = np.fmin(iou, np.float32(1))  # NaN to 1
        if use_gaussian:
            return np.exp(iou * iou * steepness)
        return np.where(iou > nms_threshold, 1 - iou, np.float32(1))

    with np.errstate(divide="ignore", invalid="ignore"):
        field = _Field(Overlaps(boxes, indices, normalized), scores[labels, indices], labels)
        taken, lowered = _play(field, fall, np.float32(max(post_threshold, 0)), keep_top_k)
    order = np.lexsort((taken, -lowered))  # candidates stand by class, then index
    order = order if keep_top_k < 0 else order[:keep_top_k]
    taken = taken[order]
    return indices[taken], labels[taken], lowered[order]


def _play(field, fall, floor, keep_top_k):
    """Rounds until no candidate is left above `floor`: positions and scores of those taken."""
    taken, lowered, count = [np.zeros(0, np.int64)], [np.zeros(0, np.float32)], 0
    while field.pack(floor):
        places, best = field.take(fall)
        above = best > floor
        taken.append(places[above])
        lowered.append(best[above])
        count += len(taken[-1])
        if 0 <= keep_top_k <= count:
            last = np.partition(np.concatenate(lowered), -keep_top_k)[-keep_top_k]
            # What ties with the last one that stays is still taken: class and index decide at the end.
            floor = max(floor, np.nextafter(last, np.float32(0)))
    return np.concatenate(taken), np.concatenate(lowered)


class _Field:
    """The candidates still in play, class by class.

    Args:
        overlaps (Overlaps): of N candidates.
        scores (numpy.ndarray): [N] float32.
        labels (numpy.ndarray): [N] int, rising.
    """

    def __init__(self, overlaps, scores, labels):
        self.overlaps = overlaps
        self.scores = scores
        self.labels = labels
        self.places = np.arange(len(scores))
        self._gather()

    def _gather(self):
        labels = self.labels[self.places]
        self.sides, self.areas = self.overlaps.take(self.places)
        starts = np.ones(len(labels), bool)
        starts[1:] = labels[1:] != labels[:-1]
        self.starts = np.flatnonzero(starts)
        self.group = np.cumsum(starts) - 1  # number of the class among those in play

    def pack(self, floor):
        """Leave out who has fallen to `floor`, if those are many; whether anyone is left above it."""
        above = self.scores > floor
        count = np.count_nonzero(above)
        if count <= PACK * len(above):
            self.places, self.scores = self.places[above], self.scores[above]
            self._gather()
        return count > 0

    def take(self, fall):
        """Take the best candidate of each class out, and let its rivals fall.

        Args:
            fall (callable): what an IoU [N] float32 multiplies a score with, [N] float32.

        Returns:
            tuple: positions [G] int64 and scores [G] float32 of those taken; ties go to the first.
        """
        best = np.maximum.reduceat(self.scores, self.starts)
        if len(best) == 1:
            picks = rivals = np.array([self.scores.argmax()])  # one class: nothing to be brought together
        else:
            equal = np.flatnonzero(self.scores == best[self.group])
            groups = self.group[equal]
            picks = equal[np.flatnonzero(np.append(True, groups[1:] != groups[:-1]))]
            rivals = picks[self.group]
        iou = self.overlaps.among(np.take(self.sides, rivals, 1), self.areas[rivals], self.sides, self.areas)
        self.scores = self.scores * fall(iou)
        self.scores[picks] = 0
        return self.places[picks], best
