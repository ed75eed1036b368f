"""Recomputed layers: every number as without, and less kept between the passes."""

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import numpy as np
import paddle
import paddle.nn as nn
import pytest

from ppdet_ext.modeling.backbones import CSPBepBackbone, CSPRepResNet, EfficientNet, EfficientRep
from ppdet_ext.nn import DropBlock
from ppdet_ext.nn.recompute import recomputed

from .reference import random_input, randomise, relative_error

SMALL = {"width_mult": 0.125, "depth_mult": 0.33}
BACKBONES = {
    "CSPRepResNet": lambda: CSPRepResNet(**SMALL),
    "EfficientRep": lambda: EfficientRep(**SMALL),
    "CSPBepBackbone": lambda: CSPBepBackbone(**SMALL),
    # With paths that are left out at random.
    "EfficientNet": lambda: EfficientNet(variant=0, drop_path_rate=0.5, width_mult=0.25, depth_mult=0.5),
}


def two_passes(backbone, use_checkpoint):
    """What two training passes leave: outputs and state, and the sum of their gradients, by name."""
    backbone.use_checkpoint = use_checkpoint
    backbone.train()
    paddle.seed(3)
    values = {}
    for number in range(2):
        outputs = backbone({"image": random_input(2, 3, 64, 64, seed=number)})
        sum((output**2).mean() for output in outputs).backward()
        values.update({(number, level): output.numpy() for level, output in enumerate(outputs)})
    values.update({name: value.numpy().copy() for name, value in backbone.state_dict().items()})
    return values, {n: p.grad.numpy() for n, p in backbone.named_parameters() if p.grad is not None}


def assert_same(found, expected):
    """Gradients but for the order of their sums; all else to the last bit."""
    for values, others, allowed in zip(found, expected, (0, 1e-5)):
        assert values.keys() == others.keys() and len(values) > 50
        for name, value in values.items():
            assert relative_error(value, others[name]) <= allowed, name


@pytest.mark.parametrize("name", BACKBONES)
def test_every_number_is_as_without(name):
    """BatchNorm statistics among them, which a second run would move a second time."""
    backbone = randomise(BACKBONES[name]())
    before = {key: value.numpy().copy() for key, value in backbone.state_dict().items()}
    found = two_passes(backbone, True)
    means = [key for key in before if key.endswith("._mean")]
    assert means and all((found[0][key] != before[key]).any() for key in means)
    assert_same(found, two_passes(randomise(BACKBONES[name]()), False))


def test_random_layers_repeat_themselves():
    layer = nn.Sequential(nn.Conv2D(4, 8, 3, padding=1), nn.BatchNorm2D(8), DropBlock(3, 0.7))
    gradients = []
    for run in (layer, lambda x: recomputed(layer, x)):
        paddle.seed(5)
        layer.clear_gradients()
        x = random_input(2, 4, 12, 12)
        x.stop_gradient = False
        output = run(x)
        assert (output.numpy() == 0).any()
        (output**2).sum().backward()
        gradients.append((output.numpy(), x.grad.numpy(), layer[0].weight.grad.numpy()))
    for one, other in zip(*gradients):
        np.testing.assert_array_equal(one, other)


def test_a_frozen_layer_before_does_not_end_the_learning():
    """Paddle's recompute gives a layer no gradients whose input asks for none."""

    def passes(use_checkpoint):
        backbone = randomise(CSPRepResNet(**SMALL))
        for parameter in backbone.stem.parameters():
            parameter.stop_gradient = True
        return two_passes(backbone, use_checkpoint)

    found = passes(True)
    assert_same(found, passes(False))
    assert found[1] and not any(name.startswith("stem.") for name in found[1])


def test_activations_are_not_kept():
    """Between the passes: the tensors that a saved-tensor hook sees packed."""

    def kept(use_checkpoint):
        backbone = CSPRepResNet(**SMALL)
        backbone.use_checkpoint = use_checkpoint
        backbone.train()
        sizes = []

        def pack(tensor):
            sizes.append(tensor.size)
            return tensor

        with paddle.autograd.saved_tensors_hooks(pack, lambda tensor: tensor):
            backbone({"image": random_input(2, 3, 64, 64)})
        return sum(sizes)

    assert kept(True) < 0.2 * kept(False)
