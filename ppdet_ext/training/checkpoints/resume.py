"""Going on with a training from a checkpoint set, or from files as PaddleDetection writes them."""

import os

from ppdet.utils.logger import setup_logger

from ppdet_ext.nn.safe_pickle import read_pickle

from ..callbacks import history_path, read_history
from .file_set import MANIFEST, CheckpointSet
from .loading import check_fits
from .run_record import OF_THE_SCHEDULE, changes
from .run_state import restore_average, restore_optimizer, restore_weights, student
from .set_folder import CheckpointFolder, output_folder

logger = setup_logger("ppdet.engine")

AUTO = "auto"
MEND = "Resume with the config of that run; to start another training from it: -o pretrain_weights={root}"


def find(given, output):
    """What ``-r`` means.

    Args:
        given (str): 'auto' for the last good set of ``output``; a set's folder; a folder of sets, or one that
            holds them, for the last good one there; a checkpoint as PaddleDetection names it, with or without
            extension.
        output (str): of the run that resumes.

    Returns:
        tuple(CheckpointSet | None, str | None): the set, verified, if there is one, and the files' path
        without extension. Both None: 'auto', and nothing to go on from.

    Raises:
        ValueError: a set that is not whole, or no such checkpoint.
    """
    if given == AUTO:
        one = _last_good(output)
        return one, one and one.file("model")
    if os.path.isdir(given):
        if os.path.exists(os.path.join(given, MANIFEST)):
            one = CheckpointSet(given).verify()
        else:
            inside = os.path.isdir(CheckpointFolder(given).path)
            one = _last_good(given if inside else os.path.dirname(os.path.normpath(given)))
        if one is None:
            raise ValueError(f"{given}: holds no checkpoint set that is whole")
        return one, one.file("model")
    from ppdet.utils.checkpoint import get_weights_path, is_url

    root = get_weights_path(given) if is_url(given) else given
    for extension in (".pdparams", ".pdopt"):
        root = root[: -len(extension)] if root.endswith(extension) else root
    name = os.path.basename(root)
    for one in reversed(CheckpointFolder(os.path.dirname(root) or ".").sets()[0]):
        if name in one.facts["names"] and one.vouches_for(f"{root}.pdparams"):
            return one.verify(), one.file("model")
    return None, root


def _last_good(output):
    one, refusals = CheckpointFolder(output).last_good()
    for refusal in refusals:
        logger.warning(f"{refusal}; the last good set before it is taken")
    return one


def resume(trainer, given):
    """Gives a trainer the state of a run, says from where, and what has changed since.

    Args:
        trainer: in train mode, before its training.
        given (str): see :func:`find`.

    Returns:
        bool: False where 'auto' found nothing and the training has to start from the beginning.

    Raises:
        ValueError: a checkpoint that is missing, broken, unsafe, or of another network.
    """
    output = output_folder(trainer.cfg)
    one, root = find(given, output)
    if root is None and trainer.is_loaded_weights:  # by --slim_config, which leaves them to the checkpoint
        raise ValueError(f"{output}: no checkpoint set to resume from; start this compression without -r")
    if root is None:
        logger.warning(f"{output}: no checkpoint set to resume from; the training starts from the beginning")
        return False
    model = student(trainer)
    named = os.path.isfile(given) or os.path.isfile(f"{given}.pdparams")
    check_fits(model, given if named else root, MEND.format(root=root))
    if one is None:
        _restore_files(trainer, model, root)
        said = root
    else:
        restore(trainer, one)
        said = one.path
    if trainer.start_epoch >= trainer.end_epoch:
        logger.warning(
            f"{given}: its run is complete ({trainer.start_epoch} of {trainer.end_epoch} epochs); "
            f"to train on, raise it, for example with -o epoch={2 * trainer.end_epoch}"
        )
    else:
        logger.info(
            f"resuming from {said}: {trainer.start_epoch} of {trainer.end_epoch} epochs are done"
            + _cut_short(history_path(trainer.cfg), trainer.start_epoch)
        )
    return True


def _cut_short(path, start):
    steps = [r for r in read_history(path) if r.get("epoch", -1) >= start and "step" in r]
    if not steps:
        return ""
    last = steps[-1]
    return f"; epoch {last['epoch']} was left after step {last['step']}: epoch {start} begins anew"


def restore(trainer, one):
    """Puts the state of a set, which is verified, into a trainer of the same network."""
    root, facts = one.file("model"), one.facts
    if trainer.cfg.get("seed") is None:
        trainer.run["seed"] = facts["run"]["seed"]
    for line in changes(facts["run"], trainer.run):
        logger.warning(f"{one.path}: {line}")
    _restore_files(trainer, student(trainer), root, facts)
    trainer.start_epoch = one.epoch + 1
    trainer.attempt = facts["attempt"]
    scaler = read_pickle(f"{root}.pdstate")["scaler"]
    trainer.resumed = {**facts, "root": root, "scaler": scaler}


def go_back(trainer):
    """Puts a trainer that is training back to its last good set; the set, or None if there is none."""
    one = _last_good(output_folder(trainer.cfg))
    if one is not None:
        restore(trainer, one)
    return one


def _restore_files(trainer, model, root, facts=None):
    """Weights, optimizer, schedule and average from files; ``facts`` of the set, if they are one."""
    averaged = os.path.exists(f"{root}.pdema")
    restore_weights(model, f"{root}.pdema" if averaged else f"{root}.pdparams")
    if not os.path.exists(f"{root}.pdopt"):
        logger.warning(f"{root}.pdopt is missing: the optimiser starts afresh, at the first epoch")
        trainer.start_epoch = 0
    else:
        trainer.start_epoch = restore_optimizer(trainer.optimizer, model, root)
    if facts and any(facts["run"].get(key) != trainer.run[key] for key in OF_THE_SCHEDULE):
        _restart_schedule(trainer)
    if trainer.use_ema and averaged and model is trainer.model:
        restore_average(trainer.ema, root, **(facts["ema"] if facts else {"step": trainer.lr.last_epoch}))


def _restart_schedule(trainer):
    """Brings this run's own schedule to the first step of its first epoch."""
    from ppdet.core.workspace import create

    steps = len(trainer.loader)
    fresh = create("LearningRate")(steps)
    for _ in range(trainer.start_epoch * steps):
        fresh.step()
    trainer.lr.set_state_dict(fresh.state_dict())
