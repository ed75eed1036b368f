"""What a detector does at work: the chosen threshold, recall and false alarms, in all and by class."""

import numpy as np
from tqdm import tqdm

from ppdet_ext.runtime.detections import Detections

from .matching import average_precision, class_average_precision, match
from .operating_point import best_f_score, cross_fitted, operate, threshold_for_recall
from .text_table import align


def detect_all(detector, files, batch_size=8):
    """Detections of every file, of every score that the model gives.

    Args:
        detector (runtime.Detector)
        files (list): paths.

    Returns:
        list[Detections]
    """
    found = detector.stream(files, batch_size)
    return list(tqdm(found, total=len(files), desc="detect", unit="img", disable=None))


def one_class(detections):
    """The same boxes as one class, where it matters only that they are found.

    Args:
        detections (list[Detections])
    """
    return [Detections(d.boxes, d.scores, np.zeros(len(d), int), ["any"], d.source) for d in detections]


def work_report(predictions, truths, iou=0.5, recall=None):
    """Chooses the threshold, and says what it does.

    Args:
        predictions (list[Detections]): one an image, of every score.
        truths (list[Detections]): the annotated boxes, one an image.
        iou (float): a detection is right that overlaps an annotated box of its class by more.
        recall (float | None): the share to find, 0..1; None for the best F score.

    Returns:
        tuple(Matches, dict): the pairs; and 'images', 'boxes', 'iou', 'wanted_recall', 'map' (mean over
        classes), 'ap' {class: 0..1 or None}, 'point' (of the threshold chosen on these images),
        'cross_fitted' (the threshold of each half chosen on the other; None where one half can't choose),
        'classes' {class: {'boxes', 'missed', 'false_alarms'}} at the point.

    Raises:
        ValueError: no annotated boxes, no detections, or a recall that no threshold reaches.
    """
    matches = match(predictions, truths, iou)

    def choose(part):
        return best_f_score(part) if recall is None else threshold_for_recall(part, recall)

    threshold = choose(matches)
    try:
        honest = cross_fitted(matches, len(truths), choose).to_dict()
    except ValueError:
        honest = None
    ap = class_average_precision(matches)
    known = [value for value in ap.values() if value is not None]
    missed = matches.found_at() < threshold
    wrong = ~matches.correct & (matches.scores >= threshold)
    classes = {
        name: {
            "boxes": int((matches.truth_labels == label).sum()),
            "missed": int(missed[matches.truth_labels == label].sum()),
            "false_alarms": int(wrong[matches.labels == label].sum()),
        }
        for label, name in enumerate(matches.names)
    }
    report = {
        "images": len(truths),
        "boxes": len(matches.truth_labels),
        "iou": iou,
        "wanted_recall": recall,
        "map": float(np.mean(known)),
        "pooled_ap": average_precision(matches),
        "ap": ap,
        "point": operate(matches, threshold, len(truths)).to_dict(),
        "cross_fitted": honest,
        "classes": classes,
    }
    return matches, report


def work_table(report):
    """The report as text."""
    wanted = report["wanted_recall"]
    aim = "the best F score" if wanted is None else f"a recall of {100 * wanted:g} %"
    lines = [
        f"{report['images']} images, {report['boxes']} annotated boxes, right from IoU {report['iou']:g} on: "
        f"mAP {100 * report['map']:.2f}",
        f"threshold for {aim}: {report['point']['threshold']:.3f}",
        "",
    ]
    rows = [["chosen on these images", *_cells(report["point"])]]
    if report["cross_fitted"]:
        rows.append(["each half by the other's threshold", *_cells(report["cross_fitted"])])
    heads = [["", "recall", "missed", "precision", "false alarms", "an image", "F"]]
    lines += [*align(heads, rows), ""]
    body = [
        [
            name,
            str(row["boxes"]),
            str(row["missed"]),
            str(row["false_alarms"]),
            "-" if report["ap"][name] is None else f"{100 * report['ap'][name]:.2f}",
        ]
        for name, row in report["classes"].items()
    ]
    return "\n".join(lines + align([["class", "boxes", "missed", "false alarms", "AP"]], body))


def _cells(point):
    precision = "-" if point["precision"] is None else f"{100 * point['precision']:.2f} %"
    return [
        f"{100 * point['recall']:.2f} %",
        str(point["missed"]),
        precision,
        str(point["false_alarms"]),
        f"{point['false_alarms_an_image']:.3f}",
        f"{100 * point['f_score']:.2f} %",
    ]
