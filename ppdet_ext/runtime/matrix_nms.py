"""Matrix NMS: every score falls at once, by what overlaps it and by how far that is itself overlapped (Wang
et al., SOLOv2, NeurIPS 2020, section 3.3); what Paddle's `matrix_nms` gives."""

import numpy as np

from .nms_candidates import Overlaps, choose

# Candidates a step, which bounds the memory: pairs with all better ones of their classes are held at once.
BLOCK = 64


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
    labels, indices = choose(scores, score_threshold, nms_top_k, background_label)
    given = scores[labels, indices]
    order = np.lexsort((indices, -given, labels))  # class by class, best first
    labels, indices, given = labels[order], indices[order], given[order]
    overlaps = Overlaps(np.asarray(boxes, np.float32)[indices], normalized)
    lowered = given * _decay(overlaps, labels, use_gaussian, np.float32(gaussian_sigma))
    passed = np.flatnonzero(lowered > np.float32(post_threshold))
    passed = passed[np.lexsort((indices[passed], labels[passed], -lowered[passed]))]
    passed = passed if keep_top_k < 0 else passed[:keep_top_k]
    return indices[passed], labels[passed], lowered[passed]


def _decay(overlaps, labels, use_gaussian, sigma):
    """What each score is multiplied with, [N] float32.

    Args:
        overlaps (Overlaps): of N candidates, class by class, best first.
        labels (numpy.ndarray): [N] int, rising.
        use_gaussian (bool): the kind of fall.
        sigma (numpy.float32): of the Gaussian.
    """
    count = len(labels)
    starts = np.searchsorted(labels, labels, "left")
    decay = np.ones(count, np.float32)
    worst = np.zeros(count, np.float32)  # the largest IoU with a better one of the class
    with np.errstate(divide="ignore", invalid="ignore"):
        for start in range(0, count, BLOCK):
            end = min(start + BLOCK, count)
            first = starts[start]  # better ones of the block's classes stand from here on
            better, block = np.arange(first, end), np.arange(start, end)
            iou = overlaps.iou(better, block)
            # No rivals, or (0 / 0) empty boxes at one place. With 0 they lower nothing, below.
            iou[(better[:, None] >= block) | (better[:, None] < starts[block]) | np.isnan(iou)] = 0
            worst[start:end] = iou.max(0)
            known = worst[first:end, None]
            if use_gaussian:
                decay[start:end] = np.exp((known * known - iou * iou).min(0, initial=0) * sigma)
            else:
                # 0 / 0 counts for nothing: a copy of a box that is itself a copy
                decay[start:end] = np.fmin.reduce((1 - iou) / (1 - known), 0, initial=1)
    return decay
