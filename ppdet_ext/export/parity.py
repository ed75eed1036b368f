"""The gates that an exported file has to pass, and the comparison behind them."""

import numpy as np

from ppdet_ext.runtime.nms import multiclass_nms

# For raw outputs, by the file's precision: relative, absolute for boxes (pixels), absolute for scores. FP32
# is the project's gate between engines; half precision keeps 11 bits, and a network multiplies the error.
GATES = {"fp32": (1e-3, 1e-4, 1e-4), "fp16": (1e-2, 1.0, 1e-2)}
# After NMS, FP32: how far a detection may move (pixels) and its score change. Half precision: ten times that.
BOX_GATE, SCORE_GATE = 0.5, 1e-3


def compare_raw(what, outputs, reference, precision="fp32"):
    """Compares raw outputs with those of the model as trained.

    Args:
        what (str): the file, for the error.
        outputs, reference (tuple): boxes [B, L, 4] (network pixels) and scores [B, C, L].
        precision (str): a key of ``GATES``.

    Returns:
        float: the largest difference over the largest value of its reference.

    Raises:
        ValueError: other shapes, or a difference outside the gates.
    """
    rtol, *atols = GATES[precision]
    worst = 0.0
    for name, atol, ours, theirs in zip(("boxes", "scores"), atols, outputs, reference):
        ours = np.asarray(ours, dtype=np.float64)
        if ours.shape != theirs.shape:
            raise ValueError(
                f"{what}: {name} have shape {list(ours.shape)}, but {list(theirs.shape)} in the model as "
                "trained; not usable"
            )
        difference = np.abs(ours - theirs)
        if not np.isfinite(difference).all() or (difference > atol + rtol * np.abs(theirs)).any():
            raise ValueError(
                f"{what}: {name} differ from the model as trained by up to "
                f"{np.nanmax(difference):.3g} (gate: rtol {rtol}, atol {atol}); not usable"
            )
        worst = max(worst, difference.max() / max(np.abs(theirs).max(), 1e-12))
    return float(worst)


def compare_detections(what, outputs, reference, settings, precision="fp32"):
    """Compares what an in-graph NMS gives with NMS in NumPy on the raw outputs of the model as trained.

    Args:
        what (str): the file, for the error.
        outputs (tuple): num_dets [B, 1], det_boxes [B, K, 4], det_scores [B, K], det_classes [B, K].
        reference (tuple): raw boxes [B, L, 4] and scores [B, C, L].
        settings (dict): of the NMS, as :func:`ppdet_ext.runtime.nms.multiclass_nms` takes them.
        precision (str): 'fp32', or 'fp16' for gates ten times as wide.

    Returns:
        float: the largest difference of a score.

    Raises:
        ValueError: a detection too many, too few, or elsewhere.
    """
    wider = 1 if precision == "fp32" else 10
    worst = 0.0
    for image, (count, boxes, scores, labels) in enumerate(zip(*outputs)):
        index, label = multiclass_nms(reference[0][image], reference[1][image], **settings)
        expected = reference[0][image][index], reference[1][image][label, index], label
        found = boxes[: int(count)], scores[: int(count)], labels[: int(count)]
        unmatched = match_detections(found, expected, BOX_GATE * wider, SCORE_GATE * wider)
        if unmatched:
            raise ValueError(
                f"{what}: of image {image}, {unmatched} detections of its NMS ({int(count)}) and of the "
                f"model as trained ({len(index)}) have no partner; not usable"
            )
        if len(index):
            worst = max(worst, float(np.abs(np.sort(found[1]) - np.sort(expected[1])).max()))
    return worst


def match_detections(found, expected, box_gate=BOX_GATE, score_gate=SCORE_GATE):
    """Counts the detections of two answers for one image that have no partner in the other.

    Partners have one label, and boxes and scores within the gates; each has one partner at most.

    Args:
        found, expected (tuple): boxes [N, 4] xyxy, scores [N], labels [N].
        box_gate (float): pixels, for each side.
        score_gate (float): difference of scores.

    Returns:
        int: detections without a partner, of both answers together.
    """
    boxes, scores, labels = (np.asarray(part) for part in found)
    free = np.ones(len(scores), bool)
    missing = 0
    for box, score, label in zip(*expected):
        near = free & (labels == label) & (np.abs(scores - score) <= score_gate)
        near &= (np.abs(boxes - box) <= box_gate).all(1)
        candidates = np.flatnonzero(near)
        if not len(candidates):
            missing += 1
            continue
        free[candidates[np.abs(boxes[candidates] - box).sum(1).argmin()]] = False
    return missing + int(free.sum())
