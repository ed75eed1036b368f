"""Weights of effdet in our networks: every name of its models, and the reference's own outputs."""

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
from functools import lru_cache
from pathlib import Path

import numpy as np
import paddle
import pytest
from ppdet.core.workspace import create
from ppdet.data.source.category import get_categories

from ppdet_ext import cli
from ppdet_ext.config import load_config
from ppdet_ext.nn import reparameterize
from ppdet_ext.training.checkpoints.loading import load_pretrained
from ppdet_ext.weights import effdet
from ppdet_ext.weights.convert import convert
from ppdet_ext.weights.translation import fill

from .effdet_states import NARROW, hollow, levels_first, listed, narrow

CONFIGS = Path(__file__).resolve().parents[2] / "configs" / "efficientdet"
BAR = 1e-4
LISTED = listed()
# Names, with num_batches_tracked, as counted on effdet.
COUNTED = {"tf_efficientdet_d0": 784, "tf_efficientdet_d3": 1270, "tf_efficientdet_d6": 1818}
LITE = ("EfficientNet.se=false", "WeightedBiFPN.fusion=sum")
# Beyond so many channels a network takes seconds to be made.
LARGE = 224


def build(config, overrides=()):
    return create(load_config(str(CONFIGS / f"{config}.yml"), list(overrides)).architecture)


@lru_cache(maxsize=None)
def target(config, *overrides):
    """The state of a network, hollow."""
    state = build(config, overrides).state_dict()
    return {key: np.broadcast_to(np.float32(0), value.shape) for key, value in state.items()}


def target_of(name, *overrides):
    """The state of the network of one of effdet's names."""
    size = name.rsplit("_", 1)[1]
    if size == "lite0":
        return target("efficientdet_d0_coco", *LITE, *overrides)
    return target(f"efficientdet_{size}_coco", *overrides)


def slow_if_large(name):
    width = LISTED[name]["box_net.predict.conv_dw.weight"][0]
    return pytest.param(name, marks=pytest.mark.slow) if width >= LARGE else name


@pytest.mark.parametrize("name", [slow_if_large(n) for n in LISTED if n.startswith("tf_")])
def test_every_name_has_its_place(name):
    source, ours = hollow(LISTED[name]), target_of(name, "num_classes=90")
    translation = effdet.translate(source, ours)
    state = fill(translation, ours)
    assert list(state) == list(ours)
    assert len(source) == COUNTED.get(name, len(source))
    dropped = [name for names in translation.dropped.values() for name in names]
    assert all(name.endswith("num_batches_tracked") for name in dropped)
    assert sorted([theirs for theirs, _ in translation.renamed.values()] + dropped) == sorted(source)
    assert not translation.fresh


def outputs(model, image):
    """Ours under the reference's names."""
    with paddle.no_grad():
        maps = model.backbone({"image": paddle.to_tensor(image)})
        levels = model.neck(maps)
        classes, boxes = zip(*model.head.predict_levels(levels))
    parts = {"backbone": maps, "neck": levels, "class": classes, "box": boxes}
    return {f"{part}{i}": value.numpy() for part, values in parts.items() for i, value in enumerate(values)}


def check(model, image, reference):
    found = outputs(model, image)
    assert set(found) == set(reference)
    for name, value in found.items():
        assert value.shape == reference[name].shape
        error = np.abs(value - reference[name]).max() / np.abs(reference[name]).max()
        assert error <= BAR, (name, error)


def filled(config, overrides, state):
    """A network with the weights of a state dict, in evaluation."""
    model = build(config, overrides)
    ours = {key: value.numpy() for key, value in model.state_dict().items()}
    model.set_state_dict(fill(effdet.translate(state, ours), ours))
    model.eval()
    return model


