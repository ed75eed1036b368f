import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import numpy as np
import paddle
import pytest
from paddle import nn

from ppdet_ext.nn import (
    REP_BLOCKS,
    ConvNormAct,
    CSPRepStage,
    CSPStage,
    QARepVGGBlock,
    RepResidualBlock,
    RepVGGBlock,
    rep_block_class,
    reparameterize,
)

from .forms import FORMS
from .reference import (
    array,
    batch_norm,
    convolution,
    fuse_twice,
    random_input,
    randomise,
    relative_error,
)

all_forms = pytest.mark.parametrize("form", FORMS)


def build(form, seed=3, **changes):
    return randomise(QARepVGGBlock(**{**FORMS[form], **changes}), seed)


def sample(form, **options):
    return random_input(2, FORMS[form]["in_channels"], 9, 11, **options)


@all_forms
def test_fused_equals_branches(form):
    assert fuse_twice(build(form), sample(form)) <= 1e-5


@all_forms
def test_fused_equals_branches_in_float64(double, form):
    block = build(form)
    assert block.conv2.weight.dtype == paddle.float64
    assert fuse_twice(block, sample(form, dtype="float64")) <= 1e-12
    assert block.conv.weight.dtype == paddle.float64


@all_forms
def test_equals_numpy(form):
    """Branches and equivalent kernel, each against a convolution written out in loops."""
    options = FORMS[form]
    block = build(form, act=None)
    x = array(sample(form))
    geometry = {key: options[key] for key in ("groups", "stride") if key in options}
    dense = {key: options[key] for key in ("dilation", "padding_mode") if key in options}
    y = batch_norm(convolution(x, array(block.conv1.conv.weight), **geometry, **dense), block.conv1.bn)
    y = y + convolution(x, array(block.conv2.weight), **geometry)
    if options.get("identity") and "stride" not in options:
        y = y + x
    expected = batch_norm(y, block.bn)
    assert relative_error(block(sample(form)).numpy(), expected) <= 1e-5
    kernel, bias = block.equivalent_kernel_bias()
    assert kernel.dtype == bias.dtype == np.float64 and kernel.shape[-2:] == (3, 3)
    assert relative_error(convolution(x, kernel, bias, **geometry, **dense), expected) <= 1e-12


@pytest.mark.parametrize("groups", [1, 2, 8])
def test_the_fused_kernel_by_its_formula(groups):
    """kernel = t (s K3 + pad(K1) + I), bias = t (beta3 - s mean3 - mean) + beta; s, t = gamma / sigma."""
    block = randomise(QARepVGGBlock(8, 8, groups=groups, identity=True, bn_epsilon=1e-3))
    kernel, bias = block.equivalent_kernel_bias()

    def slope(bn):
        return array(bn.weight) / np.sqrt(array(bn._variance) + np.float64(np.float32(1e-3)))

    s, t = slope(block.conv1.bn), slope(block.bn)
    width = 8 // groups
    for out in range(8):
        for i in range(width):
            expected = s[out] * array(block.conv1.conv.weight)[out, i]
            expected[1, 1] += array(block.conv2.weight)[out, i, 0, 0]
            if out // width * width + i == out:
                expected[1, 1] += 1
            np.testing.assert_allclose(kernel[out, i], t[out] * expected, rtol=1e-12, atol=1e-14)
    inner, outer = block.conv1.bn, block.bn
    expected = t * (array(inner.bias) - s * array(inner._mean) - array(outer._mean)) + array(outer.bias)
    np.testing.assert_allclose(bias, expected, rtol=1e-12, atol=1e-14)


def test_only_the_3x3_branch_and_the_sum_have_a_norm():
    """Unlike RepVGG, where each branch has one: as many parameters without an identity, fewer with."""

    def keys(kind, **options):
        return sorted(name for name, _ in kind(8, 8, **options).named_parameters())

    norm = ["_mean", "_variance", "bias", "weight"]
    expected = [f"bn.{leaf}" for leaf in norm] + [f"conv1.bn.{leaf}" for leaf in norm]
    assert keys(QARepVGGBlock, identity=True) == expected + ["conv1.conv.weight", "conv2.weight"]
    assert keys(QARepVGGBlock) == keys(QARepVGGBlock, identity=True)
    assert len(keys(RepVGGBlock)) == len(keys(QARepVGGBlock))
    assert len(keys(RepVGGBlock, identity=True)) == len(keys(QARepVGGBlock)) + 4


def test_the_norm_after_the_sum_sets_mean_and_spread():
    """What INT8 gains by: in training a channel leaves the block with its BatchNorm's shift and scale."""
    block = randomise(QARepVGGBlock(8, 8, identity=True, act=None))
    block.train()
    y = block(random_input(4, 8, 12, 12) * 50 + 7).numpy()
    np.testing.assert_allclose(y.mean((0, 2, 3)), block.bn.bias.numpy(), atol=1e-4)
    np.testing.assert_allclose(y.std((0, 2, 3)), np.abs(block.bn.weight.numpy()), rtol=1e-3)


@pytest.mark.parametrize("form", ["stride", "two branches", "stride and groups", "two branches, swish"])
def test_identity_only_where_asked_for_and_shapes_allow(form):
    assert build(form).identity is None


@pytest.mark.parametrize("missing", ["identity", "conv2"])
def test_each_branch_counts(missing):
    block = build("three branches")
    x = sample("three branches")
    whole = block(x).numpy()
    if missing == "identity":
        block.identity = None
    else:
        block.conv2.weight.set_value(paddle.zeros_like(block.conv2.weight))
    assert relative_error(block(x).numpy(), whole) > 1e-2


