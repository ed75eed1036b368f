"""What a run was asked to do, in plain values: to be written down beside its checkpoints, and compared."""

import platform

import paddle
import paddle.distributed as dist

from ppdet_ext import __version__
from ppdet_ext.versions import package_version

PLAIN = (type(None), bool, int, float, str)
# What a resumed run may change, and what comes of it.
CONSEQUENCES = {
    "world_size": "the images are dealt out anew",
    "batch_size": "the schedule goes on at the step that belongs to the epoch",
    "steps_per_epoch": "the schedule goes on at the step that belongs to the epoch",
    "worker_num": "the reader draws other random numbers",
    "epoch": "a schedule that ends with the run ends elsewhere",
    "LearningRate": "the new schedule holds from here on",
    "OptimizerBuilder": "the new one holds from here on",
    "use_ema": "the average starts afresh, or is dropped",
    "ema_decay": "the new one holds from here on",
    "ema_decay_type": "the new one holds from here on",
    "amp": "precision changes from here on",
    "seed": "other random numbers from here on",
}
OF_THE_SCHEDULE = ("LearningRate", "steps_per_epoch", "epoch")


def plain(value):
    """The same in mappings, lists and plain values; an object of a YAML tag as its class and options."""
    if isinstance(value, PLAIN):
        return value
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [plain(item) for item in value]
    options = {k: v for k, v in getattr(value, "__dict__", {}).items() if k[:1] != "_"}
    simple = {k: v for k, v in options.items() if isinstance(v, PLAIN) or _is_short_list(v)}
    return {"class": type(value).__name__, **{key: plain(item) for key, item in simple.items()}}


def _is_short_list(value):
    return isinstance(value, (list, tuple)) and len(value) <= 256 and all(isinstance(v, PLAIN) for v in value)


def config_as_run(cfg):
    """The merged config without the sections of registered modules that it leaves alone."""
    return {
        str(key): plain(value) for key, value in cfg.items() if not (isinstance(value, dict) and not value)
    }


def record(trainer, config, seed):
    """What decides how a run goes on, for :func:`changes`, and who wrote it.

    Args:
        trainer: in train mode.
        config (dict): from :func:`config_as_run`, before anything was built from the config.
        seed (int): of the run.

    Returns:
        dict: plain values.
    """
    cfg = trainer.cfg
    return {
        "architecture": str(cfg.architecture),
        "num_classes": cfg.num_classes,
        "world_size": dist.get_world_size(),
        "batch_size": cfg.TrainReader["batch_size"],
        "steps_per_epoch": len(trainer.loader),
        "worker_num": cfg.worker_num,
        "epoch": cfg.epoch,
        "LearningRate": config.get("LearningRate"),
        "OptimizerBuilder": config.get("OptimizerBuilder"),
        "use_ema": bool(trainer.use_ema),
        "ema_decay": cfg.get("ema_decay", 0.9998),
        "ema_decay_type": cfg.get("ema_decay_type", "threshold"),
        "amp": bool(trainer.use_amp),
        "seed": seed,
    }


def versions():
    """dict[str, str]: of what wrote a checkpoint."""
    return {
        "ppdet_ext": __version__,
        "paddle": paddle.__version__,
        "ppdet": package_version("ppdet") or "a checkout",
        "python": platform.python_version(),
    }


def _difference(then, now, path):
    if isinstance(then, dict) and isinstance(now, dict):
        keys = [key for key in {**then, **now} if then.get(key) != now.get(key)]
        return [line for key in keys for line in _difference(then.get(key), now.get(key), f"{path}.{key}")]
    return [f"{path} was {then}, is now {now}"]


def changes(then, now):
    """What differs between the records of a set's run and of the one that resumes it.

    Returns:
        list[str]: a line a key, with what comes of it.
    """
    lines = []
    for key, consequence in CONSEQUENCES.items():
        if key in then and then[key] != now[key]:
            lines.append(f"{', '.join(_difference(then[key], now[key], key))}: {consequence}")
    return lines
