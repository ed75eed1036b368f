"""Convolution with norm and activation, attention, pooling, resizing, DropBlock: against NumPy."""

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import numpy as np
import paddle
import pytest

from ppdet_ext.nn import SPP, ConvNormAct, DropBlock, EffectiveSE, SeparableConvNormAct, reparameterize
from ppdet_ext.nn.cost import trainable_parameters
from ppdet_ext.nn.resize import spatial_size, upsample_like

from .reference import (
    array,
    batch_norm,
    convolution,
    hard_sigmoid,
    max_pool,
    random_input,
    randomise,
    relative_error,
    sigmoid,
    silu,
)


def conv_norm(layer, x, **geometry):
    return batch_norm(convolution(x, array(layer.conv.weight), **geometry), layer.bn)


GEOMETRIES = {
    "1x1": {"kernel_size": 1},
    "3x3, stride": {"kernel_size": 3, "stride": 2},
    "5x5, groups": {"kernel_size": 5, "groups": 2},
    "depthwise": {"kernel_size": 3, "groups": 8},
    "dilation": {"kernel_size": 3, "dilation": 3},
    "reflect": {"kernel_size": 3, "padding_mode": "reflect"},
    "another epsilon": {"kernel_size": 3, "bn_epsilon": 1e-2},
}


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_conv_norm_act_equals_numpy_before_and_after_folding(geometry):
    options = GEOMETRIES[geometry]
    layer = randomise(ConvNormAct(8, 8, act="swish", **options))
    x = random_input(2, 8, 9, 11)
    expected = silu(
        conv_norm(
            layer, array(x), **{k: v for k, v in options.items() if k not in ("kernel_size", "bn_epsilon")}
        )
    )
    assert relative_error(layer(x).numpy(), expected) <= 1e-5
    assert sorted(layer.state_dict()) == [
        "bn._mean",
        "bn._variance",
        "bn.bias",
        "bn.weight",
        "conv.weight",
    ]
    layer.convert_to_deploy()
    assert sorted(layer.state_dict()) == ["conv.bias", "conv.weight"]
    folded = layer(x).numpy()
    assert relative_error(folded, expected) <= 1e-5
    layer.convert_to_deploy()
    assert relative_error(layer(x).numpy(), folded) <= 1e-6


def test_norm_is_exempt_from_weight_decay_and_the_kernel_is_not():
    layer = ConvNormAct(4, 4)
    for parameter in (layer.bn.weight, layer.bn.bias):
        # Paddle 2 and 3 keep the coefficient under different names.
        regulariser = vars(parameter.regularizer)
        assert [value for key, value in regulariser.items() if "coeff" in key] == [0.0]
    assert layer.conv.weight.regularizer is None


def test_momentum_is_the_share_of_the_old_statistics_that_stays():
    layer = ConvNormAct(3, 3, 1, bn_momentum=0.8)
    layer.train()
    x = random_input(4, 3, 5, 5) + 2.0
    layer(x)
    y = convolution(array(x), array(layer.conv.weight))
    np.testing.assert_allclose(layer.bn._mean.numpy(), 0.2 * y.mean((0, 2, 3)), rtol=1e-4, atol=1e-6)


def test_separable_equals_numpy():
    layer = randomise(SeparableConvNormAct(6, 10, 5, 2, act="relu"))
    x = random_input(2, 6, 9, 11)
    middle = conv_norm(layer.depthwise, array(x), groups=6, stride=2)
    assert (middle < 0).any()  # no activation between the two
    expected = np.maximum(conv_norm(layer.pointwise, middle), 0)
    assert relative_error(layer(x).numpy(), expected) <= 1e-5
    assert trainable_parameters(layer) == 6 * 25 + 2 * 6 + 6 * 10 + 2 * 10
    reparameterize(layer)
    assert relative_error(layer(x).numpy(), expected) <= 1e-5
    assert trainable_parameters(layer) == 6 * 25 + 6 + 6 * 10 + 10


GATES = {"hardsigmoid": hard_sigmoid, "sigmoid": sigmoid}


@pytest.mark.parametrize("gate", GATES)
def test_effective_se_equals_numpy(gate):
    layer = randomise(EffectiveSE(7, gate))
    x = random_input(2, 7, 5, 6) * 3 + 1
    mean = array(x).mean((2, 3))
    attention = GATES[gate](mean @ array(layer.fc.weight)[:, :, 0, 0].T + array(layer.fc.bias))
    assert attention.std() > 0.05
    assert relative_error(layer(x).numpy(), array(x) * attention[:, :, None, None]) <= 1e-5


