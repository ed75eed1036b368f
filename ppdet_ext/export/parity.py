"""The gates that an exported file has to pass, and the comparison behind them."""

import numpy as np

from ppdet_ext.runtime.nms import multiclass_nms
from ppdet_ext.runtime.nms.candidates import choose

# For raw outputs, by the file's precision: relative, absolute for boxes (pixels), absolute for scores. FP32
# is the project's gate between engines; half precision keeps 11 bits, and a network multiplies the error. A
# box is measured by its largest coordinate: sides are sums of a place and a size, and one near 0 has their
# error.
GATES = {"fp32": (1e-3, 1e-4, 1e-4), "fp16": (1e-2, 1.0, 1e-2)}
# After NMS, FP32: how far a detection may move (pixels) and its score change. Half precision: ten times that.
BOX_GATE, SCORE_GATE = 0.5, 1e-3
# Scores closer than this are in another order in another engine.
TIE = 1e-6


def raw_difference(outputs, reference, precision="fp32"):
    """How far raw outputs are from those of the model as trained.

    Args:
        outputs, reference (tuple): boxes [B, L, 4] (network pixels) and scores [B, C, L].
        precision (str): of the outputs; one without gates here (int8) is measured and not judged.

    Returns:
        tuple: the largest difference over the largest value of its reference (float), and what is outside the
        gates (str, or None).
    """
    rtol, *atols = GATES.get(precision, (0.0, np.inf, np.inf))  # not infinity times a score of 0
    worst, fault = 0.0, None
    for name, atol, ours, theirs in zip(("boxes", "scores"), atols, outputs, reference):
        ours = np.asarray(ours, dtype=np.float64)
        if ours.shape != theirs.shape:
            return np.inf, f"{name} have shape {list(ours.shape)}, but {list(theirs.shape)} as trained"
        difference = np.abs(ours - theirs)
        worst = max(worst, float(difference.max() / max(np.abs(theirs).max(), 1e-12)))
        scale = np.abs(theirs).max(-1, keepdims=True) if name == "boxes" else np.abs(theirs)
        if not (difference <= atol + rtol * scale).all():
            fault = fault or (
                f"{name} differ from the model as trained by up to {difference.max():.3g} "
                f"(gate: rtol {rtol}, atol {atol})"
            )
    return worst, fault


def compare_raw(what, outputs, reference, precision="fp32"):
    """:func:`raw_difference` as a gate.

    Args:
        what (str): the file, for the error.
        The others: as there.

    Returns:
        float: the largest difference over the largest value of its reference.

    Raises:
        ValueError: other shapes, or a difference outside the gates.
    """
    worst, fault = raw_difference(outputs, reference, precision)
    if fault:
        raise ValueError(f"{what}: {fault}; not usable")
    return worst


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
    gates = BOX_GATE * wider, SCORE_GATE * wider
    worst = 0.0
    for image, (count, boxes, scores, labels) in enumerate(zip(*outputs)):
        index, label = multiclass_nms(reference[0][image], reference[1][image], **settings)
        expected = reference[0][image][index], reference[1][image][label, index], label
        found = boxes[: int(count)], scores[: int(count)], labels[: int(count)]
        unmatched = count_unmatched(found, expected, *gates) + count_unmatched(expected, found, *gates)
        if unmatched and _are_ties(reference[1][image], settings):
            raise ValueError(
                f"{what}: most scores are within {TIE:g} of the next, as those of a model that has hardly "
                "learnt anything; what NMS keeps of them is chance. Train it longer, or export without --nms"
            )
        if unmatched:
            raise ValueError(
                f"{what}: of image {image}, {unmatched} detections of its NMS ({int(count)}) and of the "
                f"model as trained ({len(index)}) have no partner; not usable"
            )
        if len(index):
            worst = max(worst, float(np.abs(np.sort(found[1]) - np.sort(expected[1])).max()))
    return worst


def _are_ties(scores, settings):
    """Whether most of the scores [C, L] that an NMS sorts, class by class, are next to equal."""
    background = settings.get("background_label", -1)
    labels, indices = choose(scores, settings["score_threshold"], settings["nms_top_k"], background)
    chosen = scores[labels, indices]
    order = np.lexsort((chosen, labels))
    gaps = np.diff(chosen[order])[np.diff(labels[order]) == 0]
    return len(gaps) > 0 and np.median(gaps) < TIE


def count_unmatched(wanted, candidates, box_gate=BOX_GATE, score_gate=SCORE_GATE):
    """Counts the detections of one answer for an image that have no partner in another.

    Partners have one label, and boxes and scores within the gates; a candidate is a partner once.

    Args:
        wanted, candidates (tuple): boxes [N, 4] xyxy, scores [N], labels [N].
        box_gate (float): pixels, for each side.
        score_gate (float): difference of scores.

    Returns:
        int: of the wanted ones.
    """
    boxes, scores, labels = (np.asarray(part) for part in candidates)
    free = np.ones(len(scores), bool)
    missing = 0
    for box, score, label in zip(*wanted):
        near = free & (labels == label) & (np.abs(scores - score) <= score_gate)
        near &= (np.abs(boxes - box) <= box_gate).all(1)
        partners = np.flatnonzero(near)
        if len(partners):
            free[partners[np.abs(boxes[partners] - box).sum(1).argmin()]] = False
        else:
            missing += 1
    return missing
