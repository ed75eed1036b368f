"""YOLOv6's blocks: against NumPy, in both forms, with the family's BatchNorm."""

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import numpy as np
import paddle
import pytest
from paddle import nn

from ppdet_ext.nn import (
    CSPSPPF,
    SPP_BLOCKS,
    SPPF,
    YOLOV6_BATCH_NORM,
    BepC3,
    BiFusion,
    BottleRep,
    ConvNormAct,
    QARepVGGBlock,
    RepStack,
    RepVGGBlock,
    block_builder,
    reparameterize,
    set_batch_norm,
)

from . import yolov6_numpy as numpy_version
from .reference import array, random_input, randomise, relative_error

ACTS = ("relu", "silu")
BLOCKS = {"repvgg": RepVGGBlock, "qarepvgg": QARepVGGBlock, "conv": ConvNormAct}
all_kinds = pytest.mark.parametrize("kind", BLOCKS)
all_acts = pytest.mark.parametrize("act", ACTS)


def prepared(layer, seed=2):
    """Random numbers, and BatchNorms as published."""
    set_batch_norm(layer, **YOLOV6_BATCH_NORM)
    return randomise(layer, seed)


def norms(layer):
    return [part for part in layer.sublayers(True) if isinstance(part, nn.BatchNorm2D)]


def check(layer, inputs, expected):
    """The layer, and its deployed form, give what is expected; deployed, no norm is left."""
    assert np.std(expected) > 0.05
    assert relative_error(layer(*inputs).numpy(), expected) <= 1e-5
    reparameterize(layer)
    assert not norms(layer)
    assert relative_error(layer(*inputs).numpy(), expected) <= 1e-5


# --- blocks and stages --------------------------------------------------------------------------------------


@all_acts
@all_kinds
@pytest.mark.parametrize("cin, cout, stride", [(8, 8, 1), (8, 8, 2), (6, 10, 1)])
def test_a_block_of_each_kind_equals_numpy(kind, act, cin, cout, stride):
    layer = prepared(block_builder(kind, act)(cin, cout, stride))
    assert type(layer) is BLOCKS[kind]
    x = random_input(2, cin, 8, 10)
    check(layer, [x], numpy_version.block(kind, act)(layer, array(x), stride))


def test_an_unknown_kind_names_the_nearest():
    with pytest.raises(ValueError, match="unknown rep_block 'qarepvg'; did you mean 'qarepvgg'"):
        block_builder("qarepvg", "relu")


@all_kinds
@pytest.mark.parametrize("cin, cout", [(8, 8), (6, 8)])
def test_a_stack_equals_numpy(kind, cin, cout):
    layer = prepared(RepStack(cin, cout, 3, block_builder(kind, "relu")))
    x = random_input(2, cin, 6, 7)
    check(layer, [x], numpy_version.stack(numpy_version.block(kind, "relu"))(layer, array(x)))
    assert len(layer) == 3


@all_kinds
@pytest.mark.parametrize("alpha", [1.0, -0.7, 0.0, 2.5])
def test_bottle_rep_equals_numpy(kind, alpha):
    layer = prepared(BottleRep(8, block_builder(kind, "relu")))
    layer.alpha.set_value(np.float32([alpha]))
    x = random_input(2, 8, 6, 7)
    expected = numpy_version.bottle_rep(layer, array(x), numpy_version.block(kind, "relu"))
    check(layer, [x], expected)
    assert float(layer.alpha) == pytest.approx(alpha), "the weight stays beside the fused blocks"


def test_the_shortcut_starts_at_one_and_learns():
    layer = BottleRep(8, block_builder("repvgg", "relu"))
    assert float(layer.alpha) == 1.0
    layer = prepared(layer)
    x, weights = random_input(2, 8, 6, 7), random_input(2, 8, 6, 7, seed=5)
    (layer(x) * weights).sum().backward()
    expected = (array(x) * array(weights)).sum()
    assert float(layer.alpha.grad) == pytest.approx(expected, rel=1e-4)


@all_acts
@all_kinds
@pytest.mark.parametrize("blocks, bottles", [(1, 1), (2, 1), (5, 2)])
def test_bep_c3_equals_numpy(kind, act, blocks, bottles):
    layer = prepared(BepC3(6, 12, blocks, 2 / 3, block_builder(kind, act), act))
    assert len(layer.blocks) == bottles and layer.conv1.conv.weight.shape == [8, 6, 1, 1]
    x = random_input(2, 6, 6, 7)
    one = numpy_version.block(kind, act)
    check(layer, [x], numpy_version.bep_c3(one, act)(layer, array(x)))


