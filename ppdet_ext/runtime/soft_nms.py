"""Soft-NMS: a box that a better one overlaps is not dropped, its score falls (Bodla et al., ICCV 2017,
section 3)."""

import numpy as np

from .nms_candidates import Overlaps, choose


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

    The best candidate of all is taken and those of its class that it overlaps fall, until `keep_top_k` are
    taken or none is left above `post_threshold`. Scores only fall, so the first `keep_top_k` taken from all
    classes together are the best of what each class alone would give.

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
    left = scores[labels, indices]
    overlaps = Overlaps(np.asarray(boxes, np.float32)[indices], normalized)
    starts = np.searchsorted(labels, labels, "left").tolist()
    ends = np.searchsorted(labels, labels, "right").tolist()
    nms_threshold, steepness = np.float32(nms_threshold), np.float32(-1 / gaussian_sigma)
    floor = np.float32(max(post_threshold, 0))  # what is taken stands at 0 from then on
    taken, taken_scores = [], []
    # One step a detection: a score depends on all taken before. Within a step nothing is looped over.
    with np.errstate(divide="ignore", invalid="ignore"):
        for _ in range(len(left) if keep_top_k < 0 else min(keep_top_k, len(left))):
            best = int(left.argmax())
            if not left[best] > floor:
                break
            taken.append(best)
            taken_scores.append(left[best])
            rivals = slice(starts[best], ends[best])
            iou = np.fmin(overlaps.iou(best, rivals), np.float32(1))  # NaN to 1
            if use_gaussian:
                left[rivals] *= np.exp(iou * iou * steepness)
            else:
                left[rivals] *= np.where(iou > nms_threshold, 1 - iou, np.float32(1))
            left[best] = 0
    return indices[taken], labels[taken], np.array(taken_scores, np.float32)
