"""COCO evaluation of anything that makes Detections."""

import contextlib
import io
import json
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ppdet_ext.runtime.detections import Detections

# COCOeval.stats, in its order
STATS = tuple("ap ap50 ap75 ap_small ap_medium ap_large ar1 ar10 ar100 ar_small ar_medium ar_large".split())
REPORTED = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large", "ar100")
LISTED_FILES = 5


def evaluate(detector, anno_file, image_dir, batch_size=8, progress=True):
    """Average precision as COCO defines it (pycocotools, IoU 0.50:0.95, 100 detections an image).

    Labels stand for categories in the order of their ids, as in PaddleDetection.

    Args:
        detector: a `runtime.Detector`, or an iterable of Detections, one an image, in the order of `images`
            in the annotation file.
        anno_file (str | Path): COCO instances JSON.
        image_dir (str | Path): folder that the file names are relative to.
        batch_size (int): images a run of the detector.
        progress (bool): show a bar.

    Returns:
        dict: ap, ap50, ap75, ap_small, ap_medium, ap_large, ar100 (0..1, or None where the set has nothing
        to be found); per_class {name: ap or None}; images (int); seconds (float, for the detections alone).

    Raises:
        ValueError: the annotation file is no COCO instances JSON, the classes of model and annotations
            differ, image files are missing, or there are not as many Detections as images.
    """
    dataset = load_annotations(anno_file)
    categories = sorted(dataset["categories"], key=lambda category: category["id"])
    names = [str(category["name"]) for category in categories]
    category_ids = [category["id"] for category in categories]
    results, seconds = [], 0.0
    if hasattr(detector, "stream"):
        _check_names(detector.names, names, anno_file)
        found = detector.stream(image_files(dataset, image_dir, anno_file), batch_size)
    else:
        found = iter(detector)
    for image in tqdm(dataset["images"], desc="evaluate", unit="img", disable=None if progress else True):
        start = time.perf_counter()
        detections = next(found, None)
        seconds += time.perf_counter() - start
        if detections is None:
            raise ValueError(
                f"{anno_file}: has {len(dataset['images'])} images, but the Detections end before "
                f"{image['file_name']}; give one an image"
            )
        _check_names(detections.names, names, anno_file)
        results.extend(detections.to_coco(image["id"], category_ids))
    if next(found, None) is not None:
        raise ValueError(
            f"{anno_file}: has {len(dataset['images'])} images, but more Detections; give one an image"
        )
    return {**_score(dataset, results, names), "images": len(dataset["images"]), "seconds": seconds}


