"""Which convolution reads the image."""

import paddle
import paddle.nn as nn


def image_convolution(network, forward):
    """Finds it by running the network: the order of definition says nothing.

    Args:
        network (nn.Layer): in evaluation mode.
        forward (callable): takes images [1, 3, 64, 64] float32 and runs the network on them.

    Returns:
        nn.Conv2D | None: the first that is computed.
    """
    seen = []
    hooks = [
        layer.register_forward_pre_hook(lambda layer, inputs: seen.append(layer))
        for layer in network.sublayers()
        if isinstance(layer, nn.Conv2D)
    ]
    try:
        with paddle.no_grad():
            forward(paddle.zeros([1, 3, 64, 64]))
    finally:
        for hook in hooks:
            hook.remove()
    return seen[0] if seen else None
