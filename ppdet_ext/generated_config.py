"""The config of a first training on a dataset, written to be read and edited."""

import os
from pathlib import Path
from typing import NamedTuple, Optional

import yaml

from .model_configs import AUTO

# Options of the readers' operators that are sizes of pictures.
SIZES = ("target_size", "size", "input_dim")
LISTS = ("sample_transforms", "batch_transforms")
SIZED = (*LISTS, "inputs_def")
CACHE_MB = 1024
# Classes that a comment names.
NAMED = 6


class Plan(NamedTuple):
    """What a config is written from.

    Args:
        file (str): the config, for its paths and its name.
        command (str): what wrote it, for the comment.
        processes (int): that train.
        train (tuple[str, str]): annotation file and folder of pictures, as seen from the current folder.
        val (tuple[str, str])
        classes (list[str])
        save_dir (str)
        evaluate (bool): there will be a best_model.
        epochs (int | None): None for auto.
        batch (int): images a step and process.
        size (int | None): side of the input, pixels; None for the model's.
        pretrain (str | None): checkpoint, 'none' for none, None for the model's.
        gpu (bool)
        workers (int): processes that read pictures.
    """

    file: str
    command: str
    processes: int
    train: tuple
    val: tuple
    classes: list
    save_dir: str
    evaluate: bool
    epochs: Optional[int]
    batch: int
    size: Optional[int]
    pretrain: Optional[str]
    gpu: bool
    workers: int


def pretrain_of(model, asked):
    """(pretrain_weights, pretrain_strict) for a model and what was asked for; see :class:`Plan`."""
    if asked is None:
        return model.keys.get("pretrain_weights"), model.keys.get("pretrain_strict", True)
    return (None if asked == "none" else asked), True


def config_text(model, plan, configs):
    """The YAML of a training.

    Args:
        model (Model)
        plan (Plan)
        configs (Path): the folder with _base_.

    Returns:
        str

    Raises:
        ValueError: a size that the model's strides don't divide.
    """
    name = os.path.splitext(os.path.basename(plan.file))[0]
    processes = f" --processes {plan.processes}" if plan.processes > 1 else ""
    bases = [*model.bases, configs / AUTO]
    weights = "best_model" if plan.evaluate else "model_final"
    lines = [
        f"# Written by: {plan.command}",
        "# Edit what you like, then train it; 'ppdet-ext eval' and 'ppdet-ext export' take it, too:",
        f"#   ppdet-ext train -c {plan.file}{' --eval' * plan.evaluate}{processes}",
        "_BASE_: [",
        *(f"  {_flow(_base(file, plan.file))}," for file in bases),
        "]",
        "",
        f"# The network: {model.name}, from {model.file.as_posix()}.",
        *_network(model, plan),
        f"weights: {_flow(f'{plan.save_dir}/{name}/{weights}')}   # what eval, infer and export take",
        "",
        f"use_gpu: {_flow(plan.gpu)}",
        f"worker_num: {plan.workers}        # processes that read pictures; 0: the training itself",
        *[f"save_dir: {_flow(plan.save_dir)}"] * (plan.save_dir != "output"),
        "progress_bar: true",
        "",
        "# Paths count from the folder in which the command runs.",
        "metric: COCO",
        f"num_classes: {len(plan.classes)}       # {_classes(plan.classes)}",
        *_datasets(plan),
        "",
        "# Rate, length and warm-up follow the images and the batch (docs/training.md); a number is kept.",
        f"epoch: {plan.epochs or 'auto'}",
        "# early_stop_epochs: 60     # with --eval: so many epochs without a better AP end the training",
        "# class_weight: auto        # rare classes count more",
        *_readers(model, plan),
    ]
    return "\n".join(lines) + "\n"