def load_annotations(anno_file):
    """Read COCO instances and fill in what COCOeval needs and many files lack (`area`, `iscrowd`).

    Returns:
        dict: 'images', 'annotations', 'categories'.

    Raises:
        ValueError: the file cannot be read, is no JSON, lacks a section, or a record lacks a key or points
            nowhere.
    """
    try:
        dataset = json.loads(Path(anno_file).read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{anno_file}: cannot be read ({error.strerror}); check the path") from None
    except ValueError as error:
        raise ValueError(f"{anno_file}: is not valid JSON ({error}); write the file again") from None
    for section, keys in (
        ("images", ("id", "file_name")),
        ("categories", ("id", "name")),
        ("annotations", ("id", "image_id", "category_id", "bbox")),
    ):
        records = dataset.get(section) if isinstance(dataset, dict) else None
        if not isinstance(records, list):
            raise ValueError(f"{anno_file}: has no list '{section}'; give COCO instances")
        if not records and section != "annotations":
            raise ValueError(f"{anno_file}: the list '{section}' is empty; there is nothing to evaluate")
        for number, record in enumerate(records):
            missing = [key for key in keys if not isinstance(record, dict) or key not in record]
            if missing:
                raise ValueError(f"{anno_file}: record {number} of '{section}' has no '{missing[0]}'; add it")
        if len({record["id"] for record in records}) < len(records):
            raise ValueError(f"{anno_file}: '{section}' has an id twice; number the records anew")
    known = {
        key: {record["id"] for record in dataset[section]}
        for key, section in (("image_id", "images"), ("category_id", "categories"))
    }
    for annotation in dataset["annotations"]:
        for key, ids in known.items():
            if annotation[key] not in ids:
                raise ValueError(
                    f"{anno_file}: annotation {annotation['id']} has {key} {annotation[key]}, which does "
                    f"not exist; remove the annotation or correct it"
                )
        box = np.asarray(annotation["bbox"], object)
        if box.shape != (4,) or not all(isinstance(side, (int, float)) and np.isfinite(side) for side in box):
            raise ValueError(
                f"{anno_file}: annotation {annotation['id']} has bbox {annotation['bbox']}; "
                f"give [x, y, width, height] in pixels"
            )
        annotation.setdefault("iscrowd", 0)
        annotation.setdefault("area", annotation["bbox"][2] * annotation["bbox"][3])
    return dataset


def load_truths(anno_file, image_dir, count=None):
    """The annotated boxes as Detections with score 1, for drawing beside predictions.

    Args:
        anno_file (str | Path): COCO instances JSON.
        image_dir (str | Path): folder that the file names are relative to.
        count (int | None): so many images, evenly spread over the file; all by default.

    Returns:
        tuple(list[Path], list[Detections]): image files and their boxes, labels by rising category id.

    Raises:
        ValueError: as :func:`load_annotations`, or image files are missing.
    """
    return truths_of(load_annotations(anno_file), anno_file, image_dir, count)


def truths_of(dataset, anno_file, image_dir, count=None):
    """:func:`load_truths` of annotations that are read already.

    Args:
        dataset (dict): from :func:`load_annotations`.
        anno_file (str | Path): for errors.
        image_dir, count: as there.
    """
    categories = sorted(dataset["categories"], key=lambda category: category["id"])
    labels = {category["id"]: label for label, category in enumerate(categories)}
    names = [str(category["name"]) for category in categories]
    files = image_files(dataset, image_dir, anno_file)
    total = len(files)
    chosen = range(total) if count is None else [i * total // count for i in range(min(count, total))]
    truths = []
    by_image = defaultdict(list)
    for annotation in dataset["annotations"]:
        by_image[annotation["image_id"]].append(annotation)
    for i in chosen:
        records = by_image[dataset["images"][i]["id"]]
        boxes = np.asarray([a["bbox"] for a in records], np.float32).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        label = np.asarray([labels[a["category_id"]] for a in records], np.int64)
        truths.append(Detections(boxes, np.ones(len(records), np.float32), label, names))
    return [files[i] for i in chosen], truths


def image_files(dataset, image_dir, anno_file):
    """Paths of all images of an annotation file, in its order.

    Args:
        dataset (dict): from :func:`load_annotations`.
        image_dir (str | Path): folder that the file names are relative to.
        anno_file (str | Path): for the error.

    Raises:
        ValueError: images are missing; the first ones are named.
    """
    files = [Path(image_dir) / image["file_name"] for image in dataset["images"]]
    missing = [str(file) for file in files if not file.is_file()]
    if missing:
        more = f" and {len(missing) - LISTED_FILES} more" if len(missing) > LISTED_FILES else ""
        raise ValueError(
            f"{anno_file}: {len(missing)} of {len(files)} images are missing: "
            f"{', '.join(missing[:LISTED_FILES])}{more}; check the image folder"
        )
    return files


def _check_names(model, annotated, anno_file):
    if model == annotated:
        return
    if len(model) != len(annotated):
        raise ValueError(
            f"{anno_file}: has {len(annotated)} categories, but the model knows {len(model)} classes; "
            f"evaluate with the annotations of its own dataset"
        )
    label = next(i for i, (a, b) in enumerate(zip(model, annotated)) if a != b)
    raise ValueError(
        f"{anno_file}: category {label} (by rising id) is '{annotated[label]}', but the model's class "
        f"{label} is '{model[label]}'; evaluate with the annotations of its own dataset"
    )


def coco_scorer(dataset, results):
    """COCOeval on results, evaluated, accumulated and summarized; what it prints is swallowed.

    Args:
        dataset (dict): from :func:`load_annotations`.
        results (list): in COCO's format, {'image_id', 'category_id', 'bbox', 'score'} a detection.

    Returns:
        COCOeval: `stats`, and `eval` with 'precision' [IoU thresholds, recall steps, categories, areas,
        detections an image] and 'recall' [IoU thresholds, categories, areas, detections an image], -1 where
        nothing is annotated.
    """
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    # Built by hand: COCO.loadRes fails on an empty list
    answers = [
        {**result, "id": number + 1, "area": result["bbox"][2] * result["bbox"][3], "iscrowd": 0}
        for number, result in enumerate(results)
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        sides = []
        for annotations in (dataset["annotations"], answers):
            side = COCO()
            side.dataset = {**dataset, "annotations": annotations}
            side.createIndex()
            sides.append(side)
        scorer = COCOeval(*sides, iouType="bbox")
        scorer.evaluate()
        scorer.accumulate()
        scorer.summarize()
    return scorer


def figures(scorer):
    """The figures that are reported of a scorer: {name of REPORTED: 0..1, or None}."""
    stats = {name: None if value < 0 else float(value) for name, value in zip(STATS, scorer.stats)}
    return {name: stats[name] for name in REPORTED}


def _score(dataset, results, names):
    scorer = coco_scorer(dataset, results)
    precision = scorer.eval["precision"][:, :, :, 0, -1]
    per_class = {name: known_mean(precision[:, :, number]) for number, name in enumerate(names)}
    return {**figures(scorer), "per_class": per_class}


def known_mean(precision):
    """Mean of COCOeval's numbers that are not -1; None where there is none."""
    known = precision[precision > -1]
    return float(known.mean()) if known.size else None
