"""ETHead: its options, batches without boxes, strides."""

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import math
from functools import partial

import numpy as np
import paddle
import pytest
from ppdet.core.workspace import create
from ppdet.modeling.layers import MultiClassNMS
from ppdet.modeling.shape_spec import ShapeSpec

from ppdet_ext.config import load_config
from ppdet_ext.modeling.heads import ETHead

from ..nn.reference import sigmoid
from .upstream import CONFIGS, make_batch, parameter_count, train

CLASSES = 7
# The labels' dtype is that of PaddleDetection's reader, on either Paddle.
small_batch = partial(make_batch, 96, classes=CLASSES, label_dtype="int32")
SMALL = {"num_classes": CLASSES, "width_mult": 0.25, "depth_mult": 0.33}


def build(**sections):
    """A small PP-YOLOE with sections of its config overridden."""
    config = load_config(str(CONFIGS / "_base_" / "models" / "ppyoloe.yml"), {**SMALL, **sections})
    paddle.seed(0)
    return create(config.architecture)


def wake(model):
    """Prediction kernels start from 0, through which nothing flows back; this gives them values."""
    for conv in [*model.yolo_head.pred_cls, *model.yolo_head.pred_reg]:
        conv.weight.set_value(paddle.randn(conv.weight.shape) * 0.02)
    return model


BACKBONE, NECK, HEAD = "CSPRepResNet", "CSPRepPAN", "ETHead"
# Sections that change, and the sign of the change in parameters.
OPTIONS = {
    "no DFL": ({HEAD: {"reg_max": 0}}, -1),
    "fewer bins": ({HEAD: {"reg_max": 7}}, -1),
    "no ESE in the head": ({HEAD: {"use_ese": False}}, -1),
    "no ESE in the backbone": ({BACKBONE: {"ese": "none"}}, -1),
    "ESE in the backbone's blocks": ({BACKBONE: {"ese": "block"}}, -1),
    "ESE in the neck's blocks": ({NECK: {"ese": "block"}}, +1),
    "no RepVGG": ({BACKBONE: {"use_rep": False}, NECK: {"use_rep": False}}, -1),
    "depthwise": ({BACKBONE: {"depth_wise": True}, NECK: {"depth_wise": True}}, -1),
    "small stem": ({BACKBONE: {"use_large_stem": False}}, -1),
    "alpha": ({BACKBONE: {"use_alpha": True}, NECK: {"use_alpha": True}}, +1),
    "no SPP": ({NECK: {"spp": False}}, -1),
    "two stages a node": ({NECK: {"stage_num": 2}}, +1),
    "DropBlock": ({NECK: {"drop_block": True}}, 0),
    "stem ese_rep": ({HEAD: {"stem": "ese_rep"}}, +1),
    "stem rep_ese": ({HEAD: {"stem": "rep_ese"}}, +1),
    "stem rep_ese without its ESE": ({HEAD: {"stem": "rep_ese", "use_ese": False}}, +1),
    "QARepVGG": ({BACKBONE: {"rep_block": "qarepvgg"}, NECK: {"rep_block": "qarepvgg"}}, 0),
    "stem ese_rep of QARepVGG": ({HEAD: {"stem": "ese_rep", "rep_block": "qarepvgg"}}, +1),
    "stem rep_ese of QARepVGG": ({HEAD: {"stem": "rep_ese", "rep_block": "qarepvgg"}}, +1),
    "relu": ({BACKBONE: {"act": "relu"}, NECK: {"act": "relu"}, HEAD: {"act": "relu"}}, 0),
    "swish spelt out": ({"trt": True}, 0),
    "focal loss": ({HEAD: {"use_varifocal_loss": False}}, 0),
    "ATSS alone": ({HEAD: {"assigner": None}}, 0),
    "TAL from the start": ({HEAD: {"static_assigner_epoch": 0}}, 0),
    "TAL with a centre radius": (
        {HEAD: {"assigner": {"name": "TALLabelAssigner", "center_radius": 2.5, "score": "alignment"}}},
        0,
    ),
    "SimOTA from the start": ({HEAD: {"assigner": "SimOTALabelAssigner", "static_assigner": None}}, 0),
    "SimOTA after ATSS": ({HEAD: {"assigner": "SimOTALabelAssigner"}}, 0),
    "SIoU": ({HEAD: {"iou_loss": "siou"}}, 0),
    "small objects": ({HEAD: {"assigner": {"name": "TALLabelAssigner", "topk": 20, "beta": 4.0}}}, 0),
}


