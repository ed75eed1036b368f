"""EfficientDet's neck: published counts, every topology against NumPy, both forms."""

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import numpy as np
import paddle
import pytest
from ppdet.core.workspace import create

from ppdet_ext.config import load_config
from ppdet_ext.modeling.necks import WeightedBiFPN
from ppdet_ext.nn import reparameterize

from ..nn.reference import array, random_input, randomise, relative_error
from .bifpn_numpy import NumpyBiFPN
from .steady import steady
from .test_bifpn_topology import LISTS, THREE
from .upstream import CONFIGS, raw_outputs

# Channels of C3 to C5, W and cells of EfficientDet's sizes, and the parameters of their necks.
SIZES = {
    "d0": ((40, 112, 320), 64, 3, 196_281),
    "d1": ((40, 112, 320), 88, 4, 390_972),
    "d2": ((48, 120, 352), 112, 5, 708_159),
    "d3": ((48, 136, 384), 160, 6, 1_559_474),
}
# Parameters of the tutorial's additional node alone, under the official form.
ADDITIONAL = {"d0": 17_350, "d3": 173_292}
LEARNT = ("fast", "softmax", "unbounded")
STRIDES = (8, 16, 32)


def count(layer):
    """Trainable parameters."""
    statistics = ("_mean", "_variance")
    return sum(
        parameter.size for name, parameter in layer.named_parameters() if not name.endswith(statistics)
    )


def size_of(name, **options):
    channels, width, cells, _ = SIZES[name]
    return WeightedBiFPN(channels, STRIDES, width, cells, 5, **options)


def listed(text):
    """A topology as a config writes it, from its short form."""
    nodes = (node.split(":") for node in text.split())
    return [
        {"level": int(level), "inputs": [int(i) for i in inputs.strip("[]").split(",")]}
        for level, inputs in nodes
    ]


def prepared(num_levels=5, channels=(6, 10, 12), strides=STRIDES, signs=(1,), **options):
    """A small neck with random numbers, edge weights of the given signs among them."""
    neck = randomise(
        WeightedBiFPN(channels, strides, 8, num_levels=num_levels, **{"num_cells": 2, **options})
    )
    rng = np.random.default_rng(4)
    for name, parameter in neck.named_parameters():
        if name.endswith("edge_weights"):
            weights = rng.uniform(0.2, 1.5, parameter.shape) * rng.choice(signs, parameter.shape)
            parameter.set_value(weights.astype("float32"))
    return neck


