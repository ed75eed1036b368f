"""What a network costs: parameters, and multiply-accumulates of its convolutions."""

import contextlib
import math

import paddle
import paddle.nn as nn

from .mbconv import SqueezeExcite
from .same_pad import SameMaxPool2D
from .weighted_fusion import WeightedFusion

# The layers whose products are counted.
CONVOLUTIONS = (nn.Conv2D, nn.Conv2DTranspose)


def trainable_parameters(network):
    """How many numbers a training changes; BatchNorm's statistics and constants are none."""
    return sum(math.prod(p.shape) for p in network.parameters() if not p.stop_gradient)


@contextlib.contextmanager
def watching(network, kinds, see):
    """Calls ``see(layer, inputs, output)`` after each run of a network's layers of some kinds, meanwhile."""
    hooks = [
        part.register_forward_post_hook(see) for part in network.sublayers(True) if isinstance(part, kinds)
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _run_counted(network, forward, kinds, count):
    """Runs a network; the sum of ``count(layer, inputs, output)`` over its layers of some kinds."""
    total = 0

    def add(layer, inputs, output):
        nonlocal total
        total += count(layer, inputs, output)

    with watching(network, kinds, add), paddle.no_grad():
        forward()
    return total


def products(layer, inputs, output):
    """Multiply-accumulates of one run of a layer of ``CONVOLUTIONS``."""
    # Kernels are [Cout, Cin / groups, k, k]; transposed ones [Cin, Cout / groups, k, k].
    positions = inputs[0] if isinstance(layer, nn.Conv2DTranspose) else output
    return math.prod(positions.shape) * math.prod(layer.weight.shape[1:])


def multiply_accumulates(network, forward):
    """Multiply-accumulates of a network's convolutions and transposed convolutions, one sum a product.

    Args:
        network (nn.Layer): whose layers are counted.
        forward (callable): without arguments; runs the network once, on an image of some size. Where no
            border is cut off, that is at multiples of the last stride, counts grow with the image's area.

    Returns:
        int: of that run, biases and everything else left out.
    """
    return _run_counted(network, forward, CONVOLUTIONS, products)


def _operations(layer, inputs, output):
    elements = math.prod(output.shape)
    if isinstance(layer, nn.Conv2D):
        return 2 * products(layer, inputs, output) + (elements if layer.bias is not None else 0)
    if isinstance(layer, SqueezeExcite):
        return 2 * elements
    if isinstance(layer, SameMaxPool2D):
        return layer.kernel_size**2 * elements
    if isinstance(layer, WeightedFusion):
        return (layer.n - 1 + (0 if layer.mode == "sum" else 2 * layer.n)) * elements
    return elements


def multiply_adds(network, forward):
    """Multiply-adds as EfficientDet's are published: half of the operations TensorFlow's profiler finds.

    Beside the convolutions' these are, for an element, one of a bias, a BatchNorm and an activation, two of a
    squeeze-and-excitation (mean and product), nine of a pooling, and of a fusion the products, quotients and
    sums. What the profiler counts for a BatchNorm is not documented: the rule was chosen because it meets the
    published numbers of D0 to D2, and is borne out by the larger sizes.

    Args: as :func:`multiply_accumulates`, the network in training form.
    """
    kinds = (nn.Conv2D, nn.BatchNorm2D, nn.Swish, nn.ReLU6, SqueezeExcite, SameMaxPool2D, WeightedFusion)
    return _run_counted(network, forward, kinds, _operations) // 2
