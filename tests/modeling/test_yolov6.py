"""YOLOv6: backbones, necks and head against NumPy, both forms of each size, levels, options and refusals."""

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import numpy as np
import paddle
import pytest
from ppdet.core.workspace import create

from ppdet_ext.config import load_config
from ppdet_ext.modeling.backbones import CSPBepBackbone, EfficientRep
from ppdet_ext.modeling.heads import EfficientRepHead
from ppdet_ext.modeling.necks import RepBiFPAN, RepPAN
from ppdet_ext.nn import reparameterize
from ppdet_ext.nn.cost import multiply_accumulates

from ..nn import yolov6_numpy as numpy_version
from ..nn.reference import array, convolution, random_input, randomise, relative_error, sigmoid
from .steady import steady
from .upstream import CONFIGS, make_batch, raw_outputs

CLASSES = 7
BACKBONE, NECK, HEAD = "EfficientRep", "RepBiFPAN", "EfficientRepHead"
NARROW = {"width_mult": 0.125, "depth_mult": 0.33}
DIRECT = {"reg_max": 16, "direct_boxes": True}
# Config and what is overridden: every way of building, in widths that take a second. The paths of m's stages
# are two thirds as wide as the stage: 0.375 keeps that a whole number.
FORMS = {
    "n": ("yolov6_n_coco", {}),
    "n, direct": ("yolov6_n_coco", {HEAD: DIRECT, **NARROW}),
    "s, qarepvgg": ("yolov6_s_qarep_coco", NARROW),
    "s, heavier head": ("yolov6_s_rep_head_coco", NARROW),
    "m": ("yolov6_m_coco", {**NARROW, "width_mult": 0.375}),
    "l": ("yolov6_l_coco", NARROW),
    "v2": ("yolov6_v2_n_coco", {}),
    "n6": ("yolov6_n6_coco", {}),
    "l6": ("yolov6_l6_coco", NARROW),
}
all_forms = pytest.mark.parametrize("form", FORMS)


def build(config, overrides=None):
    paddle.seed(0)
    cfg = load_config(
        str(CONFIGS / "yolov6" / f"{config}.yml"), {"num_classes": CLASSES, **(overrides or {})}
    )
    return create(cfg.architecture)


def strides_of(form):
    return [64, 32, 16, 8] if "6_" in FORMS[form][0].partition("yolov6_")[2] else [32, 16, 8]


def prepared(form):
    side = 4 * strides_of(form)[0]
    return steady(build(*FORMS[form]), random_input(2, 3, side, side, seed=5))


def batch_of(height, width, seed=6):
    return {"image": random_input(2, 3, height, width, seed=seed)}


def outputs_of(model, batch):
    return [output.numpy() for output in raw_outputs(model, batch)]


def norms(model):
    return [layer for layer in model.sublayers() if isinstance(layer, paddle.nn.BatchNorm2D)]


# --- both forms ---------------------------------------------------------------------------------------------


@all_forms
def test_deployed_equals_trained_at_several_sizes(form):
    last = strides_of(form)[0]
    model = prepared(form)
    assert {(norm._epsilon, norm._momentum) for norm in norms(model)} == {(1e-3, 0.97)}
    batches = [batch_of(*sides) for sides in ((2 * last, 2 * last), (last, 3 * last))]
    expected = [outputs_of(model, batch) for batch in batches]
    reparameterize(model)
    assert not norms(model)
    for batch, (scores, distances, points, strides) in zip(batches, expected):
        assert scores.std() > 1e-3 and distances.std() > 1e-2, "they tell cells apart"
        found = outputs_of(model, batch)
        assert relative_error(found[0], scores) <= 1e-4
        assert relative_error(found[1], distances) <= 1e-4
        np.testing.assert_array_equal(found[2], points)
        np.testing.assert_array_equal(found[3], strides)
    state = {key: value.numpy().copy() for key, value in model.state_dict().items()}
    reparameterize(model)
    assert list(model.state_dict()) == list(state)
    for key, value in model.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), state[key])