def test_the_default_gate_is_the_hard_one():
    x = random_input(2, 7, 5, 6)
    hard, plain = randomise(EffectiveSE(7, "hardsigmoid")), randomise(EffectiveSE(7))
    assert relative_error(plain(x).numpy(), hard(x).numpy()) <= 1e-6


def test_spp_equals_numpy():
    layer = randomise(SPP(16, 6, 1, (3, 5, 9), act="relu"))
    x = random_input(2, 4, 7, 10) - 3  # negative: a pool that pads with zeros would show
    pooled = np.concatenate([array(x)] + [max_pool(array(x), k) for k in (3, 5, 9)], axis=1)
    expected = np.maximum(conv_norm(layer.conv, pooled), 0)
    assert relative_error(layer(x).numpy(), expected) <= 1e-5


@pytest.mark.parametrize(
    "small, large", [((4, 5), (8, 10)), ((4, 5), (7, 9)), ((3, 3), (5, 6)), ((2, 7), (3, 13))]
)
def test_upsample_like_is_nearest_also_at_odd_sizes(small, large):
    x = random_input(2, 3, *small)
    y = upsample_like(x, random_input(1, 8, *large)).numpy()
    rows, columns = ([i * s // big for i in range(big)] for s, big in zip(small, large))
    np.testing.assert_array_equal(y, x.numpy()[:, :, rows][:, :, :, columns])


def test_spatial_size_is_plain_ints_where_the_shape_is_known():
    assert spatial_size(random_input(1, 2, 3, 5)) == [3, 5]


def test_drop_block_is_the_identity_in_evaluation_and_where_it_keeps_all():
    x = random_input(2, 3, 9, 9)
    layer = DropBlock(3, 0.5)
    layer.train()
    assert (layer(x).numpy() != x.numpy()).any()
    layer.eval()
    np.testing.assert_array_equal(layer(x).numpy(), x.numpy())
    layer = DropBlock(3, 1.0)
    layer.train()
    np.testing.assert_array_equal(layer(x).numpy(), x.numpy())


def test_drop_block_keeps_the_mean_and_about_the_asked_share():
    paddle.seed(7)
    layer = DropBlock(3, 0.9)
    layer.train()
    y = layer(paddle.ones([16, 32, 20, 20])).numpy()
    assert abs(y.mean() - 1) < 1e-4
    # Blocks overlap, so a little more than the asked share stays.
    assert 0.88 < (y > 0).mean() < 0.93
    assert len(np.unique(y)) == 2


@pytest.mark.parametrize("size", [3, 5])
def test_drop_block_drops_whole_blocks(size):
    """Every zero lies in a square of zeros, cut off by the border at most."""
    paddle.seed(11)
    layer = DropBlock(size, 0.9)
    layer.train()
    dropped = layer(paddle.ones([4, 8, 24, 24])).numpy() == 0
    assert 0 < dropped.mean() < 0.5
    margin = size // 2
    outside = np.pad(dropped, [(0, 0), (0, 0), (margin, margin), (margin, margin)], constant_values=True)
    windows = np.lib.stride_tricks.sliding_window_view(outside, (size, size), axis=(2, 3))
    centres = windows.all(axis=(-1, -2))
    covered = np.zeros_like(outside)
    for row in range(size):
        for column in range(size):
            covered[:, :, row : row + 24, column : column + 24] |= centres
    np.testing.assert_array_equal(covered[:, :, margin:-margin, margin:-margin] & dropped, dropped)
    assert not dropped.all(axis=(2, 3)).any()


def test_drop_block_leaves_random_places():
    paddle.seed(1)
    layer = DropBlock(3, 0.8)
    layer.train()
    x = paddle.ones([1, 4, 16, 16])
    first, second = layer(x).numpy() == 0, layer(x).numpy() == 0
    assert (first != second).any() and (first[0, 0] != first[0, 1]).any()


@pytest.mark.parametrize("keep", [0, -0.1, 1.1])
def test_drop_block_refuses_a_share_that_is_none(keep):
    with pytest.raises(ValueError, match="keep_prob"):
        DropBlock(3, keep)
