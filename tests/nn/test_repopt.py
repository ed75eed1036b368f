"""RepOptimizer's two blocks: trained and deployed forms against NumPy, their scales' start and decay."""

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import numpy as np
import paddle
import pytest
from paddle.optimizer import Momentum

from ppdet_ext.nn import RepOptBlock, RepOptSearchBlock, RepVGGBlock, rep_block_class

from .forms import FORMS
from .reference import array, batch_norm, convolution, fuse_twice, random_input, relative_error
from .repopt_blocks import KINDS, WITH_IDENTITY, all_forms, both_kinds, build, sample


@both_kinds
@all_forms
def test_fused_equals_training_form(form, kind):
    assert fuse_twice(build(form, kind), sample(form)) <= 1e-5


@both_kinds
@all_forms
def test_fused_equals_training_form_in_float64(double, form, kind):
    block = build(form, kind)
    assert fuse_twice(block, sample(form, dtype="float64")) <= 1e-12
    assert block.conv.weight.dtype == paddle.float64


@both_kinds
@all_forms
def test_equals_numpy(form, kind):
    """Training form and equivalent kernel, each against convolutions written out in loops."""
    options = FORMS[form]
    block = build(form, kind, act=None)
    x = array(sample(form))
    geometry = {key: options[key] for key in ("groups", "stride") if key in options}
    dense = {key: options[key] for key in ("dilation", "padding_mode") if key in options}
    y = convolution(x, array(block.conv1.conv.weight), **geometry, **dense)
    if kind == "search":
        y = y * array(block.conv1.scale)[:, None, None]
        small = convolution(x, array(block.conv2.conv.weight), **geometry)
        y = y + small * array(block.conv2.scale)[:, None, None]
        if form in WITH_IDENTITY:
            y = y + x * array(block.identity.scale)[:, None, None]
    expected = batch_norm(y, block.bn if kind == "search" else block.conv1.bn)
    assert relative_error(block(sample(form)).numpy(), expected) <= 1e-5
    kernel, bias = block.equivalent_kernel_bias()
    assert kernel.dtype == bias.dtype == np.float64 and kernel.shape[-2:] == (3, 3)
    assert relative_error(convolution(x, kernel, bias, **geometry, **dense), expected) <= 1e-12


@both_kinds
@all_forms
def test_deployed_there_is_one_convolution_and_no_scale(form, kind):
    block = build(form, kind)
    block.convert_to_deploy()
    other = KINDS[kind](**FORMS[form], deploy=True)
    shapes = {key: value.shape for key, value in block.state_dict().items()}
    assert {key: value.shape for key, value in other.state_dict().items()} == shapes
    assert sorted(shapes) == ["conv.bias", "conv.weight"] and not list(block.buffers())
    rep = RepVGGBlock(**FORMS[form], deploy=True)  # the deployed form is the same block
    for same in (other, rep):
        same.set_state_dict(block.state_dict())
        same.eval()
        assert relative_error(same(sample(form)).numpy(), block(sample(form)).numpy()) <= 1e-6
    block.train()
    block(sample(form))  # needs no scales any more


@both_kinds
def test_alpha_is_refused(kind):
    with pytest.raises(ValueError, match=f"{KINDS[kind].__name__}: no alpha, .*set use_alpha: false"):
        KINDS[kind](8, 8, alpha=True)


def test_blocks_by_name():
    assert rep_block_class("repopt") is RepOptBlock and rep_block_class("repopt_search") is RepOptSearchBlock
    with pytest.raises(ValueError, match="unknown rep_block 'rep_opt'; did you mean 'repopt'"):
        rep_block_class("rep_opt")


def test_scales_start_at_one_and_learn():
    block = RepOptSearchBlock(8, 8, identity=True, act=None)
    scales = [block.conv1.scale, block.conv2.scale, block.identity.scale]
    assert all((scale.numpy() == 1).all() for scale in scales)
    (block(random_input(4, 8, 6, 6)) ** 2 * random_input(4, 8, 6, 6, seed=9)).sum().backward()
    for name, parameter in block.named_parameters():
        if not parameter.stop_gradient:
            assert np.abs(parameter.grad.numpy()).max() > 1e-2, name


def test_weight_decay_of_scales_is_the_authors():
    """Nothing pulls on the convolutions' scales; the identity's decays, as the kernel it stands for."""
    block = RepOptSearchBlock(8, 8, identity=True)
    optimizer = Momentum(0.1, 0.9, parameters=block.parameters(), weight_decay=0.5)
    for parameter in block.parameters():
        if not parameter.stop_gradient:
            parameter.grad = paddle.zeros_like(parameter)
    optimizer.step()
    for branch, decayed in ((block.conv1, 1.0), (block.conv2, 1.0), (block.identity, 0.95)):
        np.testing.assert_allclose(branch.scale.numpy(), decayed, rtol=1e-6)
