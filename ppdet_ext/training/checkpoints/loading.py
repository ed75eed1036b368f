"""Loading of checkpoints that says what did not fit."""

import os
from collections import Counter

import numpy as np
import paddle

from ppdet_ext.nn.state_file import read_state_file

from ..new_classes import other_classes

# A change of classes, six predictions of three levels, is told in full.
SHOWN = 12
# In the names of what a quantised network learns besides its weights.
QUANTIZER = "._fake_quant_input."
MEND = (
    "Take a config that matches the checkpoint; to start a training from the part that fits, set "
    "'pretrain_strict: false'."
)


def read_state_dict(path):
    """Reads a ``.pdparams`` file, or one that PaddleDetection's configs name by URL.

    Args:
        path (str): with or without '.pdparams'; 'https://' and 'ppdet://' are downloaded by PaddleDetection.

    Returns:
        dict[str, ndarray | Tensor]: parameters by name.

    Raises:
        ValueError: no such file, an empty or broken one, or one that holds no parameters.
    """
    from ppdet.utils.checkpoint import get_weights_path, is_url

    if is_url(path):
        path = get_weights_path(path)
    root, extension = os.path.splitext(path)
    file = path if extension == ".pdparams" else (path + ".pdparams")
    return read_state_file(file)


def match_keys(model_state, state):
    """Pairs a model's parameters with a checkpoint's, by equal names or by a name without its first part.

    Args:
        model_state (dict): of the model.
        state (dict): of the checkpoint; a backbone's own checkpoint lacks the prefix 'backbone.'.

    Returns:
        tuple(dict, list[str], list[str], list[str]): what fits, by the model's names; model parameters that
        the checkpoint lacks; checkpoint entries the model lacks; lines about shapes that differ.
    """
    names = {}
    for key in model_state:
        if key in state:
            names[key] = key
        elif key.startswith("backbone.") and key[len("backbone.") :] in state:
            names[key] = key[len("backbone.") :]
    fitting, shapes = {}, []
    for key, source in names.items():
        ours, theirs = list(model_state[key].shape), list(state[source].shape)
        if ours == theirs:
            fitting[key] = state[source]
        else:
            shapes.append(f"{key} is {ours} in the model but {theirs} in the checkpoint")
    missing = [key for key in model_state if key not in names]
    unused = sorted(set(state) - set(names.values()))
    return fitting, missing, unused, shapes


def _listed(title, names):
    """All of a few names; of many, how many there are in each part of the network."""
    if not names:
        return ""
    shown = names
    if len(names) > SHOWN:
        groups = Counter(".".join(name.split(" ")[0].split(".")[:2]) + ".*" for name in names)
        shown = [f"{group} ({count})" for group, count in groups.items()]
    return f"\n  {len(names)} {title}: {', '.join(shown)}"


def load_pretrained(model, path, strict=True, say=print, mend=MEND, new_classes=False):
    """Loads a checkpoint into a model, all of it or, if told so, the part that fits.

    Args:
        model (nn.Layer): receives the parameters, cast to its own dtypes.
        path (str): see :func:`read_state_dict`.
        strict (bool): refuse a checkpoint that does not fit to the last parameter.
        say (callable): is given the account of a partial load, and a word about alphas that
            PaddleDetection would read differently.
        mend (str): the last line of a refusal.
        new_classes (bool): take a checkpoint, also a strict one's, that differs in the number of classes
            alone; class predictions stay as they are, and ``say`` is told.

    Returns:
        list[str]: the model's parameters that were loaded.

    Raises:
        ValueError: with ``strict``, any parameter that did not fit; without, a checkpoint of which
            nothing fits. The model is unchanged then.
    """
    model_state = model.state_dict()
    fitting = _fitting(model, path, strict, say, mend, new_classes)
    for key, value in fitting.items():
        # Not through set_state_dict, which warns of each parameter that a partial load leaves alone.
        value = paddle.to_tensor(np.asarray(value))
        dtype = model_state[key].dtype
        model_state[key].set_value(value if value.dtype == dtype else value.astype(dtype))
    ignored = [k for k, v in fitting.items() if k.endswith(".alpha") and not np.asarray(v).item() > 0]
    if ignored:
        say(
            f"{path}: {_listed('alphas are zero or negative', ignored).strip()}; PaddleDetection computes "
            "these branches with weight 1, this package with the value itself"
        )
    return sorted(fitting)


def check_fits(model, path, mend=MEND):
    """Raises ValueError unless :func:`load_pretrained` would load the checkpoint to the last parameter."""
    _fitting(model, path, True, None, mend)


def _check_quantizers(model_state, state, path):
    """Refuses the checkpoint of a float network for a quantised one, and the other way round."""
    ours, theirs = (any(QUANTIZER in key for key in keys) for keys in (model_state, state))
    if ours and not theirs:
        raise ValueError(
            f"{path}: the checkpoint of a float network, without the ranges of a quantised one; take a "
            f"checkpoint that QAT wrote, or start QAT from this one: -o pretrain_weights={path}"
        )
    if theirs and not ours:
        raise ValueError(
            f"{path}: the checkpoint of a quantised network; give the --slim_config that it was trained "
            "with, or take the float checkpoint that QAT started from"
        )


def _fitting(model, path, strict, say, mend=MEND, new_classes=False):
    """The part of a checkpoint that fits, by the model's names, or the refusal."""
    model_state, state = model.state_dict(), read_state_dict(path)
    _check_quantizers(model_state, state, path)
    fitting, missing, unused, shapes = match_keys(model_state, state)
    account = (
        _listed("of the model's parameters are not in it", missing)
        + _listed("of its entries are not in the model", unused)
        + _listed("have another shape", shapes)
    )
    if not fitting:
        raise ValueError(
            f"{path}: nothing of this checkpoint fits the model; it is of another architecture" + account
        )
    if new_classes and shapes and not missing and not unused:
        said = other_classes(model, state, [line.split(" ")[0] for line in shapes])
        if said:
            say(f"{path}: loaded {len(fitting)} of {len(model_state)} parameters; {said}")
            return fitting
    if account and strict:
        raise ValueError(f"{path}: {len(fitting)} of {len(model_state)} parameters fit.{account}\n  {mend}")
    if account:
        say(f"{path}: loaded {len(fitting)} of {len(model_state)} parameters.{account}")
    return fitting
