"""Matrix NMS: every score falls at once, by what overlaps it and by how far that is itself overlapped (Wang
et al., SOLOv2, NeurIPS 2020, section 3.3); what Paddle's `matrix_nms` gives.

Only boxes of one class are compared, and only those good enough to be among the `keep_top_k` best. Classes
with about as many candidates stand side by side, filled up to one length, so that the steps in Python are
some dozens, however many classes and candidates there are.
"""

import numpy as np

from .candidates import Overlaps, choose

# So many times `keep_top_k` of the best candidates go ahead and say how good a candidate has to be; that pays
# where there are at least so many times as many.
AHEAD, PAYS = 2, 3
# Pairs a step, which bounds the memory. Larger steps leave the processor's cache and compare more in vain.
PAIRS = 24576
# Classes stand side by side that have more than this share of the longest one's candidates ...
ALIKE = 0.75
# ... or no more than so many.
FEW = 12


def matrix_nms(
    boxes,
    scores,
    score_threshold,
    nms_top_k,
    keep_top_k,
    post_threshold,
    use_gaussian,
    gaussian_sigma,
    normalized=True,
    background_label=-1,
):
    """Class-wise Matrix NMS of one image.

    Args:
        boxes (numpy.ndarray): [L, 4] float32 xyxy, in any unit.
        scores (numpy.ndarray): [C, L] float32.
        score_threshold (float): candidates score more than this.
        nms_top_k (int): best candidates of a class that enter, -1 for all.
        keep_top_k (int): best detections of the image that stay, -1 for all.
        post_threshold (float): detections score more than this after the fall.
        use_gaussian (bool): scores fall by exp(-gaussian_sigma IoU^2), not by 1 - IoU.
        gaussian_sigma (float): above 0.
        normalized (bool): False counts the last pixel in, so that a side is x2 - x1 + 1.
        background_label (int): a class to leave out, -1 for none.

    Returns:
        tuple: indices [N] int64 into L, labels [N] int64 and the lowered scores [N] float32, by falling
        score. Ties go by class, then index, before the fall as after it; Paddle leaves their order open.
    """
    scores = np.asarray(scores, np.float32)
    # Scores only fall, so that nothing enters that cannot pass in the end.
    score_threshold = max(score_threshold, post_threshold)
    labels, indices = choose(scores, score_threshold, nms_top_k, background_label)
    given = scores[labels, indices]
    order = np.argsort(-given, kind="stable")  # ties by class, then index

    def lower(order):
        """Candidates [N], best first, as indices, labels and lowered scores of those that pass."""
        order = order[np.argsort(labels[order].astype(np.int32), kind="stable")]  # class by class, best first
        overlaps = Overlaps(boxes, indices[order], normalized)
        lowered = given[order] * _decay(overlaps, labels[order], use_gaussian, np.float32(gaussian_sigma))
        passed = lowered > np.float32(post_threshold)
        return indices[order[passed]], labels[order[passed]], lowered[passed]

    if 0 <= keep_top_k and PAYS * AHEAD * keep_top_k < len(order):
        # Only better ones lower a score: the best can go ahead, and what comes in below the last one that
        # stays of them is out.
        best = lower(order[: AHEAD * keep_top_k])[2]
        if len(best) >= keep_top_k:
            last = np.partition(best, -keep_top_k)[-keep_top_k]
            order = order[: np.count_nonzero(given >= last)]
    indices, labels, lowered = lower(order)
    order = np.lexsort((indices, labels, -lowered))
    order = order if keep_top_k < 0 else order[:keep_top_k]
    return indices[order], labels[order], lowered[order]


def _decay(overlaps, labels, use_gaussian, sigma):
    """What each score is multiplied with, [N] float32.

    Args:
        overlaps (Overlaps): of N candidates, class by class, best first.
        labels (numpy.ndarray): [N] int, rising.
        use_gaussian (bool): the kind of fall.
        sigma (numpy.float32): of the Gaussian.
    """
    decay = np.ones(len(labels), np.float32)
    counts = np.bincount(labels)
    starts = np.cumsum(counts) - counts
    with np.errstate(divide="ignore", invalid="ignore"):
        for classes in _alike(counts):
            longest = np.arange(counts[classes[0]])
            inside = longest < counts[classes][:, None]
            # The places behind a shorter class repeat its first box: nothing stands behind them.
            places = starts[classes][:, None] + np.where(inside, longest, 0)
            part = _decay_alike(overlaps, places, use_gaussian, sigma)
            decay[places[inside]] = part[inside]
    return decay


def _alike(counts):
    """Arrays of classes with about as many candidates each, longest first; without those of one or none."""
    order = np.argsort(-counts, kind="stable")
    order = order[counts[order] > 1]
    while len(order):
        longest = counts[order[0]]
        least = 0 if longest <= FEW else ALIKE * longest
        count = np.count_nonzero(counts[order] > min(least, longest - 1))
        yield order[:count]
        order = order[count:]


def _decay_alike(overlaps, places, use_gaussian, sigma):
    """As `_decay`, for classes side by side.

    Args:
        places (numpy.ndarray): [G, M] int, the candidates of G classes, best first.

    Returns:
        numpy.ndarray: [G, M] float32.
    """
    groups, length = places.shape
    sides, areas = overlaps.take(places)
    decay = np.ones(places.shape, np.float32)
    worst = np.zeros(places.shape, np.float32)  # the largest IoU with a better one
    end = 0
    while end < length:
        start, end = end, min(end + max(PAIRS // (groups * (end + 32)), 8), length)
        better, area = sides[:, :, None, :end], areas[:, None, :end]
        iou = overlaps.among(better, area, sides[:, :, start:end, None], areas[:, start:end, None])
        if not overlaps.simple:
            np.nan_to_num(iou, copy=False, nan=0)  # 0 / 0, empty boxes at one place: they lower nothing
        iou[..., start:] *= np.tri(end - start, k=-1, dtype=np.float32)  # nothing but better ones
        iou.max(2, out=worst[:, start:end])
        known = worst[:, None, :end]
        if use_gaussian:
            iou *= iou
            least = np.subtract(known * known, iou, out=iou).min(2)
            decay[:, start:end] = np.exp(np.minimum(least, 0) * sigma)
        else:
            np.subtract(1, iou, out=iou)
            rest = 1 - known
            copies = rest == 0
            if copies.any():
                # 0 / 0 counts for nothing: a copy of a box that is itself a copy
                np.copyto(iou, 1, where=copies)
                rest[copies] = 1
            iou /= rest
            decay[:, start:end] = np.minimum(iou.min(2), 1)
    return decay
