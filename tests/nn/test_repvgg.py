import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import numpy as np
import paddle
import pytest
from paddle import nn
from ppdet.modeling.backbones.cspresnet import RepVggBlock

from ppdet_ext.nn import (
    SPP,
    ConvNormAct,
    CSPRepStage,
    CSPStage,
    RepVGGBlock,
    SeparableConvNormAct,
    reparameterize,
)

from ..modeling.upstream import copy_weights
from .reference import (
    array,
    batch_norm,
    convolution,
    fuse_twice,
    random_input,
    randomise,
    relative_error,
)

FORMS = {
    "two branches": {"in_channels": 6, "out_channels": 10},
    "two branches, alpha": {"in_channels": 6, "out_channels": 10, "alpha": True},
    "two branches, swish": {"in_channels": 6, "out_channels": 6, "act": "swish", "alpha": True},
    "classic": {"in_channels": 8, "out_channels": 8, "identity": True},
    "classic, groups": {"in_channels": 8, "out_channels": 8, "identity": True, "groups": 4},
    "classic, depthwise": {"in_channels": 8, "out_channels": 8, "identity": True, "groups": 8},
    "classic, stride": {"in_channels": 8, "out_channels": 8, "identity": True, "stride": 2},
    "classic, stride and groups": {"in_channels": 8, "out_channels": 12, "groups": 2, "stride": 2},
    "classic, dilation": {"in_channels": 8, "out_channels": 8, "identity": True, "dilation": 2},
    "classic, reflect": {
        "in_channels": 8,
        "out_channels": 8,
        "identity": True,
        "padding_mode": "reflect",
    },
    "classic, replicate": {
        "in_channels": 8,
        "out_channels": 8,
        "identity": True,
        "padding_mode": "replicate",
    },
    "classic, circular, dilation": {
        "in_channels": 8,
        "out_channels": 8,
        "identity": True,
        "padding_mode": "circular",
        "dilation": 2,
    },
    "everything": {"in_channels": 8, "out_channels": 8, "identity": True, "alpha": True, "groups": 2},
    "another epsilon": {"in_channels": 8, "out_channels": 8, "identity": True, "bn_epsilon": 1e-2},
}
all_forms = pytest.mark.parametrize("form", FORMS)


def build(form, seed=3, **changes):
    return randomise(RepVGGBlock(**{**FORMS[form], **changes}), seed)


@all_forms
def test_fused_equals_branches(form):
    x = random_input(2, FORMS[form]["in_channels"], 9, 11)
    assert fuse_twice(build(form), x) <= 1e-5


@all_forms
def test_fused_equals_branches_in_float64(double, form):
    block = build(form)
    assert block.conv1.conv.weight.dtype == paddle.float64
    x = random_input(2, FORMS[form]["in_channels"], 9, 11, dtype="float64")
    assert fuse_twice(block, x) <= 1e-12
    assert block.conv.weight.dtype == paddle.float64


def test_a_float32_block_turned_float64_fuses_in_float64():
    """The default dtype is float32 here: the fused convolution follows the layer, not the default."""
    block = build("everything")
    block.to(dtype="float64")
    assert fuse_twice(block, random_input(2, 8, 9, 11, dtype="float64")) <= 1e-12


@pytest.mark.parametrize("form", ["two branches, alpha", "everything"])
def test_alpha_of_exactly_zero_silences_the_small_branch(form):
    block = build(form)
    x = random_input(2, FORMS[form]["in_channels"], 9, 11)
    with_alpha = block(x).numpy()
    block.alpha.set_value(np.zeros(1, "float32"))
    expected = block.conv1(x)
    if block.identity is not None:
        expected = expected + block.identity(x)
    expected = block.act(expected).numpy()
    assert relative_error(block(x).numpy(), expected) <= 1e-6
    assert relative_error(with_alpha, expected) > 1e-2
    block.convert_to_deploy()
    assert relative_error(block(x).numpy(), expected) <= 1e-5


def branches_in_numpy(block, x, form):
    geometry = {"groups": form.get("groups", 1), "stride": form.get("stride", 1)}
    dense = {"dilation": form.get("dilation", 1), "padding_mode": form.get("padding_mode", "zeros")}
    y = batch_norm(convolution(x, array(block.conv1.conv.weight), **geometry, **dense), block.conv1.bn)
    small = batch_norm(convolution(x, array(block.conv2.conv.weight), **geometry), block.conv2.bn)
    y = y + small * (1.0 if block.alpha is None else array(block.alpha)[0])
    return y if block.identity is None else y + batch_norm(x, block.identity)


@all_forms
def test_equals_numpy(form):
    """Branches and equivalent kernel, each against a convolution written out in loops."""
    options = FORMS[form]
    block = build(form, act=None)
    x = random_input(2, options["in_channels"], 9, 11)
    expected = branches_in_numpy(block, array(x), options)
    assert relative_error(block(x).numpy(), expected) <= 1e-5
    kernel, bias = block.equivalent_kernel_bias()
    assert kernel.dtype == np.float64 and kernel.shape[-2:] == (3, 3)
    keys = ("groups", "stride", "dilation", "padding_mode")
    geometry = {key: options[key] for key in keys if key in options}
    assert relative_error(convolution(array(x), kernel, bias, **geometry), expected) <= 1e-12


def test_the_kernel_is_the_response_to_an_impulse(double):
    block = build("everything", act=None)
    kernel, bias = block.equivalent_kernel_bias()
    for channel in range(8):
        x = np.zeros((1, 8, 5, 5))
        x[0, channel, 2, 2] = 1
        response = block(paddle.to_tensor(x)).numpy()[0, :, 1:4, 1:4] - bias[:, None, None]
        group = channel // 4
        expected = np.zeros_like(response)
        expected[group * 4 : group * 4 + 4] = kernel[group * 4 : group * 4 + 4, channel % 4, ::-1, ::-1]
        np.testing.assert_allclose(response, expected, atol=1e-13)


