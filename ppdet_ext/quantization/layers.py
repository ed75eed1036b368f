"""Convolutions by the names users know, and the weights that hold them in an exported graph."""

from fnmatch import fnmatchcase

import paddle.nn as nn

from ppdet_ext.nearest import choice


def convolution_weights(graph):
    """Names of the convolutions of a network.

    Args:
        graph (RawGraph): re-parameterised.

    Returns:
        dict[str, str]: name of the layer in the model's state dict, 'backbone.stages.0.conv1.conv' -> name of
        its weight in every graph captured from it.
    """
    names = {}
    for path, layer in graph.named_sublayers():
        if isinstance(layer, nn.Conv2D):
            part, _, rest = path.partition(".")
            names[f"{graph.head_key}.{rest}" if part == "head" else path] = layer.weight.name
    return names


def match_layers(patterns, names, key="--float-layers"):
    """The layers that patterns name.

    Args:
        patterns (iterable[str]): names, with * and ? for many.
        names (iterable[str]): of the layers there are.
        key (str): where the patterns come from, for the error.

    Returns:
        set[str]: of `names`.

    Raises:
        ValueError: a pattern that matches nothing: it would silently be without effect.
    """
    matched = set()
    for pattern in patterns:
        found = {name for name in names if fnmatchcase(name, pattern)}
        if not found:
            raise ValueError(f"{key}: no convolution is called '{pattern}'; {choice(pattern, names)}")
        matched |= found
    return matched
