"""All figures of a report, out of the boxes that an evaluation found."""

from dataclasses import dataclass
from pathlib import Path
from typing import List, Union

import numpy as np

from ppdet_ext.evaluation.coco import coco_scorer, figures, known_mean, load_annotations, truths_of
from ppdet_ext.evaluation.matching import Matches, match
from ppdet_ext.evaluation.operating_point import best_f_score, curve, operate

from .confusion import confusion_matrix
from .results_file import as_detections, read_results

IOU = 0.5
SIZES = ("small", "medium", "large")  # COCOeval's areas 1 to 3
THRESHOLDS = np.linspace(0, 1, 201)


@dataclass
class Measured:
    """What an evaluation came to.

    Args:
        anno_file (str | Path), image_dir (str | Path): what was evaluated.
        dataset (dict): what is in the annotation file, see :func:`load_annotations`.
        files (list[Path]): the images.
        predictions, truths (list[Detections]): one an image.
        matches (Matches): of both, at IoU 0.5.
        figures (dict): 'ap', 'ap50', ... of COCO, 0..1 or None.
        point (dict): of the detector at work: 'threshold', 'recall', 'precision', 'f_score', 'missed',
            'false_alarms', 'false_alarms_an_image'.
        chosen (str): how the threshold was chosen.
        classes (list[dict]): 'name', 'boxes', 'ap', 'ap50', 'recall', 'precision' (the last
            two at the threshold), None where there is nothing to be measured.
        sizes (list[dict]): 'size', 'boxes', 'ap', 'recall' (the most that 100 detections an image find, over
            IoU 0.50:0.95).
        confusion (ndarray): [C + 1, C + 1], see :func:`confusion_matrix`.
        precision (ndarray): [C, 101], at IoU 0.5, over the recall.
        f_scores (ndarray): [C + 1, 201], over the threshold; the last row is of all classes together.
    """

    anno_file: Union[str, Path]
    image_dir: Union[str, Path]
    dataset: dict
    files: list
    predictions: list
    truths: list
    matches: Matches
    figures: dict
    point: dict
    chosen: str
    classes: List[dict]
    sizes: List[dict]
    confusion: np.ndarray
    precision: np.ndarray
    f_scores: np.ndarray

    @property
    def names(self):
        """Of the classes, in the order of the labels."""
        return self.matches.names


def measure(results_file, anno_file, image_dir, threshold=None):
    """Reads the boxes of an evaluation and judges them.

    Args:
        results_file (str | Path): in COCO's format, `bbox.json` of an evaluation.
        anno_file (str | Path): COCO instances.
        image_dir (str | Path): folder that the file names are relative to.
        threshold (float | None): of the detector at work; None for the best F score.

    Returns:
        Measured

    Raises:
        ValueError: a file is not what it should be, images are missing, nothing is annotated or nothing was
            found.
    """
    dataset = load_annotations(anno_file)
    results = read_results(results_file, dataset)
    files, truths = truths_of(dataset, anno_file, image_dir)
    predictions = as_detections(results, dataset, files)
    scorer = coco_scorer(dataset, results)
    matches = match(predictions, truths, IOU)
    chosen = "the best F score" if threshold is None else "the config"
    if threshold is None:
        threshold = best_f_score(matches)
    # [recall steps, categories] at IoU 0.5, all areas, 100 detections an image
    precision = scorer.eval["precision"][0, :, :, 0, -1].T
    return Measured(
        anno_file=anno_file,
        image_dir=image_dir,
        dataset=dataset,
        files=files,
        predictions=predictions,
        truths=truths,
        matches=matches,
        figures=figures(scorer),
        point=operate(matches, threshold, len(truths)).to_dict(),
        chosen=chosen,
        classes=_classes(scorer, matches, threshold),
        sizes=_sizes(scorer, dataset),
        confusion=confusion_matrix(predictions, truths, threshold, IOU),
        precision=precision,
        f_scores=_f_scores(matches),
    )


def _classes(scorer, matches, threshold):
    rows = []
    precision = scorer.eval["precision"][:, :, :, 0, -1]
    for label, name in enumerate(matches.names):
        part = matches.of_class(label)
        point = operate(part, threshold, 1)
        boxes = len(part.truth_labels)
        rows.append(
            {
                "name": name,
                "boxes": boxes,
                "ap": known_mean(precision[:, :, label]),
                "ap50": known_mean(precision[0, :, label]),
                "recall": point.recall if boxes else None,
                "precision": point.precision,
            }
        )
    return rows


def _sizes(scorer, dataset):
    rows = []
    for area, size in enumerate(SIZES, 1):
        low, high = scorer.params.areaRng[area]
        areas = [a["area"] for a in dataset["annotations"] if not a["iscrowd"]]
        rows.append(
            {
                "size": size,
                "boxes": sum(low <= value <= high for value in areas),
                "ap": known_mean(scorer.eval["precision"][:, :, :, area, -1]),
                "recall": known_mean(scorer.eval["recall"][:, :, area, -1]),
            }
        )
    return rows


def _f_scores(matches):
    """[C + 1, T] at THRESHOLDS; 0 where a class is not annotated or not found."""
    parts = [*(matches.of_class(label) for label in range(len(matches.names))), matches]
    return np.stack([_f_score(part) for part in parts])


def _f_score(matches):
    if not len(matches.truth_labels) or not len(matches.scores):
        return np.zeros(len(THRESHOLDS))
    found = curve(matches)
    passed = np.searchsorted(-found["threshold"], -THRESHOLDS, side="right") - 1
    return np.where(passed >= 0, found["f_score"][passed], 0)
