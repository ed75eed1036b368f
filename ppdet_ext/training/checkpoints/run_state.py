"""What a checkpoint set holds of a run, and how a run gets it back."""

import os
from collections import deque

import numpy as np
import paddle
from ppdet.utils.stats import SmoothedValue

from ppdet_ext.nn.safe_pickle import NAME_TABLE, read_pickle
from ppdet_ext.nn.state_file import read_state_file


def student(trainer):
    """The network that is saved: of a distillation by PaddleSlim, the student alone."""
    return getattr(trainer.model, "student_model", trainer.model)


def check_finite(state, what):
    """Refuses (ValueError) to write weights down that hold NaN or infinity."""
    for name, value in state.items():
        array = np.asarray(value)
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ValueError(
                f"{what}: {name} holds NaN or infinity; no checkpoint is written of such weights "
                "('nan_check: gradients' finds the step that makes them)"
            )


def collect(trainer, scaler, raw):
    """The files of a set, each as what :func:`paddle.save` takes.

    Args:
        trainer: whose model holds what is evaluated: the average where the run has one.
        scaler (GradScaler | None): of mixed precision.
        raw (dict | None): the weights that are trained, where the model holds their average.

    Returns:
        dict[str, dict]: ``model.pdparams`` and ``.pdopt`` as PaddleDetection's, with ``.pdema`` where there
        is an average (the trained weights, as PaddleDetection has them there), and ``.pdstate``: the average
        before correction and the scaler.

    Raises:
        ValueError: weights that hold NaN or infinity.
    """
    epoch = trainer.status["epoch_id"]
    weights = student(trainer).state_dict()
    check_finite(weights, f"epoch {epoch}")
    files = {"model.pdparams": weights}
    state = {"scaler": scaler.state_dict() if scaler else {}}
    if raw is not None:
        check_finite(raw, f"epoch {epoch}")
        files["model.pdema"] = raw
        state["average"] = trainer.ema.state_dict
    files["model.pdopt"] = {**trainer.optimizer.state_dict(), "last_epoch": epoch + 1}
    files["model.pdstate"] = state
    return files


def meters(status):
    """The losses of the last steps, which the next lines of the log are averages of."""
    values = status["training_staus"].meters or {}
    return {name: [float(value) for value in meter.deque] for name, meter in values.items()}


def restore_meters(status, saved):
    """Gives a run's log the losses of the last steps back."""
    stats = status["training_staus"]
    found = {}
    for name, values in saved.items():
        found[name] = SmoothedValue(stats.window_size)
        found[name].deque = deque(values, maxlen=stats.window_size)
    stats.meters = found or None


def evaluated_weights(root):
    """dict[str, Tensor]: what ``root.pdparams`` holds, for a model's ``set_dict``."""
    return {name: paddle.to_tensor(value) for name, value in read_state_file(f"{root}.pdparams").items()}


def restore_weights(model, file):
    """Puts a file's arrays into a model's tensors in place; ValueError unless it has each of them."""
    state = read_state_file(file)
    for name, tensor in model.state_dict().items():
        if name not in state or list(state[name].shape) != list(tensor.shape):
            raise ValueError(f"{file}: {name} is missing or of another shape; the file is of another network")
    for name, tensor in model.state_dict().items():
        value = paddle.to_tensor(np.asarray(state[name]))
        tensor.set_value(value if value.dtype == tensor.dtype else value.astype(tensor.dtype))


def restore_optimizer(optimizer, model, root):
    """Gives an optimizer its state of ``root.pdopt``.

    Paddle names what an optimizer knows of a parameter by a running number of the process; the table in
    ``root.pdparams`` says which parameter that was.

    Returns:
        int: epochs that are done.

    Raises:
        ValueError: a state of parameters that this optimizer does not have.
    """
    state = read_pickle(f"{root}.pdopt")
    if not isinstance(state, dict):
        raise ValueError(f"{root}.pdopt: holds no state of an optimizer (found {type(state).__name__})")
    done = int(state.pop("last_epoch", 0))
    table = read_pickle(f"{root}.pdparams").get(NAME_TABLE, {})
    ours = {name: tensor.name for name, tensor in model.state_dict().items()}
    renamed = {theirs: ours[name] for name, theirs in table.items() if name in ours}
    known = {tensor.name for tensor in model.parameters()}

    def new_name(key):
        owners = [name for name in (renamed or known) if key == name or key.startswith(f"{name}_")]
        if not owners:
            raise ValueError(f"{root}.pdopt: '{key}' belongs to no parameter of the model")
        owner = max(owners, key=len)
        return renamed.get(owner, owner) + key[len(owner) :]

    apart = ("LR_Scheduler", "master_weights")
    found = {new_name(key): value for key, value in state.items() if key not in apart}
    if "master_weights" in state:
        masters = state["master_weights"]
        found["master_weights"] = {new_name(k): paddle.to_tensor(v) for k, v in masters.items()}
    if "LR_Scheduler" in state:
        found["LR_Scheduler"] = state["LR_Scheduler"]
    optimizer.set_state_dict(found)
    return done


def restore_average(ema, root, step, epoch=0):
    """Gives an average its state: to the last bit where there is a ``.pdstate``, else out of ``.pdparams``.

    Args:
        ema (ModelEMA): to restore.
        root (str): of the files, without extension.
        step, epoch (int): of the average.
    """
    exact = read_pickle(f"{root}.pdstate").get("average") if os.path.exists(f"{root}.pdstate") else None
    if exact is not None:
        ema.restore({name: paddle.to_tensor(value) for name, value in exact.items()}, step, epoch)
        return
    ema.resume(evaluated_weights(root), step)
