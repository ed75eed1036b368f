"""Weights of YOLOv6 in our networks: every name of its releases, and the reference's own outputs."""

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
from functools import lru_cache
from pathlib import Path

import numpy as np
import paddle
import pytest
from ppdet.core.workspace import create

from ppdet_ext.config import load_config
from ppdet_ext.nn import YOLOV6_BATCH_NORM, reparameterize
from ppdet_ext.training.checkpoints.loading import load_pretrained
from ppdet_ext.weights import yolov6
from ppdet_ext.weights.convert import convert
from ppdet_ext.weights.translation import fill

from .states import NARROW, deployed, hollow, listed, narrow

CONFIGS = Path(__file__).resolve().parents[2] / "configs" / "yolov6"
BAR = 1e-4
LISTED = listed()
# The second generation's larger sizes have no config of their own.
V2_LARGE = {
    "v2_m": [0.75, 0.6, 2 / 3, "repvgg", "relu", "SimSPPF"],
    "v2_l": [1.0, 1.0, 0.5, "conv", "silu", "SPPF"],
}


def build(config, overrides=()):
    return create(load_config(str(CONFIGS / f"{config}.yml"), list(overrides)).architecture)


@lru_cache(maxsize=None)
def target(size, overrides=()):
    """The state of a network, hollow but for the constants."""
    if size in V2_LARGE:
        width, depth, expansion, block, act, spp = V2_LARGE[size]
        parts = {"CSPBepBackbone": "act", "RepPAN": "stage_act"}
        overrides = [f"width_mult={width}", f"depth_mult={depth}", "YOLODetector.backbone=CSPBepBackbone"]
        for part, name in parts.items():
            overrides += [
                f"{part}.csp_expansion={expansion}",
                f"{part}.rep_block={block}",
                f"{part}.{name}={act}",
            ]
        overrides += [f"CSPBepBackbone.spp={spp}", "CSPBepBackbone.return_idx=[1, 2, 3]"]
        size, overrides = "v2_s", [*overrides, "EfficientRepHead.reg_max=16"]
    state = build(f"yolov6_{size}_coco", overrides).state_dict()
    return {
        key: value.numpy() if "proj" in key else np.broadcast_to(np.float32(0), value.shape)
        for key, value in state.items()
    }


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if n[:2] in ("m6", "l6") else n for n in LISTED]
)
def test_every_name_of_a_release_has_its_place(name):
    size, release, *kind = name.split(" ")
    source = hollow(LISTED[name])
    ours = target(size)
    translation = yolov6.translate(source, ours)
    state = fill(translation, ours)
    assert list(state) == list(ours)
    form = "deployed" if "deployed" in kind else "training"
    assert translation.schema == f"YOLOv6 {release}, {form} form"
    dropped = [name for names in translation.dropped.values() for name in names]
    if form == "training":
        mapped = [theirs for theirs, _ in translation.renamed.values()]
        assert sorted(mapped + dropped) == sorted(source)
    else:
        assert {theirs for theirs, _ in translation.renamed.values()} | set(dropped) == set(source)
    reasons = set(translation.dropped)
    assert (yolov6.TRAINING_ONLY[yolov6.OUR_DISTRIBUTIONS] in reasons) == ("distilled" in kind)
    assert (yolov6.FOLDED in reasons) == (
        release == "0.3" and size in ("l", "l6") and not kind or name == "v2_l 0.2"
    )
    aided = {key for key in ours if "anchor_aided" in key}
    assert aided <= set(translation.renamed if "anchor-aided" in kind else translation.fresh)


def test_an_anchor_aided_branch_that_the_config_has_not_is_dropped():
    name = "n 0.4 anchor-aided"
    ours = target("n", ("EfficientRepHead.anchor_aided=false",))
    translation = yolov6.translate(hollow(LISTED[name]), ours)
    fill(translation, ours)
    assert len(translation.dropped["anchor-aided branch, for training only"]) == 12
    assert not translation.fresh