@pytest.mark.parametrize("form", ["classic, stride", "two branches", "classic, stride and groups"])
def test_identity_only_where_shapes_allow(form):
    assert build(form).identity is None


def test_identity_changes_the_output():
    block = build("classic")
    x = random_input(1, 8, 6, 6)
    with_identity = block(x).numpy()
    block.identity = None
    assert relative_error(block(x).numpy(), with_identity) > 1e-2


@all_forms
def test_deploy_constructor_takes_the_fused_weights(form):
    block = build(form)
    x = random_input(2, FORMS[form]["in_channels"], 9, 11)
    block.convert_to_deploy()
    other = RepVGGBlock(**FORMS[form], deploy=True)
    shapes = {key: value.shape for key, value in block.state_dict().items()}
    assert {key: value.shape for key, value in other.state_dict().items()} == shapes
    assert sorted(shapes) == ["conv.bias", "conv.weight"]
    other.set_state_dict(block.state_dict())
    other.eval()
    assert relative_error(other(x).numpy(), block(x).numpy()) <= 1e-6
    other.convert_to_deploy()  # nothing to do, and nothing done
    assert relative_error(other(x).numpy(), block(x).numpy()) <= 1e-6


def test_every_branch_and_alpha_learn():
    block = build("everything", act=None)
    block.train()
    (block(random_input(4, 8, 6, 6)) ** 2 * random_input(4, 8, 6, 6, seed=9)).sum().backward()
    for name, parameter in block.named_parameters():
        if not parameter.stop_gradient:
            assert np.abs(parameter.grad.numpy()).max() > 0, name


def network():
    """Every kind of block that fuses itself."""
    return randomise(
        nn.Sequential(
            ConvNormAct(3, 8, 3, 2, act="relu"),
            SeparableConvNormAct(8, 8, act="swish"),
            RepVGGBlock(8, 8, identity=True, groups=2),
            CSPRepStage(8, 16, 2, alpha=True),
            CSPRepStage(16, 16, 1, stride=1, ese="block"),
            CSPRepStage(16, 16, 1, ese="none", depthwise=True),
            CSPStage(16, 16, 3, spp=True, alpha=True),
            CSPStage(16, 16, 1, rep=False, ese=True),
            SPP(64, 16),
        ),
        seed=5,
    )


def test_reparameterize_leaves_no_branch_and_no_norm():
    model = network()
    x = random_input(2, 3, 64, 64)
    expected = model(x).numpy()
    assert reparameterize(model) is model
    assert relative_error(model(x).numpy(), expected) <= 1e-4
    kinds = {type(layer).__name__ for layer in model.sublayers()}
    assert "RepVGGBlock" in kinds and not any("BatchNorm" in kind for kind in kinds)
    blocks = [layer for layer in model.sublayers() if isinstance(layer, RepVGGBlock)]
    assert len(blocks) == 1 + 2 + 1 + 3
    for block in blocks:
        assert [name for name, _ in block.named_children()] == ["act", "conv"]
    leaves = {key.rsplit(".", 1)[-1] for key in model.state_dict()}
    assert leaves == {"weight", "bias"}


def test_reparameterize_is_idempotent():
    model = network()
    x = random_input(2, 3, 64, 64)
    reparameterize(model)
    once, state = model(x).numpy(), {key: value.numpy().copy() for key, value in model.state_dict().items()}
    reparameterize(model)
    assert list(model.state_dict()) == list(state)
    for key, value in model.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), state[key])
    assert relative_error(model(x).numpy(), once) <= 1e-6


def test_reparameterize_refuses_training_mode():
    model = network()
    keys = list(model.state_dict())
    model.train()
    with pytest.raises(ValueError, match=r"Sequential is in training mode: call \.eval\(\)"):
        reparameterize(model)
    assert list(model.state_dict()) == keys


def test_reparameterize_refuses_a_part_in_training_mode_before_touching_anything():
    model = network()
    keys = list(model.state_dict())
    model[-1].train()
    with pytest.raises(ValueError, match="SPP is in training mode"):
        reparameterize(model)
    assert list(model.state_dict()) == keys


def test_a_fused_network_can_be_fused_before_it_is_saved_and_loaded(tmp_path):
    model = reparameterize(network())
    paddle.save(model.state_dict(), str(tmp_path / "fused.pdparams"))
    other = reparameterize(network())
    for parameter in other.parameters():
        parameter.set_value(paddle.zeros_like(parameter))
    other.set_state_dict(paddle.load(str(tmp_path / "fused.pdparams")))
    x = random_input(1, 3, 64, 64)
    assert relative_error(other(x).numpy(), model(x).numpy()) <= 1e-6


@pytest.mark.parametrize("value", [0.7, 0.0, -0.4])
def test_where_alpha_is_not_positive_upstream_takes_one(value):
    """A known difference: PaddleDetection asks `if self.alpha:`, which to Paddle means 'greater than 0'."""
    upstream = randomise(RepVggBlock(8, 8, act="swish", alpha=True), seed=8)
    ours = RepVGGBlock(8, 8, act="swish", alpha=True)
    copy_weights(upstream, ours)
    ours.eval()
    x = random_input(2, 8, 6, 6)

    def output(block, alpha):
        block.alpha.set_value(np.float32([alpha]))
        return block(x).numpy()

    taken = value if value > 0 else 1.0
    assert relative_error(output(ours, taken), output(upstream, value)) <= 2e-5
    small = ours.conv1(x) + value * ours.conv2(x)
    assert relative_error(output(ours, value), ours.act(small).numpy()) <= 1e-6
