"""Counts of parameters and multiply-accumulates against counts by hand."""

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import paddle
import paddle.nn as nn

from ppdet_ext.nn import ConvNormAct
from ppdet_ext.nn.cost import multiply_accumulates, trainable_parameters


def test_counts_by_hand():
    network = nn.Sequential(
        ConvNormAct(3, 8, 3, 2),
        nn.Conv2D(8, 8, 3, padding=1, groups=4),
        nn.Conv2DTranspose(8, 6, 2, stride=2),
    )
    # Kernels, BatchNorm's scale and shift without its statistics, biases.
    assert trainable_parameters(network) == 3 * 8 * 9 + 16 + 8 * 2 * 9 + 8 + 8 * 6 * 4 + 6
    image = paddle.zeros([2, 3, 16, 12])
    macs = 2 * (8 * 6) * (3 * 8 * 9 + 8 * 2 * 9 + 8 * 6 * 4)
    assert multiply_accumulates(network, lambda: network(image)) == macs
    # No hook stays behind.
    assert multiply_accumulates(network, lambda: None) == 0


def test_a_constant_is_no_trainable_parameter():
    layer = nn.Conv2D(4, 1, 1, bias_attr=False)
    layer.weight.stop_gradient = True
    assert trainable_parameters(layer) == 0


def test_counts_grow_with_the_area():
    network = nn.Sequential(ConvNormAct(3, 4, 3, 2), ConvNormAct(4, 4, 3, 2))
    small, large = (
        multiply_accumulates(network, lambda side=side: network(paddle.zeros([1, 3, side, side])))
        for side in (8, 32)
    )
    assert large == 16 * small
