"""What annotated boxes are taken for."""

import numpy as np

from ppdet_ext.evaluation.matching import match
from ppdet_ext.evaluation.work_report import one_class


def confusion_matrix(predictions, truths, threshold, iou=0.5):
    """Counts pairs of annotated and detected class, at one threshold.

    Boxes of one class are paired first; what is left over on both sides is paired whatever its class, and
    then counts as confused. So the diagonal holds what the table of classes calls found.

    Args:
        predictions (list[Detections]): one an image, of every score.
        truths (list[Detections]): the annotated boxes, one an image.
        threshold (float): detections that score at least this count.
        iou (float): a pair overlaps by more.

    Returns:
        ndarray: [C + 1, C + 1] int64, row annotated, column detected; in the last column what is missed, in
        the last row what is detected on the background.
    """
    count = len(truths[0].names)
    matrix = np.zeros((count + 1, count + 1), np.int64)
    left_found, left_true = [], []
    for prediction, truth in zip(predictions, truths):
        prediction = prediction.filter(threshold)
        prediction = prediction[np.argsort(-prediction.scores, kind="stable")]
        same = match([prediction], [truth], iou)
        np.add.at(matrix, (truth.labels[same.finder >= 0],) * 2, 1)
        left_found.append(prediction[~same.correct])
        left_true.append(truth[same.finder < 0])
    rest = match(one_class(left_found), one_class(left_true), iou)
    detected = np.concatenate([found.labels for found in left_found])
    annotated = np.concatenate([true.labels for true in left_true])
    # A finder of -1 takes the last entry: the background.
    np.add.at(matrix, (annotated, np.append(detected, count)[rest.finder]), 1)
    np.add.at(matrix, (count, detected[~rest.correct]), 1)
    return matrix
