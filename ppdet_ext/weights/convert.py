"""From another framework's weights file to a checkpoint of one of our networks."""

import importlib
import os
from collections import Counter
from typing import Dict, NamedTuple

import paddle

from ppdet_ext.nearest import choice

from .arrays import read_arrays
from .translation import fill

# Whose weights: the module with `translate(source, target) -> Translation`.
FAMILIES = {"effdet": ".effdet", "yolov6": ".yolov6"}


class Converted(NamedTuple):
    """What became of a file.

    Attributes:
        path: the checkpoint.
        schema: what was read, in words.
        mapped: entries of the source that are in the checkpoint.
        dropped: {reason: number of entries that are not}.
        fresh: {reason: number of parameters that are as the network is built}.
    """

    path: str
    schema: str
    mapped: int
    dropped: Dict[str, int]
    fresh: Dict[str, int]


def convert(family, source, model, output):
    """Writes a checkpoint that the network loads to the last parameter.

    Args:
        family (str): a key of ``FAMILIES``.
        source (str): a state dict that torch wrote, or an ``.npz``.
        model (nn.Layer): the network, in training form; stays as it is.
        output (str): the file to write, with or without '.pdparams'; there must be none.

    Returns:
        Converted: the account.

    Raises:
        ValueError: an unknown family, an unreadable file, an output that is there already, or anything that
            does not fit, on either side.
    """
    if family not in FAMILIES:
        raise ValueError(f"no converter from '{family}'; {choice(family, FAMILIES)}")
    path = output if output.endswith(".pdparams") else output + ".pdparams"
    if os.path.exists(path):
        raise ValueError(f"{path}: is there already; choose another --output or remove it")
    arrays = read_arrays(source)
    target = {key: value.numpy() for key, value in model.state_dict().items()}
    try:
        translation = importlib.import_module(FAMILIES[family], __package__).translate(arrays, target)
        state = fill(translation, target)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from None
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    partial = f"{path}.{os.getpid()}"
    paddle.save({key: paddle.to_tensor(value) for key, value in state.items()}, partial)
    os.replace(partial, path)
    dropped = {reason: len(names) for reason, names in translation.dropped.items()}
    mapped = len(arrays) - sum(dropped.values())
    return Converted(path, translation.schema, mapped, dropped, dict(Counter(translation.fresh.values())))
