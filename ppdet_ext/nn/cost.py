"""What a network costs: parameters, and multiply-accumulates of its convolutions."""

import math

import paddle
import paddle.nn as nn


def trainable_parameters(network):
    """How many numbers a training changes; BatchNorm's statistics and constants are none."""
    return sum(math.prod(p.shape) for p in network.parameters() if not p.stop_gradient)


@paddle.no_grad()
def multiply_accumulates(network, forward):
    """Multiply-accumulates of a network's convolutions and transposed convolutions, one sum a product.

    Args:
        network (nn.Layer): whose layers are counted.
        forward (callable): without arguments; runs the network once, on an image of some size. Where no
            border is cut off, that is at multiples of the last stride, counts grow with the image's area.

    Returns:
        int: of that run, biases and everything else left out.
    """
    total = 0

    def count(layer, inputs, output):
        nonlocal total
        # Kernels are [Cout, Cin / groups, k, k]; transposed ones [Cin, Cout / groups, k, k].
        positions = inputs[0] if isinstance(layer, nn.Conv2DTranspose) else output
        total += math.prod(positions.shape) * math.prod(layer.weight.shape[1:])

    kinds = (nn.Conv2D, nn.Conv2DTranspose)
    hooks = [
        part.register_forward_post_hook(count) for part in network.sublayers(True) if isinstance(part, kinds)
    ]
    try:
        forward()
    finally:
        for hook in hooks:
            hook.remove()
    return total