@pytest.fixture(scope="module")
def published():
    return parameter_count(build())


@pytest.mark.parametrize("option", OPTIONS)
def test_option_trains_and_predicts(option, published):
    sections, direction = OPTIONS[option]
    model = wake(build(**sections))
    assert np.sign(parameter_count(model) - published) == direction
    for epoch in (0, 200):
        losses = train(model, small_batch(epoch=epoch))
        weights = {"class": 1.0, "iou": 2.5, "dfl": 0.5}
        total = sum(
            losses[f"loss_{name}"] * weights[key]
            for key, name in (("class", "cls"), ("iou", "iou"), ("dfl", "dfl"))
        )
        assert losses["loss"] == pytest.approx(total, rel=1e-5)
        assert losses["loss_cls"] > 0 and losses["loss_iou"] > 0
        assert (losses["loss_dfl"] > 0) == (option != "no DFL")
        for name, parameter in model.named_parameters():
            if not parameter.stop_gradient:
                assert parameter.grad is not None, name
                assert np.isfinite(parameter.grad.numpy()).all(), name
        assert np.abs(model.backbone.stem.conv1.conv.weight.grad.numpy()).max() > 0
    model.eval()
    with paddle.no_grad():
        batch = small_batch()
        scores, distances, points, strides = model.yolo_head(model.features(batch))
        predicted = model(batch)
    length = 9 + 36 + 144
    assert [list(t.shape) for t in (scores, distances, points, strides)] == [
        [2, CLASSES, length],
        [2, length, 4],
        [length, 2],
        [length, 1],
    ]
    boxes, counts = predicted["bbox"].numpy(), predicted["bbox_num"].numpy()
    assert counts.min() > 0 and boxes.shape == (counts.sum(), 6) and np.isfinite(boxes).all()


def test_the_assigner_decides_from_its_epoch_on():
    """With `assigner: ~` the static one goes on; otherwise the loss changes at the epoch."""

    def loss(model, epoch):
        return train(model, small_batch(epoch=epoch))["loss_iou"]

    both, static = build(), build(**{HEAD: {"assigner": None}})
    assert loss(both, 99) == pytest.approx(loss(static, 99), rel=1e-5)
    assert loss(both, 100) != pytest.approx(loss(both, 99), rel=1e-3)
    assert loss(static, 100) == pytest.approx(loss(static, 99), rel=1e-5)


def test_loss_weights_and_their_defaults():
    batch = small_batch()
    losses = train(build(**{HEAD: {"loss_weight": {"class": 0.0, "iou": 0.0, "dfl": 3.0}}}), batch)
    assert losses["loss"] == pytest.approx(3.0 * losses["loss_dfl"], rel=1e-5)
    weights = ETHead(assigner=None, loss_weight={"dfl": 2.0}).loss_weight
    assert weights == {"class": 1.0, "iou": 2.5, "dfl": 2.0}


@pytest.mark.parametrize("trt", [False, True])
def test_trt_reaches_the_nms(trt):
    nms = MultiClassNMS()
    ETHead(assigner=None, nms=nms, trt=trt)
    assert nms.trt is trt


def without_boxes(epoch, padding):
    batch = small_batch(gts=(padding, padding), epoch=epoch)
    batch["pad_gt_mask"] = batch["pad_gt_mask"] * 0
    return batch


@pytest.mark.parametrize("reg_max", [16, 0])
@pytest.mark.parametrize("padding", [0, 3], ids=["n is 0", "all padded"])
@pytest.mark.parametrize("epoch", [0, 200], ids=["ATSS", "TAL"])
def test_a_batch_without_boxes_trains(epoch, padding, reg_max):
    model = wake(build(**{HEAD: {"reg_max": reg_max}}))
    losses = train(model, without_boxes(epoch, padding))
    assert losses["loss_cls"] > 0 and math.isfinite(losses["loss"])
    assert losses["loss"] == losses["loss_cls"] and losses["loss_iou"] == losses["loss_dfl"] == 0
    head = model.yolo_head
    for conv in head.pred_reg:  # there, for a distributed run that waits for it, and 0
        np.testing.assert_array_equal(conv.weight.grad.numpy(), np.zeros(conv.weight.shape))
    assert all(np.abs(conv.weight.grad.numpy()).max() > 0 for conv in head.pred_cls)
    for name, parameter in model.named_parameters():
        if not parameter.stop_gradient:
            assert parameter.grad is not None and np.isfinite(parameter.grad.numpy()).all(), name


