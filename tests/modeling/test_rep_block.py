"""The option `rep_block` of backbone, neck and head, from YAML, and whole models of either kind."""

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import numpy as np
import paddle
import pytest
from ppdet.core.workspace import create

from ppdet_ext.config import load_config
from ppdet_ext.nn import REP_BLOCKS, QARepVGGBlock, RepVGGBlock, reparameterize

from ..nn.reference import relative_error
from .upstream import CONFIGS, make_batch, parameter_count, random_weights, raw_outputs

PARTS = {"backbone": "CSPRepResNet", "neck": "CSPRepPAN", "yolo_head": "ETHead"}
# Head stems of RepVGG blocks, so that there are some in all three parts.
BASE = """
_BASE_: ['{configs}/_base_/plugin.yml', '{configs}/_base_/models/ppyoloe.yml']
num_classes: 7
depth_mult: 0.33
width_mult: 0.25
"""


def build(folder, stem="rep_ese", **kinds):
    """A small PP-YOLOE from a YAML file, with the option given to the sections named."""
    lines = [BASE.format(configs=CONFIGS)]
    for section in PARTS.values():
        lines.append(f"{section}:\n  act: relu")
        if section == "ETHead":
            lines.append(f"  stem: {stem}")
        if section in kinds:
            lines.append(f"  rep_block: {kinds[section]}")
    path = folder / "model.yml"
    path.write_text("\n".join(lines), encoding="utf-8")
    paddle.seed(0)
    return create(load_config(str(path)).architecture)


def kinds_of(part):
    """How many blocks of each kind a part holds."""
    layers = part.sublayers()
    return {name: sum(type(layer) is kind for layer in layers) for name, kind in REP_BLOCKS.items()}


# Blocks at depth 0.33: 1 + 2 + 2 + 1 in the backbone, five nodes of the neck, two stems a level.
BLOCKS = {"backbone": 6, "neck": 5, "yolo_head": 6}
NONE = dict.fromkeys(REP_BLOCKS, 0)


@pytest.mark.parametrize("stem", ["rep_ese", "ese_rep"])
def test_repvgg_is_what_there_is_without_the_option(tmp_path, stem):
    plain = build(tmp_path, stem)
    named = build(tmp_path, stem, **dict.fromkeys(PARTS.values(), "repvgg"))
    for part, count in BLOCKS.items():
        assert kinds_of(getattr(plain, part)) == {**NONE, "repvgg": count}
    assert list(plain.state_dict()) == list(named.state_dict())
    for key, value in plain.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), named.state_dict()[key].numpy())


@pytest.mark.parametrize("stem", ["rep_ese", "ese_rep"])
@pytest.mark.parametrize("part", PARTS)
def test_the_option_changes_its_part_and_no_other(tmp_path, part, stem):
    model = build(tmp_path, stem, **{PARTS[part]: "qarepvgg"})
    for other, count in BLOCKS.items():
        kind = "qarepvgg" if other == part else "repvgg"
        assert kinds_of(getattr(model, other)) == {**NONE, kind: count}
    blocks = [layer for layer in getattr(model, part).sublayers() if isinstance(layer, QARepVGGBlock)]
    with_identity = part == "yolo_head" and stem == "rep_ese"
    assert {block.identity is not None for block in blocks} == {with_identity}


@pytest.mark.parametrize("section", PARTS.values())
def test_an_unknown_kind_names_the_nearest(tmp_path, section):
    with pytest.raises(ValueError, match="unknown rep_block 'qarepvg'; did you mean 'qarepvgg'?"):
        build(tmp_path, "ese_conv", **{section: "qarepvg"})


@pytest.mark.parametrize("section", ["CSPRepResNet", "CSPRepPAN"])
def test_alpha_of_ppyoloe_plus_is_refused(section):
    path = CONFIGS / "ppyoloe" / "ppyoloe_plus_s_coco.yml"
    override = {section: {"rep_block": "qarepvgg", "use_alpha": True}}
    with pytest.raises(ValueError, match="no alpha, .*set use_alpha: false or rep_block: repvgg"):
        create(load_config(str(path), override).architecture)


def test_the_config_is_the_relu_one_with_other_blocks():
    qarep, relu = (
        create(load_config(str(CONFIGS / "ppyoloe" / f"ppyoloe_s_{name}_coco.yml")).architecture)
        for name in ("relu_qarep", "relu")
    )
    for part, count in {**BLOCKS, "yolo_head": 0}.items():
        assert kinds_of(getattr(qarep, part)) == {**NONE, "qarepvgg": count}
        assert kinds_of(getattr(relu, part)) == {**NONE, "repvgg": count}
    # Two branches with a norm each, or one with a norm and a norm after the sum.
    assert parameter_count(qarep) == parameter_count(relu)

    def without_blocks(model, kind):
        inside = [name for name, layer in model.named_sublayers() if type(layer) is kind]
        return {
            name: tuple(p.shape)
            for name, p in model.named_parameters()
            if not any(name.startswith(f"{block}.") for block in inside)
        }

    assert without_blocks(qarep, QARepVGGBlock) == without_blocks(relu, RepVGGBlock)
    for model in (qarep, relu):
        model.eval()
        reparameterize(model)
    deployed, expected = (
        {key: tuple(value.shape) for key, value in model.state_dict().items()} for model in (qarep, relu)
    )
    assert deployed == expected, "deployed, they are the same network"


@pytest.mark.parametrize("kind", REP_BLOCKS)
@pytest.mark.parametrize("stem", ["rep_ese", "ese_rep"])
def test_whole_model_deployed_equals_trained(tmp_path, kind, stem):
    model = build(tmp_path, stem, **dict.fromkeys(PARTS.values(), kind))
    batch = make_batch(96, classes=7)
    random_weights(model, seed=4, batch=batch)
    expected = [output.numpy() for output in raw_outputs(model, batch)]
    assert expected[0].std() > 1e-3, "the scores tell anchors apart"
    reparameterize(model)
    once = [output.numpy() for output in raw_outputs(model, batch)]
    assert max(map(relative_error, once, expected)) <= 2e-4
    assert not any(isinstance(layer, paddle.nn.BatchNorm2D) for layer in model.sublayers())
    reparameterize(model)
    twice = [output.numpy() for output in raw_outputs(model, batch)]
    assert max(map(relative_error, twice, once)) <= 1e-6
