"""Input sizes of exported folders: which one a folder has, and the same model at others."""

import os

from ppdet_ext.runtime.backends import BACKENDS
from ppdet_ext.runtime.config import InferConfig
from ppdet_ext.runtime.operators import SIZE_KEYS
from ppdet_ext.versions import is_importable

# What export_model makes for each backend, the backend's own format first.
EXPORT_TARGETS = {
    "onnxruntime": ("onnx",),
    "openvino": ("openvino", "onnx"),
    "tensorrt": ("tensorrt", "onnx"),
    "paddle_lite": ("lite",),
}


def at_size(preprocess, size):
    """The entries of `Preprocess` for another square input.

    Args:
        preprocess (list): of an InferConfig.
        size (int): side of the network's input in pixels.

    Returns:
        list: new entries.
    """
    return [
        {**entry, SIZE_KEYS[entry["type"]]: [size, size]} if entry.get("type") in SIZE_KEYS else entry
        for entry in preprocess
    ]


def choose_sizes(folder, sizes=None):
    """The sizes to measure an exported folder at.

    Args:
        folder (str | Path): the exported folder.
        sizes (list | None): sides of square inputs in pixels; None for the folder's own.

    Returns:
        list: `sizes`, or [None] for the folder's own.

    Raises:
        ValueError: it is no exported folder, a size is not positive, or the model does not take it.
    """
    config = InferConfig.load(folder)
    if not sizes:
        return [None]
    for size in sizes:
        if size < 1:
            raise ValueError(f"size {size}: give a side in pixels, a multiple of the coarsest stride")
    sized = (entry for entry in config.preprocess if entry.get("type") in SIZE_KEYS)
    own = next((entry[SIZE_KEYS[entry["type"]]] for entry in sized), None)
    others = [str(size) for size in sizes if own not in (size, [size, size])]
    if others and not config.free_size:
        shape = "x".join(map(str, own)) if isinstance(own, list) else own
        raise ValueError(
            f"{folder}: its model takes {shape} only, not {', '.join(others)}; export it with "
            f"'ppdet-ext export -c CONFIG --size -1 -1 ...', or give '-c CONFIG -o weights=FILE' in place of "
            f"--model, and every size is exported here"
        )
    return list(sizes)


def export_sizes(cfg, model, parent, sizes=None, backends=None):
    """Export a detector once a size, for every backend that is wanted and can be served here.

    Args:
        cfg: the config, its TestDataset created.
        model (nn.Layer): the detector with its weights; re-parameterised in place.
        parent (str): where the folders are made.
        sizes (list | None): sides of square inputs in pixels; None for the config's own size.
        backends (list | None): names of runtime backends; None for all whose package is installed.

    Returns:
        list: the folders, in the order of `sizes`.

    Raises:
        ValueError: as `export_model`.
    """
    from ppdet_ext.export import TARGETS, export_model

    if backends is None:
        backends = [name for name, (package, _) in BACKENDS.items() if is_importable(package)]
    wanted = (EXPORT_TARGETS.get(name, ("paddle",)) for name in backends)
    possible = ([target for target in names if target in TARGETS] for names in wanted)
    targets = sorted({names[0] for names in possible if names})
    folders = []
    for size in sizes or [None]:
        folder = os.path.join(parent, str(size or "own"))
        shape = None if size is None else [size, size]
        export_model(cfg, model, folder, targets or ["paddle"], image_size=shape, say=_nothing)
        folders.append(folder)
    return folders


def _nothing(_):
    """A listener of `export_model` that tells nobody."""
