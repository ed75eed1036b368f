"""The worst errors of a detector, as close-ups."""

from pathlib import Path

import numpy as np

from ppdet_ext.runtime.box_iou import box_iou
from ppdet_ext.runtime.image import read_image
from ppdet_ext.visualize import write_image
from ppdet_ext.visualize.errors_sheet import CloseUp, errors_sheet

# Around a box that is missed, the best detections that overlap it are drawn, and no more.
NEAR = 0.1
DRAWN = 2


def hardest_misses(files, predictions, truths, matches, threshold, count=24):
    """Annotated boxes that the detector does not find at a threshold, the worst first.

    Args:
        files (list): paths of the images.
        predictions (list): Detections, one an image, of every score.
        truths (list): Detections with the annotated boxes, one an image.
        matches (Matches): of both.
        threshold (float): of the detector at work.
        count (int): so many at most.

    Returns:
        list[CloseUp]
    """
    found = matches.found_at()
    missed = np.flatnonzero(found < threshold)
    first = np.searchsorted(matches.truth_images, matches.truth_images)  # of each box's image
    chosen = []
    for index in missed[np.argsort(found[missed], kind="stable")][:count]:
        image = matches.truth_images[index]
        truth = truths[image]
        number = index - first[index]
        score = f"found at {found[index]:.2f}" if np.isfinite(found[index]) else "never found"
        chosen.append(
            CloseUp(
                read_image(str(files[image])),
                truth.boxes[number],
                _nearest(predictions[image], truth.boxes[number]),
                truth,
                [f"{truth.names[truth.labels[number]]}: {score}", files[image].name],
            )
        )
    return chosen


def _nearest(prediction, box):
    """The best few detections that overlap a box."""
    near = np.flatnonzero(box_iou(prediction.boxes, box[None])[:, 0] > NEAR)
    return prediction[near[np.argsort(-prediction.scores[near], kind="stable")][:DRAWN]]


def boldest_false_alarms(files, predictions, truths, matches, threshold, count=24):
    """Detections at work that match no annotated box, the highest scores first.

    Args and result: as :func:`hardest_misses`.
    """
    wrong = np.flatnonzero(~matches.correct & (matches.scores >= threshold))
    chosen = []
    for index in wrong[np.argsort(-matches.scores[wrong], kind="stable")][:count]:
        image = matches.images[index]
        prediction = predictions[image][np.argsort(-predictions[image].scores, kind="stable")]
        number = index - np.searchsorted(matches.images, image)
        name = prediction.names[prediction.labels[number]]
        chosen.append(
            CloseUp(
                read_image(str(files[image])),
                prediction.boxes[number],
                prediction[number],
                truths[image],
                [f"{name} {prediction.scores[number]:.2f}: false alarm", files[image].name],
            )
        )
    return chosen


def write_errors(folder, files, predictions, truths, matches, threshold):
    """Writes `misses.png` and `false_alarms.png`, each only if there is one to show.

    Args:
        folder (str | Path): is made.
        The others: as :func:`hardest_misses`.

    Returns:
        list[Path]: what was written.
    """
    written = []
    for name, choose in (("misses", hardest_misses), ("false_alarms", boldest_false_alarms)):
        close_ups = choose(files, predictions, truths, matches, threshold)
        if close_ups:
            written.append(Path(folder) / f"{name}.png")
            write_image(written[-1], errors_sheet(close_ups))
    return written
