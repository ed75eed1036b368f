import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import numpy as np
import paddle
import pytest

from ppdet_ext.nn import MBConv, SqueezeExcite, reparameterize
from ppdet_ext.nn.cost import trainable_parameters

from .reference import array, random_input, randomise, relative_error
from .same_numpy import mbconv, squeeze_excite

FORMS = {
    "shortcut": {"out_channels": 8},
    "no expansion": {"out_channels": 8, "expansion": 1},
    "wider": {"out_channels": 12, "kernel_size": 5},
    "stride": {"out_channels": 8, "stride": 2},
    "stride, 5x5": {"out_channels": 12, "stride": 2, "kernel_size": 5},
    "no se": {"out_channels": 8, "se_ratio": 0},
    "relu6": {"out_channels": 8, "act": "relu6"},
    "relu6, stride, no se": {"out_channels": 8, "act": "relu6", "stride": 2, "se_ratio": 0},
}


@pytest.mark.parametrize("act", ["swish", "relu6"])
def test_squeeze_excite_equals_numpy(act):
    layer = randomise(SqueezeExcite(7, 3, act))
    x = random_input(2, 7, 5, 6) * 3 + 1
    expected = squeeze_excite(layer, array(x), act)
    gate = expected / array(x)
    assert gate.std() > 0.05 and np.ptp(gate, axis=(2, 3)).max() < 1e-9
    assert relative_error(layer(x).numpy(), expected) <= 1e-5
    assert trainable_parameters(layer) == 7 * 3 + 3 + 3 * 7 + 7


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("sides", [(8, 12), (9, 11)], ids=["even", "odd"])
def test_block_equals_numpy_as_trained_and_deployed(form, sides):
    options = FORMS[form]
    block = randomise(MBConv(8, **options))
    x = random_input(2, 8, *sides)
    expected = mbconv(block, array(x), options.get("stride", 1), options.get("act", "swish"))
    assert relative_error(block(x).numpy(), expected) <= 1e-5
    reparameterize(block)
    assert not [name for name in block.state_dict() if ".bn." in name]
    assert relative_error(block(x).numpy(), expected) <= 1e-5


def test_keys():
    names = {name.rsplit(".", 1)[0] for name in MBConv(8, 8).state_dict()}
    assert names == {
        *(f"{conv}.{part}" for conv in ("expand", "depthwise", "project") for part in ("conv", "bn")),
        "se.reduce",
        "se.expand",
    }


def test_bottleneck_is_a_quarter_of_the_input_and_at_least_one():
    """And not of the expanded width."""
    for width, expected in ((24, 6), (10, 2), (3, 1)):
        assert MBConv(width, 8).se.reduce.weight.shape == [expected, 6 * width, 1, 1]


def branch_and_sum(drop_path, images=4000):
    """A block in training, and its branch for each image over what the branch is in evaluation."""
    block = randomise(MBConv(4, 4, expansion=1, drop_path=drop_path))
    x = paddle.tile(random_input(1, 4, 3, 3), [images, 1, 1, 1])
    kept = (block(x) - x).numpy()
    block.drop_path.train()  # the BatchNorms stay in evaluation
    return (block(x) - x).numpy() / kept


def test_drop_path_drops_whole_images_and_keeps_the_mean():
    paddle.seed(3)
    ratios = branch_and_sum(0.3)
    image = ratios.reshape(len(ratios), -1)
    assert np.ptp(image, axis=1).max() < 1e-3, "an image is dropped as a whole"
    dropped = np.isclose(image[:, 0], 0, atol=1e-4)
    np.testing.assert_allclose(image[~dropped], 1 / 0.7, rtol=1e-3)
    # Of 4000 draws: a standard deviation is 0.0072.
    assert abs(dropped.mean() - 0.3) < 0.03 and abs(image.mean() - 1) < 0.05


def test_drop_path_is_the_identity_in_evaluation():
    block, plain = (randomise(MBConv(4, 4, drop_path=rate)) for rate in (0.9, 0.0))
    x = random_input(8, 4, 5, 5)
    np.testing.assert_array_equal(block(x).numpy(), plain(x).numpy())


def test_a_block_without_a_shortcut_is_never_dropped():
    block = randomise(MBConv(4, 8, drop_path=0.9))
    x = random_input(16, 4, 5, 5)
    expected = block(x).numpy()
    block.drop_path.train()
    np.testing.assert_array_equal(block(x).numpy(), expected)
