"""The score threshold at which a detector goes to work: what it finds there, and how often it cries wolf."""

from dataclasses import asdict, dataclass
from typing import Optional

import numpy as np


@dataclass
class OperatingPoint:
    """What a detector does at one threshold.

    Args:
        threshold (float): detections that score at least this count.
        recall (float): share of the annotated boxes that are found, 0..1.
        precision (float | None): share of the detections that are right; None without detections.
        f_score (float): harmonic mean of both.
        missed (int): annotated boxes that are not found.
        false_alarms (int): detections that are not right.
        false_alarms_an_image (float)
    """

    threshold: float
    recall: float
    precision: Optional[float]
    f_score: float
    missed: int
    false_alarms: int
    false_alarms_an_image: float

    def to_dict(self):
        """Plain values for JSON."""
        return asdict(self)


def curve(matches):
    """What happens at every score that the detector gave.

    Args:
        matches (Matches)

    Returns:
        dict: of [T] arrays: threshold (falling), recall, precision, f_score.

    Raises:
        ValueError: no annotated boxes, or no detections.
    """
    if not len(matches.truth_labels):
        raise ValueError("there are no annotated boxes, so there is no recall; take another part of the data")
    if not len(matches.scores):
        raise ValueError("the detector found nothing at all; lower the score threshold of its NMS settings")
    order = np.argsort(-matches.scores, kind="stable")
    scores, right = matches.scores[order], np.cumsum(matches.correct[order])
    last = np.append(scores[1:] < scores[:-1], True)  # equal scores pass together
    right, total = right[last], np.flatnonzero(last) + 1
    recall, precision = right / len(matches.truth_labels), right / total
    f_score = 2 * right / (total + len(matches.truth_labels))
    return {"threshold": scores[last], "recall": recall, "precision": precision, "f_score": f_score}


def best_f_score(matches):
    """The threshold with the best F; the highest of equals."""
    found = curve(matches)
    return float(found["threshold"][found["f_score"].argmax()])


def threshold_for_recall(matches, recall):
    """The highest threshold with at least this recall.

    Raises:
        ValueError: no threshold has it; the message says how far the detector goes.
    """
    found = curve(matches)
    enough = np.flatnonzero(found["recall"] >= recall)
    if not len(enough):
        raise ValueError(
            f"no threshold finds {recall:.1%} of the annotated boxes; the detector finds "
            f"{found['recall'][-1]:.1%} at its lowest score"
        )
    return float(found["threshold"][enough[0]])


def operate(matches, threshold, images):
    """What the detector does at a threshold.

    Args:
        matches (Matches)
        threshold (float): detections that score at least this count.
        images (int): so many images there are, with and without detections.

    Returns:
        OperatingPoint
    """
    return _point([matches], [threshold], images)


def cross_fitted(matches, images, choose):
    """An operating point whose threshold was not chosen on the images that it is measured on.

    The threshold for the images of even number is chosen on those of odd number, and the other way round.

    Args:
        matches (Matches)
        images (int): so many images there are.
        choose (callable): matches -> threshold.

    Returns:
        OperatingPoint: of both halves together; its threshold is the mean.
    """
    halves = [matches.select(np.arange(start, images, 2)) for start in (0, 1)]
    return _point(halves, [choose(halves[1]), choose(halves[0])], images)


def _point(parts, thresholds, images):
    passed = [part.scores >= threshold for part, threshold in zip(parts, thresholds)]
    right = int(sum((part.correct & keep).sum() for part, keep in zip(parts, passed)))
    total = int(sum(keep.sum() for keep in passed))
    truths = sum(len(part.truth_labels) for part in parts)
    return OperatingPoint(
        threshold=float(np.mean(thresholds)),
        recall=right / truths if truths else 1.0,
        precision=right / total if total else None,
        f_score=2 * right / (total + truths) if total + truths else 1.0,
        missed=truths - right,
        false_alarms=total - right,
        false_alarms_an_image=(total - right) / max(images, 1),
    )
