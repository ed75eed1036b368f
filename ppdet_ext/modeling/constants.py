"""Arrays that every step needs again, kept on the device: a copy to a GPU waits for all that it has to do."""

from functools import lru_cache

import paddle

__all__ = ["constants"]


def constants(make, *arguments):
    """Tensors with the values of the arrays that a function makes.

    Args:
        make (callable): gives one NumPy array or several, always the same for the same arguments.
        *arguments: hashable.

    Returns:
        list[Tensor]: the caller's own, which it may change.
    """
    if paddle.in_dynamic_mode():
        return [tensor.clone() for tensor in _kept(make, arguments, paddle.get_device())]
    # A graph that is being captured takes them in as its own.
    return _tensors(make, arguments)


# 7 MB each for the anchors of the largest images.
@lru_cache(maxsize=16)
def _kept(make, arguments, device):
    return _tensors(make, arguments)


def _tensors(make, arguments):
    arrays = make(*arguments)
    return [paddle.to_tensor(array) for array in (arrays if isinstance(arrays, tuple) else (arrays,))]
