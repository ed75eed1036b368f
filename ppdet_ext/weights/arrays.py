"""Reading of files that hold named arrays: torch's state dicts, without torch, and NumPy's ``.npz``."""

import os
import pickle
import zipfile
from collections import OrderedDict
from functools import partial

import numpy as np

from ppdet_ext.pickles import BROKEN as BROKEN_PICKLE
from ppdet_ext.pickles import OLD_TORCH_START, ZIP_START

# torch's typed storages, without their byte order.
STORAGES = {
    "HalfStorage": "f2",
    "FloatStorage": "f4",
    "DoubleStorage": "f8",
    "ByteStorage": "u1",
    "CharStorage": "i1",
    "ShortStorage": "i2",
    "IntStorage": "i4",
    "LongStorage": "i8",
    "BoolStorage": "?",
}
# Of broken files, by what reads them.
BROKEN = (*BROKEN_PICKLE, NotImplementedError, RuntimeError, OSError, zipfile.BadZipFile)


class MoreThanArrays(Exception):
    """A pickle asks for a class that is no part of a plain state dict; the argument is its name."""


def read_arrays(path):
    """Reads named arrays; no code of the file is run, whatever it holds.

    Args:
        path (str): a state dict that ``torch.save`` of torch 1.6 or newer wrote, or an ``.npz``.

    Returns:
        dict[str, ndarray]: in the file's order, each with its own dtype.

    Raises:
        ValueError: no such file, a broken one, one of another format, or a pickle of more than tensors.
    """
    if not os.path.isfile(path):
        raise ValueError(f"{path}: no such file; give a state dict (torch.save) or an .npz")
    with open(path, "rb") as file:
        start = file.read(len(OLD_TORCH_START))
    if start == OLD_TORCH_START:
        raise ValueError(
            f"{path}: written in the format from before torch 1.6; load it with a newer one and save it again"
        )
    if not start.startswith(ZIP_START):
        raise ValueError(f"{path}: neither a state dict that torch.save wrote nor an .npz")
    try:
        with zipfile.ZipFile(path) as archive:
            pickles = [name for name in archive.namelist() if name.split("/")[1:] == ["data.pkl"]]
            found = _read_torch(archive, pickles[0]) if pickles else _read_npz(path)
    except MoreThanArrays as error:
        raise ValueError(f"{path}: {more_than_arrays(path, error)}") from None
    except BROKEN as error:
        raise ValueError(
            f"{path}: not readable, truncated or damaged ({type(error).__name__}: {error})"
        ) from None
    if not isinstance(found, dict) or not found:
        raise ValueError(f"{path}: holds no state dict (found {type(found).__name__})")
    for name, value in found.items():
        if not isinstance(name, str) or not isinstance(value, np.ndarray):
            raise ValueError(
                f"{path}: entry '{name}' is {type(value).__name__}, not a tensor; give the state dict "
                "itself, such as model.state_dict()"
            )
    return found


def more_than_arrays(path, error):
    """What to do about a pickle of whole modules, as official release files are."""
    state = os.path.splitext(os.path.basename(path))[0] + "_state.pt"
    return (
        f"holds more than tensors ({error}), whole modules as a rule, which only the code that wrote them "
        "can read. Write a plain state dict with torch, in the checkout of that code: "
        f"python -c \"import torch; c = torch.load('{os.path.abspath(path)}', map_location='cpu', "
        "weights_only=False); m = (c.get('ema') or c['model']) if isinstance(c, dict) else c; "
        f"torch.save(m.float().state_dict(), '{state}')\""
    )


def _read_npz(path):
    with np.load(path, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def _read_torch(archive, pickled):
    """The object in torch's archive: ``ROOT/data.pkl`` and a file ``ROOT/data/KEY`` a storage."""
    root = pickled.rsplit("/", 1)[0]
    order = "<"
    if f"{root}/byteorder" in archive.namelist():
        order = {b"little": "<", b"big": ">"}[archive.read(f"{root}/byteorder").strip()]
    with archive.open(pickled) as file:
        return _StateDictUnpickler(file, partial(_read_storage, archive, root, order, {})).load()


def _read_storage(archive, root, order, known, dtype, key, count):
    if key not in known:
        known[key] = np.frombuffer(archive.read(f"{root}/data/{key}"), order + dtype)
    if len(known[key]) != count:
        raise ValueError(f"storage {key} holds {len(known[key])} of its {count} numbers")
    return known[key]


class _StateDictUnpickler(pickle.Unpickler):
    """Knows dicts and tensors; any other class is refused before anything of it is made."""

    def __init__(self, file, storage):
        super().__init__(file)
        self.storage = storage
        self.classes = {
            "collections.OrderedDict": OrderedDict,
            "torch._utils._rebuild_tensor_v2": _tensor,
            "torch._utils._rebuild_parameter": _parameter,
            **{f"torch.{name}": dtype for name, dtype in STORAGES.items()},
        }

    def find_class(self, module, name):
        if f"{module}.{name}" not in self.classes:
            raise MoreThanArrays(f"{module}.{name}")
        return self.classes[f"{module}.{name}"]

    def persistent_load(self, pid):
        _, dtype, key, _, count = pid
        return self.storage(dtype, key, count)


def _tensor(storage, offset, shape, strides, *_):
    """A view of a storage, copied; sizes and strides are the file's word, so they are checked."""
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides))
    inside = 0 <= offset and (0 in shape or last < len(storage))
    if len(shape) != len(strides) or min((0, *shape, *strides)) < 0 or not inside:
        raise ValueError(f"a tensor of shape {tuple(shape)} reaches beyond its storage")
    if np.prod(shape, dtype=object) > len(storage):
        raise ValueError(f"a tensor of shape {tuple(shape)} has more entries than its storage")
    size = storage.itemsize
    view = np.lib.stride_tricks.as_strided(storage[offset:], shape, [size * stride for stride in strides])
    return view.astype(view.dtype.newbyteorder("="))


def _parameter(tensor, *_):
    return tensor
