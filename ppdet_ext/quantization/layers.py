"""Convolutions by the names users know, and the weights that hold them in an exported graph."""

from fnmatch import fnmatchcase

import paddle
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
            # A detector's head is `yolo_head` in its checkpoints.
            names[path.replace("head.", "yolo_head.", 1) if path.startswith("head.") else path] = (
                layer.weight.name
            )
    return names


def image_convolution(network, forward):
    """The convolution that reads the image. It stays float, after training and in it.

    It sees all of a photograph through 27 weights a channel, and what it rounds away no later layer has: on
    blood cells it alone costs 2 points of AP, of one percent of the multiplications.

    Args:
        network (nn.Layer): in evaluation mode.
        forward (callable): takes images [1, 3, 64, 64] float32 and runs the network on them.

    Returns:
        nn.Conv2D: the first that is computed.
    """
    seen = []
    watches = [
        layer.register_forward_pre_hook(lambda layer, inputs: seen.append(layer))
        for layer in network.sublayers()
        if isinstance(layer, nn.Conv2D)
    ]
    try:
        with paddle.no_grad():
            forward(paddle.zeros([1, 3, 64, 64]))
    finally:
        for watch in watches:
            watch.remove()
    return seen[0]


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
