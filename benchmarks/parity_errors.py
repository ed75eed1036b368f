"""How far our tensors are from those of a reference implementation."""

import numpy as np


def largest_errors(found, expected, parts):
    """The largest difference of each part over the largest value of the reference's tensor.

    Args:
        found (dict): ours, {part and number, such as 'neck0': ndarray}.
        expected (dict): the reference's, with the same names at least.
        parts (tuple[str]): names without their numbers.

    Returns:
        dict: {part: float}.

    Raises:
        RuntimeError: a tensor of another shape.
    """
    errors = dict.fromkeys(parts, 0.0)
    for name, value in found.items():
        if value.shape != expected[name].shape:
            raise RuntimeError(f"{name} is {value.shape}, the reference's {expected[name].shape}")
        part = name.rstrip("0123456789")
        error = float(np.abs(value - expected[name]).max() / np.abs(expected[name]).max())
        errors[part] = max(errors[part], error)
    return errors
