"""Activations by name, against NumPy."""

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import numpy as np
import paddle
import pytest
from paddle import nn

from ppdet_ext.nn import ACTIVATIONS, build_activation

from .reference import array, hard_sigmoid, random_input, sigmoid, silu

FORMULAS = {
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: np.clip(x, 0, 6),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.1 * x),
    "swish": silu,
    "silu": silu,
    "hardswish": lambda x: x * np.clip(x + 3, 0, 6) / 6,
    "sigmoid": sigmoid,
    "hardsigmoid": hard_sigmoid,
    "identity": lambda x: x,
}


def test_every_activation_has_its_formula_here():
    assert set(FORMULAS) == set(ACTIVATIONS)


@pytest.mark.parametrize("name", FORMULAS)
def test_activation_equals_numpy(name):
    x = paddle.linspace(-9, 9, 181)
    value, expected = build_activation(name)(x).numpy(), FORMULAS[name](array(x))
    np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["swish", "silu"])
def test_the_trt_spelling_of_swish_is_the_same_function(name):
    x = paddle.linspace(-9, 9, 181)
    spelt = build_activation(name, trt=True)
    assert type(spelt) is not type(build_activation(name))
    np.testing.assert_allclose(spelt(x).numpy(), build_activation(name)(x).numpy(), rtol=1e-6, atol=1e-7)
    assert isinstance(build_activation("relu", trt=True), nn.ReLU)


def test_activation_of_none_and_of_a_layer():
    layer = nn.Tanh()
    assert build_activation(layer) is layer
    x = random_input(3)
    np.testing.assert_array_equal(build_activation(None)(x).numpy(), x.numpy())


@pytest.mark.parametrize(
    "name, hint",
    [("swich", "did you mean 'swish'"), ("hard_sigmoid", "'hardsigmoid'"), ("xyz", "choose from relu, ")],
)
def test_an_unknown_activation_names_the_nearest(name, hint):
    with pytest.raises(ValueError, match=f"unknown activation '{name}'.*{hint}"):
        build_activation(name)
