"""What a network consists of and costs, against published figures and against the network itself."""

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
from pathlib import Path

import paddle
import pytest
from ppdet.core.workspace import create

from ppdet_ext.config import load_config
from ppdet_ext.evaluation.network_profile import FORMS, profile_network
from ppdet_ext.nn.cost import multiply_accumulates, trainable_parameters, watching

from ..modeling.test_efficientdet_configs import mult_adds_at

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
DEMOS = {
    "ppyoloe_nano": [],
    "yolov6_nano": [],
    "efficientdet_nano": [],
    "ppyoloe_bifpn_nano": [],
    "efficientdet_nano tutorial": ["WeightedBiFPN.topology=tutorial"],
    "efficientdet_nano pan": ["WeightedBiFPN.topology=pan"],
    "ppyoloe_nano on EfficientNet": ["YOLODetector.backbone=EfficientNet"],
}
SIDE = 64


def build(config, *overrides):
    model = create(load_config(str(CONFIGS / config), list(overrides)).architecture)
    model.eval()
    return model


def demo(name):
    return build(f"demo/{name.split()[0]}_demo.yml", *DEMOS[name])


def costs(profile, module, form="training"):
    """Parameters and MACs of a module."""
    rows = [part[form] for part in profile["parts"] if part["module"] == module and part[form]]
    return sum(row["parameters"] for row in rows), sum(row["macs"] for row in rows)


def test_ppyoloe_s_costs_what_was_counted_and_published():
    """Counted on PaddleDetection's network; published: 7.93 M parameters and 17.36 GFLOPs, deployed."""
    total = profile_network(build("ppyoloe/ppyoloe_s_coco.yml"), 640)["total"]
    assert total["training"]["parameters"] / 1e6 == pytest.approx(8.0846, abs=5e-5)
    assert total["training"]["macs"] / 1e9 == pytest.approx(8.796, abs=5e-4)
    assert total["deployed"]["macs"] / 1e9 == pytest.approx(8.634, abs=5e-4)
    assert total["deployed"]["parameters"] / 1e6 == pytest.approx(7.93, rel=2e-3)
    assert 2 * total["deployed"]["macs"] / 1e9 == pytest.approx(17.36, rel=6e-3)


