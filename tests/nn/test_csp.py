"""CSP stages and their residual blocks, against the same spelt out."""

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import paddle
import pytest

from ppdet_ext.nn import SPP, CSPRepStage, CSPStage, RepResidualBlock, RepVGGBlock, reparameterize
from ppdet_ext.nn.cost import trainable_parameters

from .reference import random_input, randomise, relative_error


def residual(block, x):
    """A residual block spelt out, without its own forward."""
    y = block.conv2(block.conv1(x))
    y = y if block.attn is None else y * block.attn.gate(block.attn.fc(y.mean((2, 3), keepdim=True)))
    return x + y if block.shortcut else y


@pytest.mark.parametrize("shortcut", [True, False])
@pytest.mark.parametrize("ese", [True, False])
def test_residual_block(shortcut, ese):
    block = randomise(RepResidualBlock(8, 8, shortcut=shortcut, ese=ese, alpha=True))
    assert isinstance(block.conv2, RepVGGBlock) and block.conv2.alpha is not None
    x = random_input(1, 8, 6, 6)
    assert relative_error(block(x).numpy(), residual(block, x).numpy()) <= 1e-6


def test_residual_block_refuses_a_shortcut_between_different_widths():
    with pytest.raises(ValueError, match="equal channels, not 8 and 6"):
        RepResidualBlock(8, 6)
    assert RepResidualBlock(8, 6, shortcut=False)(random_input(1, 8, 4, 4)).shape == [1, 6, 4, 4]


STAGES = {
    "published": {},
    "plus": {"alpha": True},
    "ese in blocks": {"ese": "block"},
    "no ese": {"ese": "none"},
    "no rep": {"rep": False},
    "depthwise": {"depthwise": True},
    "stride 1": {"stride": 1},
    "relu": {"act": "relu"},
    "qarepvgg": {"rep_block": "qarepvgg"},
}


@pytest.mark.parametrize("form", STAGES)
def test_backbone_stage(form):
    stage = randomise(CSPRepStage(8, 24, 2, **STAGES[form]))
    x = random_input(2, 8, 12, 12)
    entry = x if stage.conv_down is None else stage.conv_down(x)
    second = stage.conv2(entry)
    for block in stage.blocks:
        second = residual(block, second)
    y = paddle.concat([stage.conv1(entry), second], axis=1)
    middle = 8 if form == "stride 1" else 16
    width = 16
    assert entry.shape[1] == middle and y.shape[1] == width
    if stage.attn is not None:
        y = y * paddle.nn.functional.hardsigmoid(stage.attn.fc(y.mean((2, 3), keepdim=True)))
    expected = stage.conv3(y).numpy()
    assert expected.shape == ((2, 24, 12, 12) if form == "stride 1" else (2, 24, 6, 6))
    assert relative_error(stage(x).numpy(), expected) <= 1e-5
    reparameterize(stage)
    assert relative_error(stage(x).numpy(), expected) <= 1e-5


def test_stage_options_cost_what_they_should():
    def size(**options):
        return trainable_parameters(CSPRepStage(8, 24, 2, **options))

    published, half = size(), 8
    branch = half * half + 2 * half  # of the 1x1
    assert size(alpha=True) - published == 2
    assert published - size(rep=False) == 2 * branch
    assert size(rep_block="qarepvgg") == published
    assert published - size(ese="none") == 16 * 16 + 16
    assert size(ese="block") - size(ese="none") == 2 * (half * half + half)
    separable = half * 9 + 2 * half + branch
    dense = half * half * 9 + 2 * half
    assert size(depthwise=True) - size(rep=False) == 4 * (separable - dense)


def test_stage_names_the_known_gates():
    with pytest.raises(ValueError, match="ese is 'stage', 'block' or 'none', not 'stages'"):
        CSPRepStage(8, 16, 1, ese="stages")


@pytest.mark.parametrize("blocks, place", [(1, 1), (2, 1), (3, 2), (4, 2)])
def test_neck_stage_puts_the_spp_after_the_middle_block(blocks, place):
    stage = randomise(CSPStage(12, 16, blocks, spp=True))
    names = [name for name, _ in stage.convs.named_children()]
    assert names.index("spp") == place and len(names) == blocks + 1
    x = random_input(2, 12, 6, 6)
    second = stage.conv2(x)
    for part in stage.convs:
        second = part(second) if isinstance(part, SPP) else residual(part, second)
    expected = stage.conv3(paddle.concat([stage.conv1(x), second], axis=1)).numpy()
    assert relative_error(stage(x).numpy(), expected) <= 1e-5
    reparameterize(stage)
    assert relative_error(stage(x).numpy(), expected) <= 1e-5


def test_neck_blocks_have_no_shortcut():
    assert not any(block.shortcut for block in CSPStage(12, 16, 3).convs)
