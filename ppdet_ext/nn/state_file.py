"""Reading of the files that hold a network's parameters."""

import os
import zipfile

import paddle


def read_state_file(file):
    """Reads a ``.pdparams`` file.

    Args:
        file (str): with its extension.

    Returns:
        dict[str, ndarray | Tensor]: parameters by name.

    Raises:
        ValueError: no such file, an empty or broken one, or one that holds no parameters.
    """
    if not os.path.isfile(file):
        raise ValueError(f"{file}: no such checkpoint; give the path of a .pdparams file")
    if os.path.getsize(file) == 0:
        raise ValueError(f"{file}: the checkpoint is empty (0 bytes); take another one of that run")
    try:
        state = paddle.load(file)
    except (
        ValueError,
        RuntimeError,
        EOFError,
        KeyError,
        AttributeError,
        ImportError,
        OSError,
        zipfile.BadZipFile,
    ) as error:
        raise ValueError(
            f"{file}: not a readable Paddle checkpoint ({type(error).__name__}); it is "
            "truncated or of another framework"
        ) from None
    if not isinstance(state, dict) or not any(hasattr(v, "shape") for v in state.values()):
        raise ValueError(f"{file}: holds no parameters (found {type(state).__name__})")
    return {k: v for k, v in state.items() if hasattr(v, "shape")}
