"""The pictures of a report, each a file of its own."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ppdet_ext.evaluation.errors import write_errors
from ppdet_ext.runtime.image import read_image
from ppdet_ext.versions import is_importable
from ppdet_ext.visualize import contact_sheet, plot_training, write_image
from ppdet_ext.visualize.class_ap_plot import plot_class_ap
from ppdet_ext.visualize.class_curves_plot import plot_class_curves
from ppdet_ext.visualize.confusion_plot import plot_confusion

from .measure import IOU

SHOWN = 12
ERRORS = {
    "misses": ("The hardest misses", "Annotated boxes that are not found, the worst first. {legend}"),
    "false_alarms": ("The boldest false alarms", "Detections that match nothing, the surest first. {legend}"),
}
LEGEND = "Dashed, white: annotated; solid: detected, with score."


@dataclass
class Picture:
    """A picture of the report.

    Args:
        file (Path)
        title, caption (str)
        photograph (bool): of photographs, not a drawing.
    """

    file: Path
    title: str
    caption: str
    photograph: bool


def draw_pictures(folder, measured, course):
    """Draws all pictures; without matplotlib those that need none of it.

    Args:
        folder (str | Path): where they go; is made.
        measured (Measured)
        course (list): records of the training's history; [] for none.

    Returns:
        list[Picture]: in the order in which a reader looks at them.
    """
    folder = Path(folder)
    pictures = [_sheet(folder, measured), *_worst(folder, measured), *_errors(folder, measured)]
    if is_importable("matplotlib"):
        pictures += [*draw_course(folder / "curves.png", course), *_plots(folder, measured)]
    return pictures


def draw_course(file, course, title=""):
    """Losses and AP over a training.

    Args:
        file (str | Path): the PNG.
        course (list): records of :func:`ppdet_ext.training.callbacks.read_history`.
        title (str): over the plots.

    Returns:
        list[Picture]: one; none without records.
    """
    steps = [{**r, "step": r["epoch"] * r["steps_per_epoch"] + r["step"]} for r in course if "loss" in r]
    evaluations = [{**r, "epoch": r["epoch"] + 1} for r in course if "ap" in r]
    if not steps and not evaluations:
        return []
    plot_training(steps, evaluations, file, title)
    return [Picture(Path(file), "The course of the training", "Losses, learning rate and AP.", False)]


def _sheet(folder, measured):
    """Images evenly spread over the set."""
    total = len(measured.files)
    chosen = [i * total // SHOWN for i in range(SHOWN)] if total > SHOWN else range(total)
    file = folder / "predictions.png"
    _write_sheet(file, measured, chosen)
    return Picture(file, "Detections and truth", f"Images evenly spread over the set. {LEGEND}", True)


def _worst(folder, measured):
    """Images with the most errors at work; none where there are no errors."""
    matches, threshold = measured.matches, measured.point["threshold"]
    missed = matches.truth_images[matches.found_at() < threshold]
    wrong = matches.images[~matches.correct & (matches.scores >= threshold)]
    errors = sum(np.bincount(images.astype(int), minlength=len(measured.files)) for images in (missed, wrong))
    chosen = [int(i) for i in np.argsort(-errors, kind="stable")[:SHOWN] if errors[i]]
    if not chosen:
        return []
    file = folder / "worst_images.png"
    _write_sheet(file, measured, chosen)
    names = ", ".join(f"{measured.files[i].name} ({errors[i]})" for i in chosen)
    return [Picture(file, "The worst images", f"With the most misses and false alarms: {names}.", True)]


def _write_sheet(file, measured, chosen):
    sheet = contact_sheet(
        [read_image(str(measured.files[i])) for i in chosen],
        [measured.predictions[i] for i in chosen],
        [measured.truths[i] for i in chosen],
        score_threshold=measured.point["threshold"],
    )
    write_image(file, sheet)


def _errors(folder, measured):
    written = write_errors(
        folder,
        measured.files,
        measured.predictions,
        measured.truths,
        measured.matches,
        measured.point["threshold"],
    )
    for name in ERRORS.keys() - {file.stem for file in written}:
        (folder / f"{name}.png").unlink(missing_ok=True)  # of an earlier report
    return [
        Picture(file, ERRORS[file.stem][0], ERRORS[file.stem][1].format(legend=LEGEND), True)
        for file in written
    ]


def _plots(folder, measured):
    names, threshold = measured.names, measured.point["threshold"]
    confusion, curves, bars = (folder / f"{name}.png" for name in ("confusion", "class_curves", "class_ap"))
    plot_confusion(measured.confusion, names, confusion, f"IoU {IOU:g}, score {threshold:.2f}")
    ap50 = [row["ap50"] for row in measured.classes]
    plot_class_curves(names, ap50, measured.precision, measured.f_scores, curves, threshold)
    plot_class_ap(measured.classes, measured.sizes, bars)
    return [
        Picture(
            confusion,
            "Confusion",
            "A row is an annotated class, a cell the percentage of its boxes; the last row holds the false "
            "alarms of a class per 100 of its boxes.",
            False,
        ),
        Picture(curves, "Precision, recall and F1", "The line at work is the threshold above.", False),
        Picture(bars, "AP by class and size", "", False),
    ]
