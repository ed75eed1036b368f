"""The three fusions against NumPy: values, gradients, both forms."""

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import numpy as np
import paddle
import pytest

from ppdet_ext.nn import WeightedFusion, reparameterize

from .reference import array, random_input, relative_error

LEARNT = ("fast", "softmax", "unbounded")
ALL = (*LEARNT, "sum")
all_modes = pytest.mark.parametrize("mode", ALL)
# Of either sign, and one that relu cuts off exactly.
RAW = {2: [0.7, -0.4], 3: [1.3, 0.0, 0.6], 4: [0.2, -1.1, 2.5, 0.9]}


def expected_weights(mode, raw):
    """By definition, and the matrix of their derivatives [of weight i, by raw weight j]."""
    raw = np.float64(np.float32(raw))
    n = len(raw)
    if mode == "fast":
        kept = [max(value, 0.0) for value in raw]
        total = sum(kept) + 1e-4
        weights = np.array([value / total for value in kept])
        slope = np.array([1.0 if value > 0 else 0.0 for value in raw])
        return weights, (np.eye(n) / total - np.array(kept)[:, None] / total**2) * slope
    if mode == "softmax":
        weights = np.exp(raw) / np.exp(raw).sum()
        return weights, np.diag(weights) - np.outer(weights, weights)
    return (raw, np.eye(n)) if mode == "unbounded" else (np.ones(n), np.zeros((n, n)))


def prepared(mode, n):
    layer = WeightedFusion(n, mode)
    if mode != "sum":
        layer.edge_weights.set_value(np.float32(RAW[n]))
    return layer, [random_input(2, 3, 4, 5, seed=seed) for seed in range(n)]


@all_modes
@pytest.mark.parametrize("n", RAW)
def test_values_and_gradients_equal_numpy(mode, n):
    layer, maps = prepared(mode, n)
    for x in maps:
        x.stop_gradient = False
    weights, derivatives = expected_weights(mode, RAW[n])
    y = layer(maps)
    assert relative_error(y.numpy(), sum(w * array(x) for w, x in zip(weights, maps))) <= 1e-6
    upstream = random_input(2, 3, 4, 5, seed=9)
    (y * upstream).sum().backward()
    for x, weight in zip(maps, weights):
        assert relative_error(x.grad.numpy(), weight * array(upstream)) <= 1e-6
    if mode != "sum":
        by_weight = np.array([(array(x) * array(upstream)).sum() for x in maps])
        expected = by_weight @ derivatives
        np.testing.assert_allclose(layer.edge_weights.grad.numpy(), expected, rtol=2e-5, atol=1e-5)


@all_modes
@pytest.mark.parametrize("n", RAW)
def test_deployed_equals_trained(mode, n):
    layer, maps = prepared(mode, n)
    layer.eval()
    trained, told = layer(maps).numpy(), layer.weights()
    np.testing.assert_allclose(told, expected_weights(mode, RAW[n])[0], rtol=1e-12, atol=1e-12)
    for _ in range(2):
        reparameterize(layer)
        assert not layer.state_dict() and not layer.parameters()
        assert relative_error(layer(maps).numpy(), trained) <= 1e-6
        assert layer.weights() == told
    # Whoever makes the maps takes the weights over, once.
    assert layer.hand_out() == told and layer.hand_out() == [1.0] * n
    assert relative_error(layer(maps).numpy(), sum(array(x) for x in maps)) <= 1e-6
    assert layer.weights() == told


def test_a_dead_edge_stays_dead():
    """The gradient of relu is zero at zero and below, where 'fast' leaves an edge out."""
    layer, maps = prepared("fast", 3)
    layer(maps).sum().backward()
    gradient = layer.edge_weights.grad.numpy()
    assert gradient[1] == 0.0 and abs(gradient[0]) > 0.1 and abs(gradient[2]) > 0.1


def test_all_edges_dead_gives_zeros_not_nan():
    layer, maps = prepared("fast", 2)
    layer.edge_weights.set_value(np.float32([-1.0, 0.0]))
    assert (layer(maps).numpy() == 0.0).all()
    assert layer.weights() == [0.0, 0.0]


def test_softmax_of_large_weights_is_finite():
    layer, _ = prepared("softmax", 2)
    layer.edge_weights.set_value(np.float32([900.0, 899.0]))
    np.testing.assert_allclose(layer.weights(), [1 / (1 + np.exp(-1)), 1 / (1 + np.e)], rtol=1e-12)


@all_modes
def test_one_map_twice_counts_twice(mode):
    layer, (x, _, other) = prepared(mode, 3)
    weights, _ = expected_weights(mode, RAW[3])
    expected = (weights[0] + weights[1]) * array(x) + weights[2] * array(other)
    assert relative_error(layer([x, x, other]).numpy(), expected) <= 1e-6


@pytest.mark.parametrize("mode", LEARNT)
def test_weights_start_at_one_and_do_not_decay(mode):
    layer = WeightedFusion(3, mode)
    (name,) = layer.state_dict()
    assert name == "edge_weights" and (layer.edge_weights.numpy() == 1.0).all()
    # Paddle 2 and 3 keep the coefficient under different names.
    regulariser = vars(layer.edge_weights.regularizer)
    assert [value for key, value in regulariser.items() if "coeff" in key] == [0.0]
    assert not layer.edge_weights.stop_gradient


def test_the_result_has_the_maps_precision():
    """In mixed-precision training they are of another than the weights."""
    layer, maps = prepared("fast", 2)
    weights, _ = expected_weights("fast", RAW[2])
    y = layer([x.astype("float64") for x in maps])
    assert y.dtype == paddle.float64
    assert relative_error(y.numpy(), sum(w * array(x) for w, x in zip(weights, maps))) <= 1e-6


def test_refusals():
    with pytest.raises(ValueError, match="unknown fusion 'sofmax'; did you mean 'softmax'"):
        WeightedFusion(2, "sofmax")
    with pytest.raises(ValueError, match="two maps or more, not 1"):
        WeightedFusion(1)
    with pytest.raises(ValueError, match="fusion of 3 maps got 2"):
        WeightedFusion(3)([random_input(1, 1, 2, 2)] * 2)
