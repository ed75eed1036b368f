"""A schedule that follows the training set and the batch: what a config leaves at ``auto``."""

import contextlib
from typing import NamedTuple

import paddle.distributed as dist
from ppdet.core.workspace import create

from .learning_rate import reference_rate, scaled_rate

AUTO = "auto"
# A detector learns in steps, not in epochs: a small set is shown more often. Of a network that starts from a
# checkpoint, and from nothing.
STEPS, STEPS_FROM_SCRATCH = 4000, 8000
# A large set is shown as often as in the longest of the classical schedules, three times twelve epochs, and
# no set more often than published trainings show COCO.
FEWEST_EPOCHS, MOST_EPOCHS = 36, 300
WARMUP_EPOCHS, WARMUP_STEPS, WARMUP_SHARE = 5, 100, 0.1
# Snapshots, each with an evaluation, in a run.
SNAPSHOTS = 30
# The static assigner has a tenth of the run, as long as the network's own boxes say little.
STATIC_SHARE = 0.1
OPTION = "static_assigner_epoch"


class Schedule(NamedTuple):
    """What a run of some images and batch size should be; see :func:`plan`."""

    steps_per_epoch: int
    epochs: int
    warmup_steps: int
    snapshot_epoch: int
    static_assigner_epoch: int


def plan(images, total_batch, pretrained, epochs=None):
    """The schedule for a training set.

    - Epochs: as many as give 4,000 steps from a checkpoint or 8,000 from scratch, but 36 at least and 300 at
      most.
    - Warm-up: five epochs, but 100 steps at least and a tenth of the run at most.
    - Snapshots, with evaluation: 30 in a run. Static assigner: a tenth of the run.

    Args:
        images (int): of the training set.
        total_batch (int): images a step of all processes together, not above ``images``.
        pretrained (bool): the network starts from a checkpoint.
        epochs (int | None): where they are given.

    Returns:
        Schedule: for 200 images in batches of 8, which are 25 steps an epoch, 160 epochs from a checkpoint
        and 300 from scratch, with 125 steps of warm-up.
    """
    steps = max(images // total_batch, 1)
    if epochs is None:
        wanted = STEPS if pretrained else STEPS_FROM_SCRATCH
        epochs = min(max(-(-wanted // steps), FEWEST_EPOCHS), MOST_EPOCHS)
    warmup = min(max(WARMUP_EPOCHS * steps, WARMUP_STEPS), int(WARMUP_SHARE * epochs * steps))
    return Schedule(steps, epochs, max(warmup, 1), max(epochs // SNAPSHOTS, 1), round(STATIC_SHARE * epochs))


def is_pretrained(cfg):
    """Whether ``pretrain_weights`` are a whole detector's; with a backbone's it starts from scratch."""
    return bool(cfg.get("pretrain_weights")) and cfg.get("pretrain_strict", True)


def optimizer_type(cfg):
    """The name of the config's optimizer; PaddleDetection's own default is Momentum."""
    return ((cfg.get("OptimizerBuilder") or {}).get("optimizer") or {}).get("type", "Momentum")


def fill_in(cfg):
    """Gives the keys of a config that are ``auto`` their numbers, before anything is built from it.

    They are ``epoch``, ``snapshot_epoch``, ``LearningRate.base_lr`` and ``.schedulers``, and the
    ``static_assigner_epoch`` of heads. The rate is that of ``lr_reference``, :func:`scaled_rate` to the total
    batch: its ``base_lr``, or ``finetune_lr`` where the detector :func:`is_pretrained`.

    Args:
        cfg: PaddleDetection's global config, changed in place.

    Returns:
        tuple: one line about what was filled in; and the training set, which was read for its length, for
        :func:`handed_over`. None and None where nothing is ``auto``.

    Raises:
        ValueError: ``base_lr: auto`` without a reference, or a compression (``--slim_config``), which builds
            the network before its schedule could be known.
    """
    rate = cfg.get("LearningRate") or {}
    heads = [
        name for name, section in cfg.items() if isinstance(section, dict) and section.get(OPTION) == AUTO
    ]
    keys = [key for key in ("epoch", "snapshot_epoch") if cfg.get(key) == AUTO]
    options = [key for key in ("base_lr", "schedulers") if rate.get(key) == AUTO]
    used = (cfg.get(cfg["architecture"]) or {}).values()
    told = [name for name in heads if name in used] or heads
    found = [*keys, *(f"LearningRate.{key}" for key in options), *(f"{name}.{OPTION}" for name in told)]
    if not found:
        return None, None
    if "slim" in cfg:
        raise ValueError(f"{found[0]}: auto does not work with --slim_config; give a number")
    dataset = create("TrainDataset")()
    dataset.check_or_download_dataset()
    dataset.parse_dataset()
    images = len(dataset)
    batch = cfg["TrainReader"]["batch_size"] * dist.get_world_size()
    pretrained = is_pretrained(cfg)
    schedule = plan(images, batch, pretrained, None if "epoch" in keys else cfg["epoch"])
    if "epoch" in keys:
        cfg["epoch"] = schedule.epochs
    if "snapshot_epoch" in keys:
        cfg["snapshot_epoch"] = schedule.snapshot_epoch
    for name in heads:
        cfg[name][OPTION] = schedule.static_assigner_epoch
    if "base_lr" in options:
        rate["base_lr"] = _rate(cfg, batch, pretrained)
    if "schedulers" in options:
        rate["schedulers"] = [
            {"name": "CosineDecay", "max_epochs": schedule.epochs},
            {"name": "LinearWarmup", "start_factor": 0.0, "steps": schedule.warmup_steps},
        ]
    said = (
        f"{images} images, {batch} a step: {schedule.epochs} epochs of {schedule.steps_per_epoch} steps, "
        f"{schedule.warmup_steps} steps of warm-up, learning rate {rate['base_lr']:.4g}, a snapshot every "
        f"{cfg['snapshot_epoch']} epochs (auto: {', '.join(found)}; a number in the place of one is kept)"
    )
    return said, dataset


@contextlib.contextmanager
def handed_over(cfg, dataset):
    """Whoever creates the config's training set meanwhile is given this one, which is not read again.

    Args:
        cfg: PaddleDetection's global config.
        dataset: read; None changes nothing.
    """
    if dataset is None:
        yield
        return
    section = cfg["TrainDataset"]
    cfg["TrainDataset"] = lambda: dataset  # the workspace's create() hands out what is not a mapping
    dataset.check_or_download_dataset = dataset.parse_dataset = _is_read
    try:
        yield
    finally:
        cfg["TrainDataset"] = section
        del dataset.check_or_download_dataset, dataset.parse_dataset


def _is_read():
    """In the place of a dataset's reading."""


def _rate(cfg, batch, pretrained):
    reference = reference_rate(cfg.get("lr_reference"), pretrained)
    if reference is None:
        raise ValueError(
            "LearningRate.base_lr: auto needs a rate to start from; give lr_reference: {base_lr: 0.002, "
            "batch_size: 16}"
        )
    return scaled_rate(
        reference["base_lr"],
        reference["batch_size"],
        batch,
        optimizer_type(cfg),
    )