@pytest.mark.parametrize("epoch", [0, 200], ids=["ATSS", "TAL"])
def test_the_loss_of_a_batch_without_boxes_is_that_of_background(epoch):
    model = wake(build())
    weights = {key: value.numpy().copy() for key, value in model.state_dict().items()}
    batch = without_boxes(epoch, 3)
    loss = train(model, batch)["loss_cls"]
    model.set_state_dict({key: paddle.to_tensor(value) for key, value in weights.items()})
    model.train()
    head = model.yolo_head
    logits = [outputs[0].numpy() for outputs in head.predict_levels(model.features(batch))]
    x = np.concatenate([level.ravel() for level in logits]).astype("float64")
    expected = (0.75 * sigmoid(x) ** 2 * np.log1p(np.exp(x))).sum()
    assert loss == pytest.approx(expected, rel=1e-4)


def test_an_image_without_boxes_beside_one_with():
    losses = train(wake(build()), small_batch(gts=(4, 0)))
    assert 0 < losses["loss"] < 1e4 and losses["loss_iou"] > 0


def test_padding_changes_nothing():
    """Rows of padding, with rubbish in them, give the loss of the boxes alone."""
    model = wake(build(**{NECK: {"drop_block": False}}))
    weights = {key: value.numpy().copy() for key, value in model.state_dict().items()}
    results = []
    for extra in (0, 4):
        model.set_state_dict({key: paddle.to_tensor(value) for key, value in weights.items()})
        batch = small_batch(gts=(3, 3), epoch=200)
        if extra:
            boxes = paddle.to_tensor(np.tile(np.float32([0, 0, 1, 1]), (2, extra, 1)))
            batch["gt_bbox"] = paddle.concat([batch["gt_bbox"], boxes], axis=1)
            for key in ("gt_class", "pad_gt_mask"):
                filler = paddle.zeros([2, extra, 1], batch[key].dtype)
                batch[key] = paddle.concat([batch[key], filler], axis=1)
        results.append(train(model, batch))
    assert results[0] == pytest.approx(results[1], rel=1e-5)


def specs(*strides):
    return [ShapeSpec(channels=64, stride=stride) for stride in strides]


def test_strides_that_disagree_name_the_level():
    config = {"fpn_strides": [32, 16, 8]}
    with pytest.raises(
        ValueError,
        match=r"level 1 comes with stride 8 but fpn_strides says 16; "
        r"set fpn_strides: \[32, 8, 4\]",
    ):
        ETHead.from_config(config, specs(32, 8, 4))
    with pytest.raises(ValueError, match="level 0 comes with stride 8 but fpn_strides says 32"):
        ETHead.from_config(config, specs(8, 16, 32))
    with pytest.raises(ValueError, match="gives 4 levels but fpn_strides has 3"):
        ETHead.from_config(config, specs(64, 32, 16, 8))
    assert ETHead.from_config(config, specs(32, 16, 8)) == {"in_channels": [64] * 3}
    assert ETHead.from_config(config, specs(None, None, None)) == {"in_channels": [64] * 3}


def test_wrong_strides_of_a_config_are_found_before_training():
    with pytest.raises(ValueError, match="ETHead: level 0 comes with stride 32 but fpn_strides says 64"):
        build(**{HEAD: {"fpn_strides": [64, 32, 16]}})


@pytest.mark.parametrize(
    "options, message",
    [
        ({"stem": "ese_conf"}, "stem 'ese_conf' is none of .*ese_conv"),
        ({"iou_loss": "diou"}, "iou_loss 'diou' is none of .*giou"),
    ],
)
def test_unknown_options_name_the_known(options, message):
    with pytest.raises(ValueError, match=message):
        ETHead(assigner=None, **options)


def test_a_missing_feature_map_is_named():
    head = ETHead(in_channels=[8], fpn_strides=[32], num_classes=3, assigner=None)
    with pytest.raises(ValueError, match="2 feature maps for 1 fpn_strides"):
        head([paddle.zeros([1, 8, 2, 2])] * 2)
