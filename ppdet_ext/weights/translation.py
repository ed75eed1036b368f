"""What a family's translator gives, and the check that nothing is left over on either side."""

from typing import Dict, List, NamedTuple, Tuple

import numpy as np

# Names of a list that an error tells.
SHOWN = 3


class Translation(NamedTuple):
    """A state dict in our names.

    Attributes:
        schema: what was read, in words.
        renamed: {our name: (theirs, values)}.
        dropped: {reason: their names}, of what has no place here.
        fresh: {our name: reason}, of what keeps the values that the network is built with.
    """

    schema: str
    renamed: Dict[str, Tuple[str, np.ndarray]]
    dropped: Dict[str, List[str]]
    fresh: Dict[str, str]


def fill(translation, target):
    """The state of our network.

    Args:
        translation (Translation): of a whole state dict.
        target (dict[str, ndarray]): the network's state as built.

    Returns:
        dict[str, ndarray]: in the order, shapes and dtypes of ``target``.

    Raises:
        ValueError: entries without a place, parameters without an entry, other shapes, no floats; the first
            are named.
    """
    renamed, fresh = translation.renamed, translation.fresh
    unused = [theirs for ours, (theirs, _) in renamed.items() if ours not in target]
    missing = [ours for ours in target if ours not in renamed and ours not in fresh]
    if unused or missing:
        account = []
        if unused:
            account.append(f"{len(unused)} entries have no place in the network ({_first(unused)})")
        if missing:
            account.append(f"{len(missing)} parameters of the network are not in it ({_first(missing)})")
        raise ValueError(f"{translation.schema}: {', '.join(account)}; take the config of that very model")
    shapes = [
        f"{theirs} is {list(value.shape)} but {ours} is {list(target[ours].shape)}"
        for ours, (theirs, value) in renamed.items()
        if value.shape != target[ours].shape
    ]
    if shapes:
        raise ValueError(
            f"{translation.schema}: {len(shapes)} shapes differ ({_first(shapes)}); take the config of that "
            "size, with the same num_classes and bins (reg_max)"
        )
    kinds = [f"{theirs} holds {v.dtype}" for theirs, v in renamed.values() if v.dtype.kind != "f"]
    if kinds:
        raise ValueError(f"{translation.schema}: weights are floats, but {_first(kinds)}")
    return {
        ours: value if ours in fresh else renamed[ours][1].astype(value.dtype)
        for ours, value in target.items()
    }


def _first(names):
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")