def test_a_distilled_head_of_ours_takes_both_box_branches():
    """The 68 channels that learn from the teacher and the 4 that infer change names between 0.3 and 0.4."""
    ours = target("n_distill")
    for release, learns, infers in (
        ("0.3", "reg_preds", "reg_preds_lrtb"),
        ("0.4", "reg_preds_dist", "reg_preds"),
    ):
        translation = yolov6.translate(hollow(LISTED[f"n {release} distilled"]), ours)
        fill(translation, ours)
        assert set(translation.dropped) == {yolov6.COUNTERS, yolov6.PROJECTION}
        for level in range(3):
            for name, theirs in (("pred_reg", learns), ("pred_direct", infers)):
                place = f"yolo_head.{name}.{level}.bias"
                assert translation.renamed[place][0] == f"detect.{theirs}.{2 - level}.bias"


@pytest.mark.parametrize("name", ["n 0.4", "n 0.3"])
def test_a_plain_head_does_not_fill_a_distilled_one(name):
    """A direct branch that has learnt nothing would infer."""
    ours = target("n_distill")
    with pytest.raises(ValueError, match="not in it .yolo_head.pred_direct.0.weight"):
        fill(yolov6.translate(hollow(LISTED[name]), ours), ours)


def outputs(model, image):
    """Ours under the reference's names: maps and levels finest first, boxes as centre and size."""
    with paddle.no_grad():
        maps = model.backbone({"image": paddle.to_tensor(image)})
        levels = model.neck(maps)
        boxes, scores = (value.numpy() for value in model.yolo_head.decode(model.yolo_head(levels)))
    found = {f"backbone{i}": value.numpy() for i, value in enumerate(maps)}
    found.update({f"neck{i}": value.numpy() for i, value in enumerate(levels[::-1])})
    size = boxes[..., 2:] - boxes[..., :2]
    rows = np.concatenate([boxes[..., :2] + size / 2, size, scores.transpose(0, 2, 1)], axis=-1)
    ends = np.cumsum([level.shape[2] * level.shape[3] for level in levels])[:-1]
    found["out"] = np.concatenate(np.split(rows, ends, axis=1)[::-1], axis=1)
    return found


def check(model, image, reference):
    found = outputs(model, image)
    rows = reference["out"]
    expected = {**reference, "boxes": rows[..., :4], "scores": rows[..., 5:]}
    rows = found.pop("out")
    found.update(boxes=rows[..., :4], scores=rows[..., 4:])
    assert set(found) == set(expected) - {"out"}
    for name, value in found.items():
        assert value.shape == expected[name].shape
        error = np.abs(value - expected[name]).max() / np.abs(expected[name]).max()
        assert error <= BAR, (name, error)


@pytest.mark.parametrize("form", ["training", "deployed"])
@pytest.mark.parametrize("name", NARROW)
def test_a_network_gives_the_references_outputs(name, form, tmp_path):
    """From a file to a checkpoint to a network; the reference's own outputs, before and after fusion."""
    config, overrides, state, image, reference = narrow(name)
    np.savez(tmp_path / "state.npz", **(deployed(state) if form == "deployed" else state))
    model = build(config, overrides)
    done = convert("yolov6", str(tmp_path / "state.npz"), model, str(tmp_path / "ours"))
    load_pretrained(model, done.path)
    model.eval()
    check(model, image, reference)
    reparameterize(model)
    check(model, image, reference)


@pytest.mark.parametrize("name", ["n_distilled", "n_distilled_0.3"])
def test_a_distilled_network_in_a_plain_one(name):
    """Only the branch that infers is left."""
    _, overrides, state, image, reference = narrow(name)
    model = build("yolov6_n_coco", overrides)
    ours = {key: value.numpy() for key, value in model.state_dict().items()}
    model.set_state_dict(fill(yolov6.translate(state, ours), ours))
    model.eval()
    check(model, image, reference)


