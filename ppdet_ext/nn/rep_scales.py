"""From a search to the training that uses it: the scales of RepOptimizer's blocks, out of a checkpoint."""

import os

import numpy as np

from .repopt import NOT_SET, RepOptBlock
from .state_file import read_state_file

# The scales of a RepOptSearchBlock, in the order of RepOptBlock.set_scales.
KEYS = ("conv1.scale", "conv2.scale", "identity.scale")


def load_rep_scales(network, file, missing_ok=False):
    """Gives every ``rep_block: repopt`` of a network the scales that the same block has found in a search.

    Sets masks and kernels (fresh ones, see :meth:`RepOptBlock.set_scales`), so it comes before an optimizer,
    an average of weights and the weights of a checkpoint.

    Args:
        network (nn.Layer): holds :class:`RepOptBlock`.
        file (str): ``.pdparams`` that a training of the same network with ``rep_block: repopt_search`` wrote.
        missing_ok (bool): leave the network as it is where there is no such file. Its scales may come with
            a checkpoint; a training without them ends with the name of the file.

    Returns:
        list[str]: names of the blocks.

    Raises:
        ValueError: no such file or no checkpoint; the network has no such block; a block finds no scales, or
            scales that don't fit; scales that no block takes. The network is unchanged then.
    """
    if not isinstance(file, str):
        raise ValueError(f"rep_scales is {file!r}; give the path of a .pdparams file, or null")
    blocks = {
        name: layer
        for name, layer in network.named_sublayers(include_self=True)
        if isinstance(layer, RepOptBlock) and not layer.deployed
    }
    if not blocks:
        raise ValueError(
            f"{file}: the network has no block for these scales; set rep_block: repopt, or rep_scales: null"
        )
    path = file if file.endswith(".pdparams") else file + ".pdparams"
    if missing_ok and not os.path.exists(path):
        for block in blocks.values():
            block.not_set = f"{path}: no such checkpoint; {NOT_SET}"
        return []
    scales = _scales(read_state_file(path))
    if not scales:
        raise ValueError(
            f"{path}: holds no scales; take the checkpoint of a run with rep_block: repopt_search"
        )
    for name, block in blocks.items():
        _check(path, name, block, scales.get(name))
    unused = sorted(set(scales) - set(blocks))
    if unused:
        raise ValueError(
            f"{path}: {len(unused)} of its {len(scales)} searched blocks, {unused[0]} the first, are no "
            "rep_block: repopt in the network; set it wherever the search had repopt_search"
        )
    for name, block in blocks.items():
        block.set_scales(*scales[name])
    return list(blocks)


def _scales(state):
    """The three arrays, or None, of every search block in a state dict, by the block's name."""
    found = {}
    for key, value in state.items():
        for i, leaf in enumerate(KEYS):
            if key == leaf or key.endswith("." + leaf):
                block = key[: -len(leaf)].rstrip(".")
                found.setdefault(block, [None, None, None])[i] = np.asarray(value, np.float64)
    return found


def _check(path, name, block, scales):
    """Refuses scales that are not those of ``block``, called ``name``."""
    mend = "search and train with the same config, but for rep_block"
    if scales is None:
        raise ValueError(f"{path}: no scales of {name}; {mend}")
    channels = block.scales.shape[1]
    for leaf, scale, there in zip(KEYS, scales, (True, True, block.has_identity)):
        found = "nothing" if scale is None else list(scale.shape)
        expected = [channels] if there else "nothing"
        if found != expected:
            raise ValueError(f"{path}: {name}.{leaf}: {expected} is needed, but found is {found}; {mend}")
        if scale is not None and not np.isfinite(scale).all():
            raise ValueError(f"{path}: {name}.{leaf} is not finite; search again, with a lower learning rate")