@pytest.mark.parametrize("name", NARROW)
def test_a_network_gives_the_references_outputs(name, tmp_path):
    """From a file to a checkpoint to a network; the reference's own outputs, before and after fusion."""
    config, overrides, state, image, reference = narrow(name)
    np.savez(tmp_path / "state.npz", **state)
    model = build(config, overrides)
    done = convert("effdet", str(tmp_path / "state.npz"), model, str(tmp_path / "ours"))
    counters = sum(name.endswith("num_batches_tracked") for name in state)
    assert done.schema == "effdet, width 12" and done.dropped == {effdet.COUNTERS: counters}
    assert done.mapped == len(state) - counters and not done.fresh
    load_pretrained(model, done.path)
    model.eval()
    check(model, image, reference)
    reparameterize(model)
    check(model, image, reference)


def test_the_command_says_what_became_of_every_entry(tmp_path, capsys):
    config, overrides, state, _, _ = narrow("d0")
    source, output = tmp_path / "theirs.npz", tmp_path / "ours.pdparams"
    np.savez(source, **state)
    config = str(CONFIGS / f"{config}.yml")
    command = ["weights", "convert", "--from", "effdet", str(source), "-c", config, "--output", str(output)]
    assert cli.main([*command, "-o", *overrides]) == 0
    counters = sum(name.endswith("num_batches_tracked") for name in state)
    assert capsys.readouterr().out.splitlines()[-3:] == [
        f"{source}: effdet, width 12, {len(state) - counters} entries mapped",
        f"  {counters} dropped: counters of training steps",
        f"written to {output}",
    ]
    assert cli.main([*command[:-1], str(output) + "2"]) == 2
    assert "are of width 12, the config's network of width 64 (Eff" in capsys.readouterr().err


def test_a_head_with_levels_first_is_the_same_network():
    config, overrides, state, image, reference = narrow("d0")
    toggled = levels_first(state)
    assert "class_net.bn_rep.4.1.running_mean" in toggled and set(toggled) != set(state)
    check(filled(config, overrides, toggled), image, reference)


SWAPPED = [
    ("backbone.blocks.3.1.bn1.bias", "backbone.blocks.3.1.bn2.bias"),
    ("backbone.blocks.3.1.bn2.running_mean", "backbone.blocks.3.1.bn2.bias"),
    ("backbone.blocks.4.1.se.conv_expand.bias", "backbone.blocks.4.1.bn1.bias"),
    ("fpn.cell.0.fnode.0.combine.edge_weights", "fpn.cell.1.fnode.0.combine.edge_weights"),
    ("fpn.cell.0.fnode.4.combine.edge_weights", "fpn.cell.0.fnode.6.combine.edge_weights"),
    (
        "fpn.cell.0.fnode.1.combine.resample.2.conv.bn.weight",
        "fpn.cell.0.fnode.5.combine.resample.2.conv.bn.weight",
    ),
    ("fpn.cell.1.fnode.3.after_combine.conv.bn.bias", "fpn.cell.1.fnode.7.after_combine.conv.bn.bias"),
    ("class_net.bn_rep.0.1.bn.bias", "class_net.bn_rep.1.1.bn.bias"),
    ("class_net.bn_rep.0.3.bn.weight", "class_net.bn_rep.0.4.bn.weight"),
    ("class_net.conv_rep.0.conv_dw.weight", "box_net.conv_rep.0.conv_dw.weight"),
]


@pytest.mark.parametrize("first, second", SWAPPED)
def test_the_reference_is_not_met_by_chance(first, second):
    """Neighbours of equal shape in each other's place are seen in the outputs."""
    config, overrides, state, image, reference = narrow("d0")
    wrong = {**state, first: state[second], second: state[first]}
    with pytest.raises(AssertionError):
        check(filled(config, overrides, wrong), image, reference)


# --- classes ------------------------------------------------------------------------------------------------


def coco_ids():
    """COCO's id of each of PaddleDetection's labels."""
    ids, _ = get_categories("COCO", None)
    return [ids[label] for label in range(len(ids))]


def test_ids_without_a_class_are_those_that_coco_skips():
    ids = coco_ids()
    assert len(ids) == effdet.COCO_CLASSES
    assert sorted(set(range(1, effdet.COCO_IDS + 1)) - set(ids)) == list(effdet.NO_CLASS)


