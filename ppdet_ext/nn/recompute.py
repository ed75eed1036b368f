"""Layers whose activations are computed a second time rather than kept."""

import contextlib

import paddle.nn as nn
from paddle.distributed.fleet.utils import recompute


@contextlib.contextmanager
def _fixed_statistics(layer):
    """BatchNorms of a layer normalise by their batch, but leave their running statistics as they are."""
    norms = [part for part in layer.sublayers(True) if isinstance(part, (nn.BatchNorm2D, nn.SyncBatchNorm))]
    momenta = [norm._momentum for norm in norms]
    for norm in norms:
        norm._momentum = 1.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta):
            norm._momentum = momentum


def recomputed(layer, x):
    """``layer(x)`` for training, without keeping the layer's activations: the backward pass runs it again.

    Parameters, gradients and BatchNorm statistics come out as they do from ``layer(x)``: Paddle's
    ``recompute``, which this calls, would let the second run move the statistics once more, and would leave a
    layer whose input asks for no gradient (an image, a frozen stem's map) without gradients of its own.
    Random numbers are the same in both runs.

    Args:
        layer (nn.Layer): of one input and one output.
        x (Tensor): any.

    Returns:
        Tensor: as of ``layer(x)``.

    Source: Chen et al., arXiv:1604.06174.
    """
    if x.stop_gradient:
        if all(parameter.stop_gradient for parameter in layer.parameters()):
            return layer(x)
        x = x.detach()
        x.stop_gradient = False
    runs = []

    def run(x):
        runs.append(None)
        with _fixed_statistics(layer) if len(runs) > 1 else contextlib.nullcontext():
            return layer(x)

    return recompute(run, x)