def test_the_reference_is_not_met_by_chance():
    """Neighbours of equal shape in each other's place are seen in the outputs."""
    config, overrides, state, image, reference = narrow("m")
    pairs = [
        ("backbone.ERBlock_3.1.cv1.block.bn.bias", "backbone.ERBlock_3.1.cv2.block.bn.bias"),
        ("neck.Bifusion0.cv1.block.bn.bias", "neck.Bifusion0.cv2.block.bn.bias"),
        ("neck.Rep_n4.m.conv1.conv1.rbr_1x1.bn.weight", "neck.Rep_n4.m.conv1.conv2.rbr_1x1.bn.weight"),
        ("detect.cls_convs.1.block.conv.weight", "detect.reg_convs.1.block.conv.weight"),
        ("backbone.ERBlock_2.1.m.conv1.alpha", "neck.Rep_p3.m.conv1.alpha"),
    ]
    for first, second in pairs:
        wrong = {**state, first: state[second], second: state[first]}
        model = build(config, overrides)
        ours = {key: value.numpy() for key, value in model.state_dict().items()}
        model.set_state_dict(fill(yolov6.translate(wrong, ours), ours))
        model.eval()
        with pytest.raises(AssertionError):
            check(model, image, reference)


def test_a_fused_convolution_is_put_before_a_norm_that_changes_nothing():
    assert yolov6.EPSILON == YOLOV6_BATCH_NORM["epsilon"]
    config, overrides, state, _, _ = narrow("n")
    source = deployed(state)
    model = build(config, overrides)
    ours = {key: value.numpy() for key, value in model.state_dict().items()}
    model.set_state_dict(fill(yolov6.translate(source, ours), ours))
    model.eval()
    reparameterize(model)
    for theirs, block in (
        ("backbone.stem.rbr_reparam", "backbone.stem.conv"),
        ("backbone.ERBlock_3.1.block.0.rbr_reparam", "backbone.stages.1.body.1.conv"),
        ("neck.downsample2.block.conv", "neck.down.0.conv"),
        ("detect.stems.0.block.conv", "yolo_head.stem.2.conv"),
    ):
        for leaf in ("weight", "bias"):
            value = model.state_dict()[f"{block}.{leaf}"].numpy()
            np.testing.assert_allclose(value, source[f"{theirs}.{leaf}"], rtol=3e-7, atol=0)


def test_a_head_with_bins_checks_their_values():
    _, _, state, _, _ = narrow("m")
    ours = {"yolo_head.proj_conv.weight": np.zeros((1, 17, 1, 1), "float32")}
    for name in ("detect.proj", "detect.proj_conv.weight"):
        wrong = {**state, name: state[name] * 2}
        with pytest.raises(ValueError, match=f"{name} is not 0, 1, ... 16"):
            yolov6.translate(wrong, ours)
    yolov6.translate({**state, "detect.proj": state["detect.proj"] * 2}, {})


@pytest.mark.parametrize(
    "names, message",
    [
        (
            ["backbone.stem.conv.weight", "detect.obj_preds.0.bias", "neck.x"],
            "0.1, whose head has an objectness",
        ),
        (["model.0.conv.weight", "model.1.bn.weight"], "not YOLOv6's names: model.0.conv.weight, model.1.bn"),
        (["backbone.stem.rbr_1x1.weight", "neck.x", "detect.x"], "QARepVGG blocks"),
    ],
)
def test_other_dicts_are_refused(names, message):
    with pytest.raises(ValueError, match=message):
        yolov6.translate({name: np.zeros(3, "float32") for name in names}, {})


def test_two_names_for_one_parameter_are_refused():
    _, _, state, _, _ = narrow("n")
    state["neck.reduce_layer0.bn.bias"] = state["neck.reduce_layer0.block.bn.bias"]
    with pytest.raises(ValueError, match="are one parameter, neck.reduce.0.bn.bias"):
        yolov6.translate(state, {})