def test_yolov6_n_costs_what_was_counted():
    """Counted on meituan/YOLOv6, whose numbers hold 34 values of bins; published: 4.7 M, 11.4 GFLOPs."""
    profile = profile_network(build("yolov6/yolov6_n_coco.yml", "EfficientRepHead.anchor_aided=false"), SIDE)
    total = profile["total"]
    assert total["training"]["parameters"] == 5_058_270 - 34
    assert total["deployed"]["parameters"] == 4_646_974 - 34
    assert total["deployed"]["macs"] * (640 / SIDE) ** 2 / 1e9 == pytest.approx(5.6580, rel=1e-4)
    # By hand: 3x3 and 1x1 with a BatchNorm each; then one 3x3 with a bias.
    stem, pixels = profile["parts"][0], (SIDE // 2) ** 2
    assert stem["training"] == {"parameters": 3 * 16 * 10 + 2 * 32, "macs": pixels * 3 * 16 * 10}
    assert stem["deployed"] == {"parameters": 3 * 16 * 9 + 16, "macs": pixels * 3 * 16 * 9}


def test_efficientdet_d0_costs_what_is_published():
    """google/automl, 90 classes: 3,880,067 parameters and 2.5506 G multiply-adds; by part as in effdet."""
    model = build("efficientdet/efficientdet_d0_coco.yml", "num_classes=90")
    adds = mult_adds_at(model, 512, 128)
    assert adds == pytest.approx(2_550_618_821, rel=5e-3)
    profile = profile_network(model, 128)
    # The convolutions are nearly all of them; all but the gates' grow with the area.
    assert 0.95 * adds < profile["total"]["training"]["macs"] * (512 / 128) ** 2 < adds
    assert profile["total"]["training"]["parameters"] == 3_880_067
    found = [costs(profile, module)[0] for module in ("backbone", "neck", "head")]
    assert found == [3_595_388, 196_281, 69_354 + 19_044]


@pytest.mark.parametrize("name", DEMOS)
def test_the_parts_are_the_whole_in_both_forms(name):
    model = demo(name)
    image = {"image": paddle.zeros([1, 3, SIDE, SIDE])}

    def counted():
        macs = multiply_accumulates(model, lambda: model.head(model.features(image)))
        return {"parameters": trainable_parameters(model), "macs": macs}

    trained = counted()
    profile = profile_network(model, SIDE)
    assert profile["total"] == {"training": trained, "deployed": counted()}
    for form in FORMS:
        rows = [part[form] for part in profile["parts"] if part[form]]
        assert {key: sum(row[key] for row in rows) for key in trained} == profile["total"][form]
    places = [(part["module"], part["name"], part["group"], part.get("level")) for part in profile["parts"]]
    assert len(set(places)) == len(places)


@pytest.mark.parametrize("name", DEMOS)
def test_shapes_are_what_backbone_neck_and_head_give(name):
    model = demo(name)
    image = {"image": paddle.zeros([1, 3, SIDE, SIDE])}
    maps = model.backbone(image)
    levels = model.neck(maps)
    predicted = model.head.predict_levels(levels)
    parts = profile_network(model, SIDE)["parts"]
    heads = [part for part in parts if part["module"] == "head" and "level" in part]
    assert [(part["shape"], part["box_shape"]) for part in heads] == [
        (c.shape, b.shape) for c, b in predicted
    ]
    assert [parts[part["reads"][0]]["shape"] for part in heads] == [level.shape for level in levels]
    strides = [2 ** part["level"] for part in heads]
    assert strides == list(model.head.fpn_strides)
    given = [part["shape"] for part in parts if part["module"] == "backbone"]
    assert all(value.shape in given for value in maps)


@pytest.mark.parametrize("name", DEMOS)
def test_what_a_part_reads_is_what_changes_it(name):
    """A map that is changed changes the maps of just those parts that read it, and of theirs in turn."""
    model = demo(name)
    parts = [part for part in profile_network(model, SIDE)["parts"] if part["module"] in ("backbone", "neck")]
    makers = [part.layers[-1] for module in (model.backbone, model.neck) for part in module.parts()]
    assert len(makers) == len(parts)
    image = {"image": paddle.rand([1, 3, SIDE, SIDE])}

    @paddle.no_grad()
    def maps(changed=None):
        found = {}

        def see(layer, inputs, output):
            if layer in makers:
                found[id(layer)] = output.numpy()

        if changed is not None:
            # First of the layer's hooks, so that what is seen is the changed map.
            hook = makers[changed].register_forward_post_hook(
                lambda layer, inputs, output: output + paddle.rand(output.shape)
            )
        with watching(model, paddle.nn.Layer, see):
            model.features(image)
        if changed is not None:
            hook.remove()
        return [found[id(maker)] for maker in makers]

    before = maps()
    for number in range(len(parts)):
        reached = {number}
        for reader, part in enumerate(parts):
            if reached & set(part["reads"]):
                reached.add(reader)
        after = maps(number)
        assert {i for i in range(len(parts)) if (before[i] != after[i]).any()} == reached, parts[number]


def test_shared_and_training_layers_are_told_apart():
    heads = {}
    for name in ("efficientdet_nano", "yolov6_nano"):
        parts = profile_network(demo(name), SIDE)["parts"]
        heads[name] = {part["name"]: part for part in parts if part["module"] == "head"}
    shared = heads["efficientdet_nano"]["shared by the levels"]
    assert shared["training"]["parameters"] > shared["deployed"]["parameters"] > 0
    assert shared["training"]["macs"] == 0
    model = demo("yolov6_nano")
    alone = heads["yolov6_nano"]["training alone"]
    assert alone["training"] == {"parameters": trainable_parameters(model.head.anchor_aided), "macs": 0}
    assert alone["deployed"] is None


def test_refusals():
    model = demo("ppyoloe_nano")
    for size in (0, 48, 65):
        with pytest.raises(ValueError, match=f"size {size}: give a multiple of the coarsest stride, 32"):
            profile_network(model, size)
    model.neck = paddle.nn.Identity()
    with pytest.raises(ValueError, match=r"Identity: has no parts\(\), so its structure is not known; take"):
        profile_network(model, SIDE)
    with pytest.raises(ValueError, match="Identity: has no backbone, so its structure"):
        profile_network(paddle.nn.Identity(), SIDE)