# --- pooling and fusion -------------------------------------------------------------------------------------


@all_acts
@pytest.mark.parametrize("channels", [8, 10])
def test_sppf_equals_numpy(act, channels):
    layer = prepared(SPPF(channels, act))
    x = random_input(2, channels, 9, 16)
    check(layer, [x], numpy_version.sppf(layer, array(x), act))


@all_acts
@pytest.mark.parametrize("channels", [8, 10])
def test_csp_sppf_equals_numpy(act, channels):
    layer = prepared(CSPSPPF(channels, act))
    x = random_input(2, channels, 9, 16)
    check(layer, [x], numpy_version.csp_sppf(layer, array(x), act))


@pytest.mark.parametrize("name", SPP_BLOCKS)
def test_the_names_of_yolov6(name):
    kind, act = SPP_BLOCKS[name]
    assert kind is (CSPSPPF if "CSP" in name else SPPF)
    assert act == ("relu" if name.startswith("Sim") else "silu")


@all_acts
def test_bi_fusion_equals_numpy(act):
    layer = prepared(BiFusion((6, 5), 8, act))
    coarser, level, finer = random_input(2, 8, 3, 4), random_input(2, 6, 6, 8), random_input(2, 5, 12, 16)
    expected = numpy_version.bi_fusion(layer, *map(array, (coarser, level, finer)), act)
    check(layer, [coarser, level, finer], expected)


# --- BatchNorm ----------------------------------------------------------------------------------------------


@all_kinds
def test_epsilon_and_momentum_reach_every_norm(kind):
    layer = nn.Sequential(
        BepC3(8, 8, 4, 0.5, block_builder(kind, "relu"), "relu"), SPPF(8), CSPSPPF(8), BiFusion((8, 8), 8)
    )
    # Two BottleReps of two blocks: three norms each, or two, or one.
    inside = 4 * {"repvgg": 3, "qarepvgg": 2, "conv": 1}[kind]
    assert len(norms(layer)) == inside + 3 + 2 + 7 + 4
    assert {(norm._epsilon, norm._momentum) for norm in norms(layer)} == {(1e-5, 0.9)}
    set_batch_norm(layer, **YOLOV6_BATCH_NORM)
    assert {(norm._epsilon, norm._momentum) for norm in norms(layer)} == {(1e-3, 0.97)}


@all_kinds
def test_another_epsilon_is_another_function_in_both_forms(kind):
    """What the comparisons above would see of a norm that was left out."""
    x = random_input(2, 8, 6, 7)
    layer = randomise(BepC3(8, 8, 2, 0.5, block_builder(kind, "relu"), "relu"))
    before = [
        numpy_version.bep_c3(numpy_version.block(kind, "relu", epsilon), "relu", epsilon)(layer, array(x))
        for epsilon in (1e-5, 1e-3)
    ]
    assert relative_error(layer(x).numpy(), before[0]) <= 1e-5
    assert relative_error(*before) > 1e-4
    set_batch_norm(layer, **YOLOV6_BATCH_NORM)
    check(layer, [x], before[1])


@all_kinds
def test_one_norm_left_behind_is_seen(kind):
    layer = prepared(BepC3(8, 8, 2, 0.5, block_builder(kind, "relu"), "relu"))
    x = random_input(2, 8, 6, 7)
    expected = layer(x).numpy()
    for norm in norms(layer):
        norm._epsilon = 1e-5
        assert relative_error(layer(x).numpy(), expected) > 2e-5
        norm._epsilon = 1e-3


def test_momentum_is_the_share_that_stays():
    layer = block_builder("conv", "relu")(3, 4)
    set_batch_norm(layer, **YOLOV6_BATCH_NORM)
    layer.train()
    x = random_input(4, 3, 5, 5) + 2.0
    layer(x)
    mean = paddle.nn.functional.conv2d(x, layer.conv.weight, padding=1).mean([0, 2, 3])
    np.testing.assert_allclose(layer.bn._mean.numpy(), 0.03 * mean.numpy(), rtol=1e-4, atol=1e-6)
