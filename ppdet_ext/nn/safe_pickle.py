"""Reading of what ``paddle.save`` wrote without running what anybody else may have written.

A pickle is a program: loading one calls whatever it names. This reader knows the few names that Paddle's own
files hold, arrays and plain containers, and refuses the first other one before anything of it is imported.
"""

import os
import pickle
import re
from collections import OrderedDict

import numpy as np

from ppdet_ext.pickles import BROKEN, OLD_TORCH_START, ZIP_START

# Beginnings of files of other kinds, and what to do about them.
FOREIGN = (
    (
        ZIP_START,
        "a zip archive, such as PyTorch and NumPy write, and no Paddle checkpoint; "
        "'ppdet-ext weights' converts those that it knows",
    ),
    (
        OLD_TORCH_START,
        "written by PyTorch before 1.6 and no Paddle checkpoint; load it with a newer one and save it again",
    ),
)
# The table in a .pdparams file from a state-dict's names to those that Paddle gave the parameters.
NAME_TABLE = "StructuredToParameterName@@"
# Where parts of an array that is too big for one pickle are listed.
PARTS = "UnpackBigParamInfor@@"
PLAIN_DTYPE = re.compile(r"[<>=|]?[?biufc]\d*$")
# Deeper than any state that Paddle writes.
DEPTH = 16


class Refused(Exception):
    """A pickle names what no checkpoint needs; the argument is the name."""


def read_pickle(file):
    """Reads a file that ``paddle.save`` wrote: containers, numbers, text and arrays, and nothing else.

    Args:
        file (str): ``.pdparams``, ``.pdopt``, ``.pdema`` and the like.

    Returns:
        the object, tensors as arrays (bfloat16 as the uint16 that Paddle writes for it), dicts as plain ones.

    Raises:
        ValueError: one line: no such file, an empty, truncated or foreign one, or one that names anything
            that could run.
    """
    if not os.path.isfile(file):
        raise ValueError(f"{file}: no such checkpoint; give the path of a .pdparams file")
    if os.path.getsize(file) == 0:
        raise ValueError(f"{file}: the checkpoint is empty (0 bytes); take another one of that run")
    with open(file, "rb") as stream:
        start = stream.read(16)
        stream.seek(0)
        for beginning, words in FOREIGN:
            if start.startswith(beginning):
                raise ValueError(f"{file}: {words}")
        try:
            return _plain(_Reader(stream, encoding="latin1").load(), {}, DEPTH)
        except Refused as error:
            raise ValueError(
                f"{file}: refused, since loading it would run '{error}'; a checkpoint holds tensors and "
                "plain containers and nothing else. Take it from where you trust it"
            ) from None
        except BROKEN as error:
            raise ValueError(
                f"{file}: not a readable Paddle checkpoint ({type(error).__name__}); it is "
                "truncated or of another framework"
            ) from None


def guard_paddle():
    """Makes this reader ``paddle.load``, by which PaddleDetection's and PaddleSlim's own code reads files."""
    import paddle

    def load(path, return_numpy=False):
        def tensor(value):
            return paddle.to_tensor(value) if isinstance(value, np.ndarray) and not return_numpy else value

        state = read_pickle(path)
        if not isinstance(state, dict):
            return tensor(state)
        return {name: tensor(value) for name, value in state.items() if name != NAME_TABLE}

    paddle.load = load


class _Reader(pickle.Unpickler):
    """Answers each name of a pickle with a call of its own: what a file does to it ends with the file."""

    def find_class(self, module, name):
        full = f"{module.replace('numpy._core', 'numpy.core').replace('__builtin__', 'builtins')}.{name}"
        if full not in KNOWN:
            raise Refused(f"{module}.{name}")
        return lambda *arguments: KNOWN[full](*arguments)


class _Dtype:
    """Stands for numpy's dtype while a pickle is read, whose own reading trusts its file."""

    def __init__(self, code, *_):
        if not PLAIN_DTYPE.match(str(code)):
            raise Refused(f"numpy.dtype({str(code)[:40]!r})")
        self.dtype = np.dtype(code)

    def __setstate__(self, state):
        self.dtype = self.dtype.newbyteorder("=" if state[1] == "|" else state[1])


class _Array:
    """Stands for an array while a pickle is read."""

    def __setstate__(self, state):
        _, shape, dtype, fortran, raw = state
        raw = raw.encode("latin1") if isinstance(raw, str) else raw
        flat = np.frombuffer(raw, dtype.dtype)
        self.value = flat.reshape(shape, order="F" if fortran else "C").copy()


def _scalar(dtype, raw):
    return np.frombuffer(raw.encode("latin1") if isinstance(raw, str) else raw, dtype.dtype)[0]


def _bytes(text, encoding):
    if encoding not in ("latin1", "latin-1"):
        raise Refused(f"_codecs.encode to {encoding}")
    return text.encode("latin1")


def _lod_tensor(expression, names):
    """Paddle writes a LoDTensor as eval('data', {'data': array}): the array, and no eval."""
    if expression != "data" or list(names) != ["data"]:
        raise Refused(f"eval({str(expression)[:40]!r})")
    return names["data"]


KNOWN = {
    "numpy.ndarray": lambda *_: None,  # named as an argument, never called by an honest file
    "numpy.dtype": _Dtype,
    "numpy.core.multiarray._reconstruct": lambda kind, shape, code: _Array(),
    "numpy.core.multiarray.scalar": _scalar,
    "_codecs.encode": _bytes,
    "collections.OrderedDict": OrderedDict,
    "builtins.tuple": tuple,
    "builtins.set": set,
    "builtins.frozenset": frozenset,
    "builtins.complex": complex,
    "builtins.bytearray": bytearray,
    "builtins.eval": _lod_tensor,
}
LEAVES = (type(None), bool, int, float, complex, str, bytes, bytearray, np.generic)


def _plain(value, known, depth):
    """The same object of plain containers: tensors, which Paddle writes as (name, array), are arrays."""
    if isinstance(value, LEAVES):
        return value
    if isinstance(value, _Array):
        return value.value
    if depth == 0:
        raise RecursionError
    if id(value) in known:
        return known[id(value)][1]
    if isinstance(value, tuple) and [type(item) for item in value] == [str, _Array]:
        made = value[1].value
    elif isinstance(value, dict):
        made = {_plain(key, known, depth - 1): _plain(item, known, depth - 1) for key, item in value.items()}
        if PARTS in made:
            _join_parts(made)
    elif isinstance(value, (list, tuple, set, frozenset)):
        made = type(value)(_plain(item, known, depth - 1) for item in value)
    else:
        raise Refused(f"{type(value).__module__}.{type(value).__name__}")
    known[id(value)] = (value, made)  # `value` has to live, or its id may be another's
    return made


def _join_parts(state):
    """Puts arrays together that were too big for one pickle of protocol 2 or 3."""
    for name, about in state.pop(PARTS).items():
        parts = [state.pop(part) for part in about["slices"]]
        state[name] = np.concatenate(parts).reshape(about["OriginShape"])