@all_forms
def test_deploy_constructor_takes_the_fused_weights(form):
    block = build(form)
    block.convert_to_deploy()
    other = QARepVGGBlock(**FORMS[form], deploy=True)
    shapes = {key: value.shape for key, value in block.state_dict().items()}
    assert {key: value.shape for key, value in other.state_dict().items()} == shapes
    assert sorted(shapes) == ["conv.bias", "conv.weight"]
    other.set_state_dict(block.state_dict())
    other.eval()
    assert relative_error(other(sample(form)).numpy(), block(sample(form)).numpy()) <= 1e-6
    rep = RepVGGBlock(**FORMS[form], deploy=True)  # the deployed form is the same block
    rep.set_state_dict(block.state_dict())
    assert relative_error(rep(sample(form)).numpy(), block(sample(form)).numpy()) <= 1e-6


@pytest.mark.parametrize("form", ["three branches", "circular, dilation, groups", "stride and groups"])
def test_every_branch_learns(form):
    block = build(form, act=None)
    block.train()
    x = random_input(4, 8, 6, 6)
    x.stop_gradient = False
    y = block(x)
    (y**2 * random_input(*y.shape, seed=9)).sum().backward()
    size = {
        name: np.abs(parameter.grad.numpy()).max()
        for name, parameter in block.named_parameters()
        if not parameter.stop_gradient
    }
    # The norm after the sum takes the mean away again, and with it what the inner shift has added.
    inner_shift = size.pop("conv1.bn.bias")
    assert set(size) == {"bn.weight", "bn.bias", "conv1.bn.weight", "conv1.conv.weight", "conv2.weight"}
    assert min(size.values()) > 1e-2 and inner_shift < 1e-3
    assert np.abs(x.grad.numpy()).max() > 0


def test_the_identity_passes_gradients_on():
    block = build("three branches", act=None)
    for conv in (block.conv1.conv, block.conv2):
        conv.weight.set_value(paddle.zeros_like(conv.weight))
    x = random_input(1, 8, 4, 4)
    x.stop_gradient = False
    block(x).sum().backward()
    slope = array(block.bn.weight) / np.sqrt(array(block.bn._variance) + 1e-5)
    np.testing.assert_allclose(x.grad.numpy(), np.broadcast_to(slope[:, None, None], x.shape), rtol=1e-5)


def test_alpha_is_refused():
    with pytest.raises(ValueError, match="QARepVGGBlock: no alpha, .*set use_alpha: false"):
        QARepVGGBlock(8, 8, alpha=True)
    with pytest.raises(ValueError, match="no alpha"):
        CSPRepStage(8, 16, 1, alpha=True, rep_block="qarepvgg")


# --- by name ------------------------------------------------------------------------------------------------


def test_blocks_by_name():
    assert rep_block_class("repvgg") is RepVGGBlock and rep_block_class("qarepvgg") is QARepVGGBlock
    assert {type(RepResidualBlock(8, 8, rep_block=name).conv2) for name in REP_BLOCKS} == set(
        REP_BLOCKS.values()
    )
    assert type(RepResidualBlock(8, 8).conv2) is RepVGGBlock


@pytest.mark.parametrize(
    "name, hint",
    [
        ("qarep", "did you mean 'qarepvgg'"),
        ("rep_vgg", "did you mean 'repvgg'"),
        (["qarepvgg"], "'qarepvgg'"),
        (None, "choose from repvgg, qarepvgg"),
    ],
)
@pytest.mark.parametrize("rep", [True, False])
def test_an_unknown_block_names_the_nearest(name, hint, rep):
    for stage in (CSPRepStage, CSPStage):
        with pytest.raises(ValueError, match=f"unknown rep_block .*; .*{hint}"):
            stage(8, 16, 1, rep=rep, rep_block=name)


def network():
    return randomise(
        nn.Sequential(
            ConvNormAct(3, 8, 3, 2, act="relu"),
            QARepVGGBlock(8, 8, identity=True, groups=2),
            CSPRepStage(8, 16, 2, rep_block="qarepvgg"),
            CSPRepStage(16, 16, 1, stride=1, ese="block", rep_block="qarepvgg"),
            CSPRepStage(16, 16, 1, depthwise=True, rep_block="qarepvgg"),
            CSPStage(16, 16, 3, spp=True, rep_block="qarepvgg"),
        ),
        seed=5,
    )


def test_reparameterize_leaves_no_branch_and_no_norm_and_twice_does_no_more():
    model = network()
    x = random_input(2, 3, 64, 64)
    expected = model(x).numpy()
    reparameterize(model)
    once = model(x).numpy()
    assert relative_error(once, expected) <= 1e-4
    assert not any("BatchNorm" in type(layer).__name__ for layer in model.sublayers())
    blocks = [layer for layer in model.sublayers() if isinstance(layer, QARepVGGBlock)]
    assert len(blocks) == 1 + 2 + 1 + 3
    for block in blocks:
        assert [name for name, _ in block.named_children()] == ["act", "conv"]
    state = {key: value.numpy().copy() for key, value in model.state_dict().items()}
    assert {key.rsplit(".", 1)[-1] for key in state} == {"weight", "bias"}
    reparameterize(model)
    assert list(model.state_dict()) == list(state)
    for key, value in model.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), state[key])
    assert relative_error(model(x).numpy(), once) <= 1e-6


@pytest.mark.parametrize("part", ["whole", "block", "norm"])
def test_reparameterize_refuses_training_mode_before_touching_anything(part):
    model = network()
    keys = list(model.state_dict())
    {"whole": model, "block": model[1], "norm": model[2].blocks[0].conv2.bn}[part].train()
    with pytest.raises(ValueError, match=r"is in training mode: call \.eval\(\)"):
        reparameterize(model)
    assert list(model.state_dict()) == keys
