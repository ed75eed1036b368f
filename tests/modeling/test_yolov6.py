"""YOLOv6: backbones, necks and head against NumPy, both forms of each size, levels."""

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import numpy as np
import paddle
import pytest

from ppdet_ext.modeling.backbones import CSPBepBackbone, EfficientRep
from ppdet_ext.modeling.heads import EfficientRepHead
from ppdet_ext.modeling.necks import RepBiFPAN, RepPAN
from ppdet_ext.nn import reparameterize
from ppdet_ext.nn.cost import multiply_accumulates

from ..nn import yolov6_numpy as numpy_version
from ..nn.reference import array, convolution, random_input, randomise, relative_error, sigmoid
from .yolov6_models import (
    CLASSES,
    DIRECT,
    FORMS,
    all_forms,
    batch_of,
    build,
    distances_in_numpy,
    norms,
    outputs_of,
    prepared,
    strides_of,
)


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