def _network(model, plan):
    weights, strict = pretrain_of(model, plan.pretrain)
    for key in ("depth_mult", "width_mult"):
        if key in model.keys:
            yield f"{key}: {model.keys[key]}"
    yield "norm_type: bn        # sync_bn where several GPUs train together"
    if weights is None:
        yield "pretrain_weights: ~  # from scratch; or a checkpoint, of other classes too"
    else:
        yield f"pretrain_weights: {_flow(weights)}   # ~: from scratch"
        yield f"pretrain_strict: {_flow(strict)}   # false takes the part that fits"
    for key, value in model.keys.items():
        if isinstance(value, dict) and key not in model.readers:
            yield f"{key}: {_flow(value)}"


def _datasets(plan):
    (train, train_images), (val, val_images) = plan.train, plan.val
    return [
        "TrainDataset:",
        "  name: COCODataSet",
        "  dataset_dir: .",
        f"  image_dir: {_flow(train_images)}",
        f"  anno_path: {_flow(train)}",
        "  data_fields: [image, gt_bbox, gt_class, is_crowd]",
        "  allow_empty: true    # images without boxes are negatives",
        "  empty_ratio: 1.",
        "EvalDataset:",
        "  name: COCODataSet",
        "  dataset_dir: .",
        f"  image_dir: {_flow(val_images)}",
        f"  anno_path: {_flow(val)}",
        "  allow_empty: true",
        f"TestDataset: {{name: ImageFolder, dataset_dir: ., anno_path: {_flow(val)}}}",
    ]


def _readers(model, plan):
    """The batch; of the readers else only what the model's file says itself, or what has another size."""
    size = plan.size or model.size
    if size < model.stride or size % model.stride:
        raise ValueError(f"--size {size}: {model.name} takes multiples of {model.stride} pixels")
    fitted = None
    for reader, options in model.readers.items():
        lines = []
        if reader == "TrainReader":
            lines += [
                f"  batch_size: {plan.batch}     # images a step of each process",
                f"  cache_mb: {CACHE_MB}    # decoded images that stay in memory; 0: none",
            ]
        for key, value in options.items():
            value = _at_size(value, size, model.size, model.stride) if key in SIZED else value
            if key == "batch_size" or key not in model.keys.get(reader, {}) and value == options[key]:
                continue
            if key not in LISTS:
                lines.append(f"  {key}: {_flow(value)}")
            elif value == fitted:
                lines.append(f"  {key}: *fitted")
            else:
                is_eval = reader == "EvalReader"
                fitted = value if is_eval else fitted
                lines.append(f"  {key}:{' &fitted' * is_eval}")
                lines += [f"    - {_operator(operator)}" for operator in value]
        yield from [f"{reader}:", *lines] if lines else []


def _at_size(value, new, old, stride):
    """Operators or `inputs_def` for another side of the input: their sizes in proportion."""

    def fit(side):
        if isinstance(side, list):
            return [fit(one) for one in side]
        return max(round(side * new / old / stride) * stride, stride)

    if isinstance(value, dict) and "image_shape" in value:
        return {**value, "image_shape": [3, new, new]}
    changed = []
    for operator in value:
        ((name, options),) = operator.items()
        sizes = {key: fit(options[key]) for key in SIZES if key in options}
        if options.get("random_size"):
            sizes["target_size"] = sorted(set(sizes["target_size"]))
        changed.append({name: {**options, **sizes}})
    return changed


def _operator(operator):
    ((name, options),) = operator.items()
    return f"{name}: {_flow(options)}"


def _flow(value):
    """A value as YAML in one line."""
    text = yaml.safe_dump(
        value, default_flow_style=True, sort_keys=False, width=float("inf"), allow_unicode=True
    )
    return text.strip().split("\n...")[0]


def _base(file, config):
    """A _BASE_ file as the config names it: from where it lies, if both are in the current folder."""
    inside = not any(os.path.relpath(path).startswith("..") for path in (file, config))
    return Path(
        os.path.relpath(file, os.path.dirname(config) or ".") if inside else file.absolute()
    ).as_posix()


def _classes(names):
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return " ".join((", ".join(names[:NAMED]) + more).split())