def features(height, width, channels=(6, 10, 12), batch=2):
    """The backbone's maps of an image: sides are halved upwards."""
    sides = [(-(-height // stride), -(-width // stride)) for stride in (8, 16, 32)]
    return [random_input(batch, c, *side, seed=c) for c, side in zip(channels, sides)]


# --- published counts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SIZES)
def test_parameters_are_the_published_ones(name):
    assert count(size_of(name)) == SIZES[name][3]


@pytest.mark.parametrize("name", ADDITIONAL)
def test_the_tutorials_additional_node(name):
    """A node P3 td, and P3 out behind it: its convolution, its two edges, and a projection of C3."""
    with_node = "6:[3,4] 5:[2,5] 4:[1,6] 3:[0,7] 3:[0,8] 4:[1,7,9] 5:[2,6,10] 6:[3,5,11] 7:[4,12]"
    assert count(size_of(name, topology=listed(with_node))) - SIZES[name][3] == ADDITIONAL[name]


def test_parameters_of_the_other_forms():
    """By hand, for D0: W = 64, 3 cells; a projection and its norm, a node's convolutions and norm."""
    wide, cells = 64, 3
    fused, nodes, edges = 5, 8, 3 * (2 + 2 + 2 + 2 + 3 + 3 + 3 + 2)
    assert count(size_of("d0", fusion="sum")) == SIZES["d0"][3] - edges
    dense = 9 * wide * wide + wide
    separable = 9 * wide + wide * wide + wide
    assert count(size_of("d0", separable=False)) == SIZES["d0"][3] + cells * nodes * (dense - separable)
    # Two norms a node and no bias; two kernels of 3x3 for P6 and P7; six projections of C3 to C5.
    node = 9 * wide + wide * wide + 2 * 2 * wide
    extra = 9 * wide * (320 + wide) + 2 * 3 * wide
    projections = (2 * 40 + 40 + 2 * 112 + 2 * 320 - 40) * wide + (fused + 1) * 3 * wide
    expected = 9 * cells * node + extra + projections + cells * (5 * 2 + 4 * 3)
    assert count(size_of("d0", topology="tutorial")) == expected


# --- against NumPy ------------------------------------------------------------------------------------------

FORMS = {
    **{
        f"{topology}, {levels}": (topology, {"num_levels": levels})
        for topology, levels in LISTS
        if levels < 6
    },
    "D7x": ("official", {"num_levels": 6}),
    **{f"official, {fusion}": ("official", {"fusion": fusion}) for fusion in (*LEARNT[1:], "sum")},
    "official, dense": ("official", {"separable": False, "act": "relu6"}),
    "tutorial, dense": ("tutorial", {"separable": False, "act": "relu", "fusion": "unbounded"}),
    "equal widths": ("official", {"num_levels": 3, "channels": (8, 8, 8)}),
    "pan, softmax": ("pan", {"num_levels": 3, "fusion": "softmax"}),
    "silu, one cell": ("official", {"num_levels": 3, "num_cells": 1, "act": "silu"}),
    # Edges of two levels, both ways, and one map twice; past pooling, a weight below zero can't be folded.
    "list": (
        "4:[2,0,1] 3:[3,2,0] 5:[0,2,3] 4:[3,3,5]",
        {"num_levels": 3, "fusion": "unbounded", "signs": (-1,)},
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_equals_numpy_in_both_forms(form):
    topology, options = FORMS[form]
    channels, levels = options.get("channels", (6, 10, 12)), options.get("num_levels", 5)
    nodes = LISTS.get((topology, levels), topology)
    given = listed(nodes) if nodes is topology else topology
    neck = prepared(topology=given, coarsest_first=False, **{"signs": (1, 1, -1), **options})
    reference = NumpyBiFPN(
        {key: value.numpy() for key, value in neck.state_dict().items()},
        nodes,
        levels,
        options.get("num_cells", 2),
        options.get("fusion", "fast"),
        options.get("act", "swish"),
        topology == "tutorial",
    )
    last = 8 * 2 ** (levels - 1)
    images = [features(last, 2 * last, channels), features(104, 72, channels)]  # the second: odd maps
    expected = [reference([array(x) for x in feats]) for feats in images]
    told = neck.fusion_weights()
    for _ in range(3):  # as trained, deployed, and deployed once more
        for feats, maps in zip(images, expected):
            for found, wanted in zip(neck(feats), maps, strict=True):
                assert np.std(wanted) > 0.05
                assert relative_error(found.numpy(), wanted) <= 1e-5
        reparameterize(neck)
        assert not [x for x in neck.sublayers() if isinstance(x, paddle.nn.BatchNorm2D)]
        assert not [key for key in neck.state_dict() if "edge_weights" in key]
        assert neck.fusion_weights() == told


def test_norms_are_the_familys():
    norms = [x for x in size_of("d0").sublayers() if isinstance(x, paddle.nn.BatchNorm2D)]
    assert len(norms) == 6 + 3 * 8
    assert {(norm._epsilon, norm._momentum) for norm in norms} == {(1e-3, 0.99)}


def test_every_parameter_learns():
    neck = prepared(topology="tutorial")
    neck.train()
    sum((x * random_input(*x.shape, seed=3)).sum() for x in neck(features(128, 128))).backward()
    for name, parameter in neck.named_parameters():
        if not parameter.stop_gradient and not name.endswith("conv.bias"):  # a norm takes a bias out
            assert float(parameter.grad.abs().max()) > 0, name


# --- its neighbours -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("coarsest_first", [True, False])
@pytest.mark.parametrize("levels", [3, 5])
def test_order_of_the_levels(coarsest_first, levels):
    neck = prepared(num_levels=levels, coarsest_first=coarsest_first)
    strides = [8, 16, 32, 64, 128][:levels]
    ordered = strides[::-1] if coarsest_first else strides
    assert [(spec.channels, spec.stride) for spec in neck.out_shape] == [(8, stride) for stride in ordered]
    maps = neck(features(256, 384))
    assert [x.shape for x in maps] == [[2, 8, 256 // stride, 384 // stride] for stride in ordered]


def test_from_a_config(tmp_path):
    """Channels and strides come from the backbone; options from YAML, a list of nodes among them."""
    nodes = "".join(f"  - {{level: {node['level']}, inputs: {node['inputs']}}}\n" for node in THREE)
    path = tmp_path / "neck.yml"
    path.write_text(
        f"_BASE_: ['{CONFIGS}/ppyoloe/ppyoloe_plus_s_coco.yml']\n"
        "YOLODetector: {neck: WeightedBiFPN}\n"
        f"WeightedBiFPN:\n  out_channels: 16\n  num_cells: 1\n  fusion: softmax\n  topology:\n{nodes}"
    )
    neck = create(load_config(str(path)).architecture).neck
    assert [(spec.channels, spec.stride) for spec in neck.out_shape] == [(16, 32), (16, 16), (16, 8)]
    assert neck.cells[0].nodes[1].edges[0].project.conv.weight.shape == [16, 128, 1, 1]
    assert [node.inputs for node in neck.topology.nodes] == [(1, 2), (0, 3), (1, 3, 4), (2, 5)]
    assert {part.mode for part in neck.sublayers() if hasattr(part, "edge_weights")} == {"softmax"}


NECK = {"out_channels": 16, "num_cells": 2}
UNDER = {
    "ppyoloe/ppyoloe_plus_s_coco": {"CSPRepResNet": {"width_mult": 0.25}},
    "yolov6/yolov6_n_coco": {"EfficientRep": {"width_mult": 0.125, "return_idx": [1, 2, 3]}},
}


def detector(config, **neck):
    overrides = {
        "num_classes": 7,
        "YOLODetector": {"neck": "WeightedBiFPN"},
        "WeightedBiFPN": {**NECK, **neck},
    }
    cfg = load_config(str(CONFIGS / f"{config}.yml"), {**overrides, **UNDER[config]})
    return create(cfg.architecture)


@pytest.mark.parametrize("config", UNDER)
def test_under_the_anchor_free_heads(config):
    model = steady(detector(config), random_input(2, 3, 128, 128, seed=5))
    batch = {"image": random_input(1, 3, 64, 96)}
    expected = [x.numpy() for x in raw_outputs(model, batch)]
    points, strides = expected[2:]
    assert strides.ravel().tolist() == [32] * 6 + [16] * 24 + [8] * 96 and (points * strides).max() < 96
    reparameterize(model)
    for found, wanted in zip(raw_outputs(model, batch)[:2], expected):
        assert wanted.std() > 1e-3
        assert relative_error(found.numpy(), wanted) <= 1e-4


def test_the_wrong_order_of_levels_is_refused():
    """All widths are equal: only the strides tell."""
    with pytest.raises(ValueError, match="ETHead: level 0 comes with stride 8 but fpn_strides says 32"):
        detector("ppyoloe/ppyoloe_plus_s_coco", coarsest_first=False)


def test_data_for_the_plot():
    neck = prepared(num_levels=3, fusion="softmax", num_cells=2)
    first, second = neck.fusion_weights()
    assert [node["name"] for node in first] == ["P4 td", "P3 out", "P4 out", "P5 out"]
    assert first[2]["edges"] == ["P4 in", "P4 td", "P3 out"]
    raw = array(neck.cells[1].nodes[2].fuse.edge_weights)
    np.testing.assert_allclose(second[2]["weights"], np.exp(raw) / np.exp(raw).sum(), rtol=1e-12)
    single = prepared(num_levels=3, topology="fpn").fusion_weights()[0][0]
    assert single == {"name": "P5 out", "edges": ["P5 in"], "weights": [1.0]}


@pytest.mark.parametrize(
    "options, message",
    [
        ({"num_levels": 2}, "num_levels is 2, but 3 feature maps come in; set the backbone's return_idx"),
        ({"num_cells": 0}, "num_cells is 0; give 1 or more"),
        ({"strides": (8, 32, 64)}, r"strides \[8, 32, 64\], where each has to be twice"),
        ({"strides": (12, 24, 48)}, r"strides \[12, 24, 48\], where each has to be twice"),
        ({"topology": "bifpn"}, "unknown topology 'bifpn'; did you mean 'fpn'"),
        ({"fusion": "fats"}, "unknown fusion 'fats'; did you mean 'fast'"),
        ({"act": "swich"}, "unknown activation 'swich'; did you mean 'swish'"),
    ],
)
def test_refusals(options, message):
    with pytest.raises(ValueError, match=message):
        prepared(**options)


def test_levels_are_named_by_their_strides():
    finer = prepared(num_levels=3, strides=(4, 8, 16))
    assert [node.level for node in finer.topology.nodes] == [3, 2, 3, 4]
    unknown = prepared(num_levels=3, strides=None)
    assert [node.level for node in unknown.topology.nodes] == [4, 3, 4, 5]
    assert [spec.stride for spec in unknown.out_shape] == [None] * 3