def test_cocos_classes_are_taken_out_of_its_ids():
    """Of every anchor, the 80 outputs whose id names a class, in the order of PaddleDetection's labels."""
    name = "tf_efficientdet_d0"
    source, ours = hollow(LISTED[name]), target_of(name, "num_classes=80")
    anchors, ids = 9, 90
    numbers = np.arange(anchors * ids, dtype="float32")
    source["class_net.predict.conv_pw.bias"] = numbers
    source["class_net.predict.conv_pw.weight"] = numbers[:, None, None, None] + np.zeros((1, 64, 1, 1), "f4")
    translation = effdet.translate(source, ours)
    assert translation.schema == "effdet, width 64 (EfficientDet-D0), 80 classes out of 90 ids"
    state = fill(translation, ours)
    expected = [anchor * ids + number - 1 for anchor in range(anchors) for number in coco_ids()]
    np.testing.assert_array_equal(state["head.class_net.predict.pointwise.bias"], expected)
    weight = state["head.class_net.predict.pointwise.weight"]
    np.testing.assert_array_equal(weight, np.float32(expected)[:, None, None, None] + np.zeros((1, 64, 1, 1)))


# --- what does not fit --------------------------------------------------------------------------------------


def refused(source, ours):
    with pytest.raises(ValueError) as raised:
        fill(effdet.translate(source, ours), ours)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_another_number_of_classes():
    said = refused(hollow(LISTED["tf_efficientdet_d0"]), target_of("tf_efficientdet_d0", "num_classes=3"))
    assert "the weights are of 90 classes, the config's network of 3; set num_classes to 90 (or to 80" in said


def test_another_size():
    said = refused(hollow(LISTED["tf_efficientdet_d1"]), target_of("tf_efficientdet_d0", "num_classes=90"))
    assert "the weights are of width 88 (EfficientDet-D1), the config's network of width 64 (Eff" in said
    said = refused(hollow(LISTED["tf_efficientdet_lite0"]), target_of("tf_efficientdet_d0", "num_classes=90"))
    assert "parameters of the network are not in it (backbone.stages.0.0.0.se." in said


def test_a_model_without_tf():
    said = refused(hollow(LISTED["efficientdet_d0"]), target_of("tf_efficientdet_d0", "num_classes=90"))
    assert "without 'tf_' in its effdet name" in said and "take a tf_efficientdet_*" in said


def test_missing_and_unexpected_names():
    config, overrides, state, _, _ = narrow("d0")
    ours = target(config, *overrides)
    for name in ("backbone.blocks.2.0.bn3.running_var", "fpn.cell.1.fnode.2.combine.edge_weights"):
        del state[name]
    for name in (
        "backbone.conv_head.weight",
        "fpn.resample.4.conv.conv.bias",
        "box_net.conv_rep.0.conv.weight",
    ):
        state[name] = np.zeros(3, "float32")
    said = refused(state, ours)
    assert "3 entries have no place in the network (backbone.conv_head.weight, fpn.resample.4.conv" in said
    missing = "backbone.stages.2.0.0.project.bn._variance, neck.cells.1.nodes.2.fuse.edge_weights"
    assert f"2 parameters of the network are not in it ({missing})" in said


def test_other_dicts_are_refused():
    said = refused({"model.backbone.bn1.weight": np.zeros(3, "float32")}, {})
    assert "not effdet's names: model.backbone.bn1.weight; they begin with backbone, box_net" in said


def test_two_names_for_one_parameter_are_refused():
    state = narrow("d0")[2]
    name = "class_net.bn_rep.0.1.bn.bias"
    state["class_net.bn_rep.1.0.bias"] = state[name]
    said = refused(state, {})
    assert (
        f"class_net.bn_rep.1.0.bias and {name} are one parameter, head.class_net.repeats.0.bn.1.bias" in said
    )