@pytest.mark.parametrize("form", ["n", "l6"])
def test_a_norm_of_another_epsilon_is_seen(form):
    """The tolerance above is below what the most harmless of mistakes makes."""
    size = 2 * strides_of(form)[0]
    model = prepared(form)
    expected = outputs_of(model, batch_of(size, size))
    for norm in norms(model):
        norm._epsilon = 1e-5
    found = outputs_of(model, batch_of(size, size))
    assert max(relative_error(found[i], expected[i]) for i in (0, 1)) > 3e-4


@all_forms
def test_levels_come_coarsest_first(form):
    config, overrides = FORMS[form]
    model, strides = build(config, {**overrides, "width_mult": 0.125}), strides_of(form)
    model.eval()
    assert list(model.yolo_head.fpn_strides) == strides
    height, width = strides[0], 2 * strides[0]
    batch = batch_of(height, width)
    with paddle.no_grad():
        feats = model.backbone(batch)
        maps = model.neck(feats)
        _, _, points, per_point = model.yolo_head(maps)
    for found, specs in ((feats, model.backbone.out_shape), (maps, model.neck.out_shape)):
        assert [list(feat.shape) for feat in found] == [
            [2, spec.channels, height // spec.stride, width // spec.stride] for spec in specs
        ]
    finest = [spec.stride for spec in model.backbone.out_shape]
    assert finest == sorted(finest) and finest[-1] == strides[0]
    assert [spec.stride for spec in model.neck.out_shape] == strides
    # The centre of every cell in pixels, row by row, the coarsest level's first.
    centres = [
        ((x + 0.5) * stride, (y + 0.5) * stride, stride)
        for stride in strides
        for y in range(height // stride)
        for x in range(width // stride)
    ]
    found = np.concatenate([points.numpy() * per_point.numpy(), per_point.numpy()], 1)
    np.testing.assert_array_equal(found, np.float32(centres))


# --- against NumPy ------------------------------------------------------------------------------------------

# Backbone, kind of block, activation, pooling and its activation.
BACKBONES = [
    (EfficientRep, "repvgg", "relu", "SimCSPSPPF", numpy_version.csp_sppf, "relu"),
    (EfficientRep, "qarepvgg", "relu", "SimSPPF", numpy_version.sppf, "relu"),
    (EfficientRep, "repvgg", "silu", "CSPSPPF", numpy_version.csp_sppf, "silu"),
    (CSPBepBackbone, "repvgg", "relu", "SimSPPF", numpy_version.sppf, "relu"),
    (CSPBepBackbone, "conv", "silu", "SPPF", numpy_version.sppf, "silu"),
]


@pytest.mark.parametrize("kind, rep_block, act, spp, pool, pool_act", BACKBONES)
def test_a_backbone_equals_numpy(kind, rep_block, act, spp, pool, pool_act):
    net = randomise(
        kind(
            layers=(2, 1, 4, 2),
            channels=(8, 16, 8, 16, 24),
            return_idx=(0, 1, 2, 3),
            act=act,
            spp=spp,
            rep_block=rep_block,
        ),
        seed=4,
    )
    image = random_input(1, 3, 64, 96)
    one = numpy_version.block(rep_block, act)
    body = numpy_version.stack(one) if kind is EfficientRep else numpy_version.bep_c3(one, act)
    expected = numpy_version.backbone(net, array(image), one, body, lambda layer, x: pool(layer, x, pool_act))
    found = net({"image": image})
    assert [spec.stride for spec in net.out_shape] == [4, 8, 16, 32]
    for feat, wanted in zip(found, expected):
        assert wanted.std() > 0.05
        assert relative_error(feat.numpy(), wanted) <= 1e-4
    net.return_idx = [1, 3]
    for feat, wanted in zip(net({"image": image}), expected[1::2]):
        assert relative_error(feat.numpy(), wanted) <= 1e-4


@pytest.mark.parametrize("rep_block, stage_act, csp", [("repvgg", "relu", None), ("conv", "silu", 0.5)])
@pytest.mark.parametrize("kind", [RepPAN, RepBiFPAN])
def test_a_neck_equals_numpy(kind, rep_block, stage_act, csp):
    channels, strides = [10, 12, 14, 16], [4, 8, 16, 32]
    first = 1 - kind.finer
    net = randomise(
        kind(
            in_channels=channels[first:],
            in_strides=strides[first:],
            lateral_channels=(24, 8),
            out_channels=(32, 16, 8),
            blocks=2,
            rep_block=rep_block,
            stage_act=stage_act,
            csp_expansion=csp,
        ),
        seed=5,
    )
    maps = [random_input(1, c, 128 // s, 160 // s, seed=s) for c, s in zip(channels, strides)][first:]
    one = numpy_version.block(rep_block, stage_act)
    body = numpy_version.bep_c3(one, stage_act) if csp else numpy_version.stack(one)
    expected = numpy_version.neck(net, [array(feat) for feat in maps], body)
    found = net(maps)
    assert [(s.channels, s.stride) for s in net.out_shape] == [(32, 32), (16, 16), (8, 8)]
    for feat, wanted in zip(found, expected):
        assert wanted.std() > 0.05
        assert relative_error(feat.numpy(), wanted) <= 1e-4


def small_head(in_channels=(16, 12, 8), strides=(32, 16, 8), **options):
    head = EfficientRepHead(in_channels=in_channels, num_classes=CLASSES, fpn_strides=strides, **options)
    return randomise(head, seed=7)


def feature_maps(channels=(16, 12, 8), strides=(32, 16, 8), height=64, width=96):
    return [random_input(2, c, height // s, width // s, seed=s) for c, s in zip(channels, strides)]


def distances_in_numpy(regression, bins):
    """[B, 4 * bins, h, w] to [B, h w, 4], the mean of each side's distribution."""
    values = regression.reshape(len(regression), 4, bins, -1)
    if bins == 1:
        return values[:, :, 0].transpose(0, 2, 1)
    weights = np.exp(values - values.max(2, keepdims=True))
    weights /= weights.sum(2, keepdims=True)
    return (weights * np.arange(bins)[:, None]).sum(2).transpose(0, 2, 1)


HEADS = {
    "as published": ({}, "conv", "silu", 1),
    "distributions": ({"reg_max": 16}, "conv", "silu", 1),
    "direct beside distributions": (DIRECT, "conv", "silu", 1),
    "heavier": (
        {"stem": False, "branch_block": "repvgg", "branch_blocks": 2, "act": "relu", "kernel_size": 3},
        "repvgg",
        "relu",
        2,
    ),
    "heavier, for INT8": ({"branch_block": "qarepvgg", "act": "relu", **DIRECT}, "qarepvgg", "relu", 1),
}


@pytest.mark.parametrize("name", HEADS)
def test_a_head_equals_numpy(name):
    options, kind, act, blocks = HEADS[name]
    head, feats = small_head(**options), feature_maps()
    one = numpy_version.block(kind, act)
    scores, distances = [], []
    box_convs = head.pred_direct if options.get("direct_boxes") else head.pred_reg
    bins = 1 if options.get("direct_boxes") else options.get("reg_max", 0) + 1
    for level, feat in enumerate(map(array, feats)):
        if options.get("stem", True):
            feat = numpy_version.conv_norm_act(head.stem[level], feat, act)
        assert len(head.branch_cls[level]) == len(head.branch_reg[level]) == blocks
        classes, boxes = (
            convolution(numpy_version.stack(one)(branch, feat), array(conv.weight), array(conv.bias))
            for branch, conv in (
                (head.branch_cls[level], head.pred_cls[level]),
                (head.branch_reg[level], box_convs[level]),
            )
        )
        scores.append(sigmoid(classes).reshape(2, CLASSES, -1))
        distances.append(distances_in_numpy(boxes, bins))
    expected = np.concatenate(scores, -1), np.concatenate(distances, 1)
    for _ in range(2):  # in the training form and in the deployed one
        found = head(feats)
        assert relative_error(found[0].numpy(), expected[0]) <= 1e-5
        assert relative_error(found[1].numpy(), expected[1]) <= 1e-5
        reparameterize(head)
    assert expected[1].std() > 0.05 and not norms(head)


# --- the heads of s, counted --------------------------------------------------------------------------------

HEAVIER = {"stem": False, "branch_block": "repvgg", "act": "relu", "kernel_size": 3}


@pytest.mark.parametrize(
    "options, millions, billions",
    [
        ({}, "1.70", "3.20"),
        ({**HEAVIER, "branch_blocks": 1}, "2.15", "4.74"),
        ({**HEAVIER, "branch_blocks": 2}, "3.70", "7.57"),
        ({**HEAVIER, "branch_blocks": 3}, "5.24", "10.40"),
    ],
)
def test_what_a_deployed_head_of_s_costs(options, millions, billions):
    """80 classes and 17 bins over 64, 128 and 256 channels: parameters, and operations at 640 pixels."""
    channels = (256, 128, 64)
    head = EfficientRepHead(in_channels=channels, num_classes=80, reg_max=16, **options)
    head.eval()
    reparameterize(head)
    counted = {name: int(np.prod(p.shape)) for name, p in head.named_parameters() if "proj_conv" not in name}
    assert f"{sum(counted.values()) / 1e6:.2f}" == millions
    feats = feature_maps(channels, height=64, width=64)
    # Of two images, 100 times as large; an operation is a product or a sum.
    operations = 2 * 100 / 2 * multiply_accumulates(head, lambda: head.predict_levels(feats))
    assert f"{operations / 1e9:.2f}" == billions
    # By hand: a kernel and a bias for every convolution.
    blocks, taps = options.get("branch_blocks", 1), options.get("kernel_size", 1) ** 2
    stem = options.get("stem", True)
    expected = sum(
        stem * (c * c + c) + 2 * blocks * (9 * c * c + c) + (80 + 4 * 17) * (taps * c + 1) for c in channels
    )
    assert sum(counted.values()) == expected


# --- direct boxes and the branches of training --------------------------------------------------------------

WEIGHTS = {
    "loss_cls": 1.0,
    "loss_iou": 2.5,
    "loss_dfl": 0.5,
    "loss_direct_iou": 2.5,
    "loss_aided_cls": 1.0,
    "loss_aided_iou": 2.5,
}


def wake(head):
    """Prediction kernels start from 0, through which nothing flows back; this gives them values."""
    paddle.seed(1)
    aided = [head.anchor_aided] if head.anchor_aided is not None else []
    for part in [head.pred_cls, head.pred_reg, *filter(None, [head.pred_direct])]:
        aided.append(part)
    for part in aided:
        for conv in part.sublayers():
            if isinstance(conv, paddle.nn.Conv2D):
                conv.weight.set_value(paddle.randn(conv.weight.shape) * 0.02)


def train(model, batch):
    model.train()
    model.clear_gradients()
    losses = model(batch)
    losses["loss"].backward()
    return {key: float(value) for key, value in losses.items()}


ALL_BRANCHES = {**DIRECT, "anchor_aided": True}


@pytest.mark.parametrize("gts", [(4, 2), (4, 0), (0, 0)], ids=["boxes", "one image without", "no box"])
def test_every_branch_learns(gts):
    model = build("yolov6_n_coco", {HEAD: ALL_BRANCHES, **NARROW})
    wake(model.yolo_head)
    losses = train(model, make_batch(96, gts=gts, classes=CLASSES))
    assert set(losses) == {"loss", "loss_l1", *WEIGHTS}
    assert losses["loss"] == pytest.approx(sum(w * losses[k] for k, w in WEIGHTS.items()), rel=1e-5)
    for name in WEIGHTS:
        background = "cls" in name
        assert (losses[name] > 0) == (background or any(gts)), name
    for name, parameter in model.named_parameters():
        if parameter.stop_gradient:
            continue
        assert parameter.grad is not None and np.isfinite(parameter.grad.numpy()).all(), name
        if ".pred_" in name:  # 0 is what a distributed run waits for
            boxes = ".pred_reg." in name or ".pred_direct." in name
            assert (np.abs(parameter.grad.numpy()).max() > 0) == (any(gts) or not boxes), name
    assert np.abs(model.backbone.stem.conv1.conv.weight.grad.numpy()).max() > 0


@pytest.mark.parametrize("direct", [False, True])
@pytest.mark.parametrize("aided", [False, True])
def test_losses_are_those_of_the_branches_there_are(direct, aided):
    options = {"reg_max": 16, "direct_boxes": direct, "anchor_aided": aided}
    model = build("yolov6_n_coco", {HEAD: options, **NARROW})
    losses = train(model, make_batch(96, classes=CLASSES))
    absent = [] if direct else ["loss_direct_iou"]
    absent += [] if aided else ["loss_aided_cls", "loss_aided_iou"]
    assert set(losses) == {"loss", "loss_l1", *WEIGHTS} - set(absent)
    expected = sum(w * losses[k] for k, w in WEIGHTS.items() if k in losses)
    assert losses["loss"] == pytest.approx(expected, rel=1e-5)
    prefixes = {name.split(".")[1] for name in model.state_dict() if name.startswith("yolo_head.")}
    assert ("pred_direct" in prefixes, "anchor_aided" in prefixes) == (direct, aided)


def test_what_only_training_has_is_dropped_in_deployment():
    model = build("yolov6_n_coco", {HEAD: ALL_BRANCHES, **NARROW})
    model.eval()
    reparameterize(model)
    plain = build(
        "yolov6_n_coco", {HEAD: {"anchor_aided": False}, **NARROW}
    )  # without distributions from the start
    plain.eval()
    reparameterize(plain)
    shapes, expected = (
        {key: tuple(value.shape) for key, value in one.state_dict().items()} for one in (model, plain)
    )
    assert shapes == expected
    assert model.yolo_head.reg_max == 0


def test_the_anchor_aided_branch_changes_no_prediction():
    model = prepared("n")
    batch = batch_of(64, 64)
    expected = outputs_of(model, batch)
    for parameter in model.yolo_head.anchor_aided.parameters():
        parameter.set_value(parameter * 0 + 9)
    for value, wanted in zip(outputs_of(model, batch), expected):
        np.testing.assert_array_equal(value, wanted)


def level_distances(model, batch, convs, bins):
    """[B, L, 4] as NumPy makes it of what these convolutions say."""
    head, feats = model.yolo_head, model.features(batch)
    made = []
    for level, feat in enumerate(feats):
        _, boxes = head._branches(level, feat)
        made.append(distances_in_numpy(array(convs[level](boxes)), bins))
    return np.concatenate(made, 1)


def test_evaluation_takes_the_direct_boxes_and_a_teacher_the_distributions():
    model, batch = prepared("n, direct"), batch_of(64, 96)
    head = model.yolo_head
    direct = level_distances(model, batch, head.pred_direct, 1)
    teaching = level_distances(model, batch, head.pred_reg, 17)
    assert relative_error(direct, teaching) > 0.1
    assert relative_error(outputs_of(model, batch)[1], direct) <= 1e-5
    levels = [boxes.shape[1] for _, boxes in head.predict_levels(model.features(batch))]
    assert levels == [4] * 3
    head.keep_distributions()
    assert relative_error(outputs_of(model, batch)[1], teaching) <= 1e-5
    levels = [boxes.shape[1] for _, boxes in head.predict_levels(model.features(batch))]
    assert levels == [4 * 17] * 3
    assert not [key for key in model.state_dict() if "pred_direct" in key or "anchor_aided" in key]


def test_boxes_are_direct_in_the_deployed_form_too():
    model, batch = prepared("n, direct"), batch_of(64, 64)
    direct = level_distances(model, batch, model.yolo_head.pred_direct, 1)
    reparameterize(model)
    assert relative_error(outputs_of(model, batch)[1], direct) <= 1e-4
    assert [conv.weight.shape[0] for conv in model.yolo_head.pred_reg] == [4] * 3
    assert not hasattr(model.yolo_head.proj_conv, "weight")


# --- refusals -----------------------------------------------------------------------------------------------

CSP = "CSPBepBackbone"
REFUSED = [
    (
        "yolov6_n_coco",
        {BACKBONE: {"return_idx": [1, 2, 3]}},
        "RepBiFPAN: 3 levels need 4 feature maps, not 3; set the backbone's return_idx",
    ),
    (
        "yolov6_v2_n_coco",
        {BACKBONE: {"return_idx": [0, 1, 2, 3]}},
        "RepPAN: 3 levels need 3 feature maps, not 4; set the backbone's return_idx",
    ),
    (
        "yolov6_n_coco",
        {BACKBONE: {"return_idx": [1, 2, 3, 4]}},
        "EfficientRep: return_idx 4 names no stage of 0..3",
    ),
    ("yolov6_m_coco", {CSP: {"return_idx": [-1, 1, 2, 3]}}, "CSPBepBackbone: return_idx -1 names no stage"),
    (
        "yolov6_v2_n_coco",
        {BACKBONE: {"return_idx": [0, 1, 2]}},
        "level 0 comes with stride 16 but fpn_strides says 32",
    ),
    (
        "yolov6_v2_n_coco",
        {BACKBONE: {"return_idx": [3, 2, 1]}},
        "EfficientRep: return_idx [3, 2, 1] does not rise; maps leave the finest first",
    ),
    ("yolov6_n_coco", {BACKBONE: {"return_idx": [0, 1, 1, 2]}}, "return_idx [0, 1, 1, 2] does not rise"),
    (
        "yolov6_v2_n_coco",
        {BACKBONE: {"return_idx": [0, 2, 3]}},
        "RepPAN: feature maps of strides [4, 16, 32], where each has to be twice the one before; set the",
    ),
    (
        "yolov6_n6_coco",
        {BACKBONE: {"return_idx": [0, 2, 3, 4]}},
        "RepBiFPAN: 4 levels need 5 feature maps, not 4",
    ),
    (
        "yolov6_n_coco",
        {BACKBONE: {"layers": [6, 12, 18]}},
        "EfficientRep: 5 channels (stem and stages) need 4 entries in layers, not 3",
    ),
    (
        "yolov6_n_coco",
        {BACKBONE: {"spp": "SimCSPSPFF"}},
        "unknown spp 'SimCSPSPFF'; did you mean 'SimCSPSPPF'?",
    ),
    ("yolov6_l_coco", {CSP: {"spp": "SPF"}}, "CSPBepBackbone: unknown spp 'SPF'; did you mean 'SPPF'?"),
    (
        "yolov6_n_coco",
        {BACKBONE: {"rep_block": "repvg"}},
        "unknown rep_block 'repvg'; did you mean 'repvgg'?",
    ),
    ("yolov6_n_coco", {NECK: {"rep_block": "conf"}}, "unknown rep_block 'conf'; did you mean 'conv'?"),
    ("yolov6_n_coco", {HEAD: {"branch_block": "conf"}}, "unknown rep_block 'conf'; did you mean 'conv'?"),
    (
        "yolov6_n_coco",
        {NECK: {"lateral_channels": [256, 256]}},
        "RepBiFPAN: lateral_channels [256, 256] and out_channels [512, 256, 128], both coarsest first",
    ),
    ("yolov6_v2_n_coco", {"RepPAN": {"lateral_channels": [256]}}, "one lateral less than outputs"),
    (
        "yolov6_n_coco",
        {HEAD: {"fpn_strides": [8, 16, 32]}},
        "EfficientRepHead: level 0 comes with stride 32 but fpn_strides says 8; set fpn_strides: [32, 16, 8]",
    ),
    ("yolov6_n_coco", {HEAD: {"fpn_strides": [16, 8]}}, "gives 3 levels but fpn_strides has 2"),
    (
        "yolov6_n_coco",
        {HEAD: {"direct_boxes": True}},
        "direct_boxes needs distributions beside it; set reg_max: 16",
    ),
    (
        "yolov6_n6_coco",
        {HEAD: {"anchor_aided": True}},
        "anchor_aided: no anchors are known for stride 64, only for [8, 16, 32]; set anchor_aided: false",
    ),
    ("yolov6_n_coco", {HEAD: {"iou_loss": "sio"}}, "EfficientRepHead: iou_loss 'sio' is none of"),
    ("yolov6_n_coco", {HEAD: {"act": "sliu"}}, "unknown activation 'sliu'; did you mean 'silu'?"),
]


@pytest.mark.parametrize("config, overrides, message", REFUSED)
def test_what_cannot_be_built_is_refused_in_a_line(config, overrides, message):
    with pytest.raises(ValueError) as refusal:
        build(config, {"width_mult": 0.125, "depth_mult": 0.1, **overrides})
    assert message in str(refusal.value) and "\n" not in str(refusal.value)
