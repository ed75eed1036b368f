"""Reading of the files that hold a network's parameters."""

from .safe_pickle import read_pickle


def read_state_file(file):
    """Reads a ``.pdparams`` file; nothing that it holds is run.

    Args:
        file (str): with its extension.

    Returns:
        dict[str, ndarray]: parameters by name.

    Raises:
        ValueError: as :func:`read_pickle`, and of a file that holds no parameters.
    """
    state = read_pickle(file)
    if not isinstance(state, dict) or not any(hasattr(v, "shape") for v in state.values()):
        raise ValueError(f"{file}: holds no parameters (found {type(state).__name__})")
    return {k: v for k, v in state.items() if hasattr(v, "shape")}
