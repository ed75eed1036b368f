"""Which detections are right and which annotated boxes are found, at one IoU."""

from dataclasses import dataclass
from typing import List

import numpy as np

from ppdet_ext.runtime.box_iou import box_iou

# The rules by which detections and annotated boxes are paired.
RULES = ("score", "deep_pcb")


@dataclass
class Matches:
    """Detections and annotated boxes of a dataset, paired.

    Args:
        scores (ndarray): [N] float32, of all detections.
        labels (ndarray): [N] int64.
        images (ndarray): [N] int64, number of the image.
        correct (ndarray): [N] bool: paired with an annotated box of its class.
        truth_labels (ndarray): [G] int64, of all annotated boxes.
        truth_images (ndarray): [G] int64.
        finder (ndarray): [G] int64, the detection that found the box, -1 for none.
        names (list[str]): of the classes.
    """

    scores: np.ndarray
    labels: np.ndarray
    images: np.ndarray
    correct: np.ndarray
    truth_labels: np.ndarray
    truth_images: np.ndarray
    finder: np.ndarray
    names: List[str]

    def found_at(self):
        """[G] float32: the highest score threshold at which each annotated box is found; -inf for never."""
        scores = np.append(self.scores, np.float32(-np.inf))
        return scores[self.finder]

    def select(self, chosen):
        """The matches of some images.

        Args:
            chosen (ndarray): numbers of images.
        """
        return self._part(np.isin(self.images, chosen), np.isin(self.truth_images, chosen))

    def of_class(self, label):
        """The matches of one class, of all images.

        Args:
            label (int): of the class.
        """
        return self._part(self.labels == label, self.truth_labels == label)

    def _part(self, of_detections, truths):
        """Those of two masks, [N] and [G] bool; a finder that is left out becomes -1."""
        kept = np.flatnonzero(of_detections)
        renumbered = np.full(len(self.scores) + 1, -1)
        renumbered[kept] = np.arange(len(kept))
        return Matches(
            self.scores[kept],
            self.labels[kept],
            self.images[kept],
            self.correct[kept],
            self.truth_labels[truths],
            self.truth_images[truths],
            renumbered[self.finder[truths]],
            self.names,
        )


def match(predictions, truths, iou=0.5, rule="score"):
    """Pairs detections with annotated boxes, image by image.

    Args:
        predictions (iterable): Detections, one an image.
        truths (list): Detections with the annotated boxes, one an image, of the same classes.
        iou (float): a pair overlaps by more than this.
        rule (str): 'score': by falling score, each detection takes the free box of its class that it overlaps
            most (Pascal VOC). 'deep_pcb': annotated boxes in their order take the first free detection, of
            any class, in the order of scores, of coordinates cut to whole pixels; a pair of two classes is
            wrong on both sides (DeepPCB's evaluation/script.py, after ICDAR 2015's).

    Returns:
        Matches

    Raises:
        ValueError: an unknown rule, or not as many predictions as truths.
    """
    if rule not in RULES:
        raise ValueError(f"no rule of matching is called '{rule}'; there are {' and '.join(RULES)}")
    pair = {"score": _by_score, "deep_pcb": _by_truth}[rule]
    predictions = list(predictions)
    if len(predictions) != len(truths):
        raise ValueError(f"{len(predictions)} images with detections, but {len(truths)} with annotations")
    rows, found, offset = [], [], 0
    for number, (prediction, truth) in enumerate(zip(predictions, truths)):
        prediction = prediction[np.argsort(-prediction.scores, kind="stable")]
        finder = pair(prediction, truth, iou)
        correct = np.zeros(len(prediction), bool)
        correct[finder[finder >= 0]] = True
        rows.append((prediction.scores, prediction.labels, np.full(len(prediction), number), correct))
        found.append((truth.labels, np.full(len(truth), number), np.where(finder >= 0, finder + offset, -1)))
        offset += len(prediction)
    columns = [np.concatenate(column) for column in zip(*rows)] or [np.zeros(0)] * 4
    sides = [np.concatenate(column) for column in zip(*found)] or [np.zeros(0, int)] * 3
    return Matches(*columns, *sides, truths[0].names if truths else [])


def _by_score(prediction, truth, iou):
    """The detection that finds each annotated box, -1 for none."""
    finder = np.full(len(truth), -1)
    overlaps = box_iou(prediction.boxes, truth.boxes)
    for row, label in enumerate(prediction.labels):
        candidates = np.where((truth.labels == label) & (finder < 0), overlaps[row], -1)
        if candidates.size and candidates.max() > iou:
            finder[candidates.argmax()] = row
    return finder


def _by_truth(prediction, truth, iou):
    finder = np.full(len(truth), -1)
    overlaps = box_iou(np.trunc(prediction.boxes), np.trunc(truth.boxes))
    free = np.ones(len(prediction), bool)
    for column, label in enumerate(truth.labels):
        candidates = np.flatnonzero(free & (overlaps[:, column] > iou))
        if len(candidates):
            free[candidates[0]] = False
            if prediction.labels[candidates[0]] == label:
                finder[column] = candidates[0]
    return finder


def average_precision(matches):
    """Mean, over the annotated boxes, of the precision at the rank at which each is found.

    Args:
        matches (Matches)

    Returns:
        float | None: 0..1; None without annotated boxes. With the rule 'deep_pcb' this is DeepPCB's figure.
    """
    if not len(matches.truth_labels):
        return None
    correct = matches.correct[np.argsort(-matches.scores, kind="stable")]
    precision = np.cumsum(correct) / np.arange(1, len(correct) + 1)
    return float(precision[correct].sum() / len(matches.truth_labels))


def class_average_precision(matches):
    """Average precision of each class as Pascal VOC has it: the area under the falling hull of precision.

    Args:
        matches (Matches): of the rule 'score'.

    Returns:
        dict[str, float | None]: 0..1 by class name; None for a class that is not annotated.
    """
    found = {}
    for label, name in enumerate(matches.names):
        total = (matches.truth_labels == label).sum()
        of_class = np.flatnonzero(matches.labels == label)
        correct = matches.correct[of_class[np.argsort(-matches.scores[of_class], kind="stable")]]
        precision = np.cumsum(correct) / np.arange(1, len(correct) + 1)
        hull = np.maximum.accumulate(precision[::-1])[::-1]
        found[name] = float(hull[correct].sum() / total) if total else None
    return found
