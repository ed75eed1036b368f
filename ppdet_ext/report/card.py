"""The model card: what a model is, what it was made from, and what is known of it."""

import datetime
import os
from pathlib import Path

from ppdet_ext import __version__
from ppdet_ext.data.counts import count_classes, count_empty
from ppdet_ext.environment import versions
from ppdet_ext.evaluation.coco import load_annotations
from ppdet_ext.evaluation.datasets import dataset_files
from ppdet_ext.training.checkpoints.file_set import entry

from .exported import exported_facts

NOT_MEASURED = "not measured"


def model_card(name, config, measured, weights, course=None, exported=None):
    """Puts the facts together.

    Args:
        name (str): of the model: its config's.
        config (dict): as it was merged, from `config_as_run`.
        measured (Measured): of these weights.
        weights (str): the file, with or without '.pdparams'.
        course (list | None): records of the training's history.
        exported (str | None): folder that was exported from these weights.

    Returns:
        dict: ready for JSON: 'model', 'made', 'data', 'weights', 'metrics', 'speed', 'parity', 'int8',
        'versions', 'config'. What is not known is the text 'not measured'.

    Raises:
        ValueError: the weights are not there, or the exported folder is not of these weights.
    """
    about = about_weights(weights)
    facts = exported_facts(exported, about) if exported else {}
    return {
        "model": name,
        "architecture": config.get("architecture"),
        "made": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "data": {
            "TrainDataset": _training_set(),
            "EvalDataset": _facts(measured.anno_file, measured.image_dir, measured.dataset),
        },
        "weights": about,
        "training": _training(course),
        "metrics": {
            **measured.figures,
            "at_work": {**measured.point, "chosen_by": measured.chosen, "iou": 0.5},
            "classes": measured.classes,
            "sizes": measured.sizes,
        },
        **{key: facts.get(key) or NOT_MEASURED for key in ("speed", "parity", "int8")},
        "exported": facts.get("folder"),
        "versions": {"ppdet_ext": __version__, **{k: v for k, v in versions().items() if v}},
        "config": config,
    }


def about_weights(weights):
    """'file', 'bytes' and 'sha256' of weights, with or without '.pdparams'; ValueError without a file."""
    file = weights if os.path.isfile(weights) else f"{weights}.pdparams"
    if not os.path.isfile(file):
        raise ValueError(f"{file}: no such weights; give them with -o weights=FILE")
    return {"file": file, **entry(file)}


def _training_set():
    """Facts of the config's training set; what is wrong where it can't be read as COCO."""
    try:
        anno_file, image_dir = dataset_files("TrainDataset")
        dataset = load_annotations(anno_file)
    except (ValueError, TypeError, AttributeError) as error:  # of another kind than COCO, or not on this disk
        return {"status": f"{NOT_MEASURED}: {' '.join(str(error).split())}"}
    return _facts(anno_file, image_dir, dataset)


def _facts(anno_file, image_dir, dataset):
    """Paths, counts and hash of a dataset that was read."""
    classes = count_classes(dataset)
    return {
        "annotations": str(anno_file),
        "sha256": entry(anno_file)["sha256"],
        "image_folder": str(Path(image_dir)),
        "images": len(dataset["images"]),
        "images_without_boxes": count_empty(dataset),
        "boxes": len(dataset["annotations"]),
        "classes": {name: boxes for name, (boxes, _) in classes.items()},
    }


def _training(course):
    """How far the training went, by its history."""
    if not course:
        return NOT_MEASURED
    judged = [record for record in course if "ap" in record]
    best = max(judged, key=lambda record: record["ap"], default=None)
    return {
        "epochs": max(record["epoch"] for record in course) + 1,
        "evaluations": [{"epoch": record["epoch"] + 1, "ap": record["ap"]} for record in judged],
        "best_epoch": best and best["epoch"] + 1,
    }
