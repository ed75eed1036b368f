"""The operators that bring an image to the network's size, for a larger or smaller network input."""

from ..operators import SIZE_KEYS

RESIZERS = ("Resize", "LetterBoxResize")


def scaled_operators(operators, scales, stride, place):
    """Lists of operators for other sizes of the network's input.

    Args:
        operators (list): pairs of an operator's name and its arguments (dict), as PaddleDetection names them.
        scales (tuple): of the size; 1 leaves the list as it is.
        stride (int): each side becomes a multiple of it, the nearest one.
        place (str): where the operators stand, for errors.

    Returns:
        dict: scale -> list, of the same form.

    Raises:
        ValueError: no operator resizes, or two scales give one size.
    """
    made, taken = {}, {}
    for scale in scales:
        made[scale] = [(name, _scaled(name, arguments, scale, stride)) for name, arguments in operators]
        height, width = _network_size(made[scale], place)
        if (height, width) in taken:
            apart = stride / max(_network_size(operators, place))
            raise ValueError(
                f"{place}: scales {taken[height, width]:g} and {scale:g} both make {width}x{height} pixels, "
                f"as sides are multiples of {stride}, the coarsest stride; keep them {apart:.2g} apart, or "
                f"leave one out"
            )
        taken[height, width] = scale
    return made


def _scaled(name, arguments, scale, stride):
    key = SIZE_KEYS.get(name)
    if scale == 1 or key is None or arguments.get(key) is None:
        return arguments
    sides = [max(int(side * scale / stride + 0.5), 1) * stride for side in _pair(arguments[key])]
    return {**arguments, key: sides}


def _network_size(operators, place):
    """(height, width) that the last operator that resizes aims at."""
    sizes = [arguments[SIZE_KEYS[name]] for name, arguments in operators if name in RESIZERS]
    if not sizes:
        raise ValueError(f"{place}: has no Resize, which another scale could change; leave out the scales")
    return _pair(sizes[-1])


def _pair(value):
    """(height, width) of a number or a pair."""
    return (value, value) if isinstance(value, int) else tuple(value)
