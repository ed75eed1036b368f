"""EfficientDetHead: its nets, the order of its outputs, the deployed form, what it refuses; and Soft-NMS."""

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import math

import numpy as np
import paddle
import pytest
from ppdet.modeling.layers import MultiClassNMS
from ppdet.modeling.shape_spec import ShapeSpec

from ppdet_ext.export.infer_cfg import _nms_settings
from ppdet_ext.modeling.heads import EfficientDetHead, SoftNMS
from ppdet_ext.nn import reparameterize
from ppdet_ext.runtime.nms import NMS, soft_nms

from ..nn.reference import array, batch_norm, convolution, randomise, relative_error, sigmoid, silu
from . import efficient_det_numpy as reference
from .upstream import parameter_count

CLASSES, CHANNELS, SIDE = 5, 8, 256
STRIDES = (8, 16, 32, 64, 128)
RATIOS = (1.0, 2.0, 0.5)
# Width, repeats, and parameters of class and box net with 90 classes, of D0 to D3.
COUNTS = {
    "D0": (64, 3, 69_354, 19_044),
    "D1": (88, 3, 101_394, 32_508),
    "D2": (112, 3, 136_890, 49_428),
    "D3": (160, 4, 247_050, 122_436),
}


def make_head(levels=5, **options):
    options = {"num_repeats": 2, "assigner": None, "nms": None, **options}
    paddle.seed(0)
    return EfficientDetHead([CHANNELS] * levels, CLASSES, [8 * 2**i for i in range(levels)], **options)


def features(batch=2, height=SIDE, width=SIDE, seed=0):
    rng = np.random.default_rng(seed)
    return [
        paddle.to_tensor(rng.standard_normal((batch, CHANNELS, height // s, width // s)).astype("float32"))
        for s in STRIDES
    ]


# --- the nets ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", COUNTS)
def test_published_parameter_counts(size):
    width, repeats, *expected = COUNTS[size]
    head = EfficientDetHead([width] * 5, 90, num_repeats=repeats, assigner=None, nms=None)
    assert [parameter_count(net) for net in (head.class_net, head.box_net)] == expected


def test_state_dict_keys():
    """A converter from the published ones is a table."""
    statistics = ("weight", "bias", "_mean", "_variance")
    convolutions = ("depthwise.weight", "pointwise.weight", "pointwise.bias")
    expected = {
        *(f"repeats.{r}.conv.{name}" for r in range(2) for name in convolutions),
        *(f"repeats.{r}.bn.{level}.{name}" for r in range(2) for level in range(5) for name in statistics),
        *(f"predict.{name}" for name in convolutions),
    }
    state = make_head().state_dict()
    assert set(state) == {f"{net}.{name}" for net in ("class_net", "box_net") for name in expected}
    assert state["class_net.predict.pointwise.weight"].shape == [9 * CLASSES, CHANNELS, 1, 1]
    assert state["box_net.predict.pointwise.weight"].shape == [9 * 4, CHANNELS, 1, 1]


def test_initial_values():
    head = EfficientDetHead([64] * 5, 90, assigner=None, nms=None)
    biases = {name: p.numpy() for name, p in head.named_parameters() if name.endswith("pointwise.bias")}
    for name, bias in biases.items():
        prior = -4.59512 if name == "class_net.predict.pointwise.bias" else 0.0
        np.testing.assert_allclose(bias, prior, atol=1e-5, err_msg=name)
    for name, kernel in head.named_parameters():
        if kernel.ndim == 4:
            values = kernel.numpy()
            wanted = 1 / math.sqrt(np.prod(kernel.shape[1:]))
            assert abs(values.std() / wanted - 1) < 4 / math.sqrt(2 * values.size), name
    for norm in head.sublayers():
        if isinstance(norm, paddle.nn.BatchNorm2D):
            assert (norm._epsilon, norm._momentum) == (1e-3, 0.99)
            assert norm.weight.regularizer._coeff == 0
    head.eval()
    scores = head([paddle.randn([1, 64, 4 * 2**i, 4 * 2**i]) for i in range(5)][::-1])[0].numpy()
    assert 0.003 < np.median(scores) < 0.03
    dense = EfficientDetHead([64] * 5, 90, separable=False, assigner=None, nms=None)
    assert abs(dense.class_net.repeats[0].conv.weight.numpy().std() / 0.01 - 1) < 0.02
    assert float(dense.class_net.predict.bias[3]) == pytest.approx(-4.59512, abs=1e-5)


def net_by_definition(net, x, level, separable):
    def conv(layer, x):
        if not separable:
            return convolution(x, array(layer.weight), array(layer.bias))
        x = convolution(x, array(layer.depthwise.weight), groups=x.shape[1])
        return convolution(x, array(layer.pointwise.weight), array(layer.pointwise.bias))

    for repeat in net.repeats:
        x = silu(batch_norm(conv(repeat.conv, x), repeat.bn[level]))
    return conv(net.predict, x)


@pytest.mark.parametrize("separable", [True, False])
def test_each_level_has_the_shared_kernels_and_its_own_statistics(separable):
    head = randomise(make_head(separable=separable))
    feats = features()[2:3] * 5  # one map, seen as every level in turn
    for level, maps in enumerate(head.predict_levels(feats)):
        for net, found in zip((head.class_net, head.box_net), maps):
            expected = net_by_definition(net, array(feats[level]), level, separable)
            assert relative_error(found.numpy(), expected) < 1e-5
    first, second = (maps[0].numpy() for maps in head.predict_levels(feats)[:2])
    assert relative_error(first, second) > 0.1, "or the levels' statistics would be alike"


# --- outputs ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("height, width", [(256, 256), (128, 384)])
def test_outputs_come_in_the_order_of_the_anchors(height, width):
    head, feats = randomise(make_head()), features(2, height, width)
    scores, codes, anchors = (output.numpy() for output in head(feats))
    sides = [(height // s, width // s) for s in STRIDES]
    expected = reference.anchors_of(sides, STRIDES, 4.0, 3, RATIOS)
    np.testing.assert_allclose(anchors, expected, rtol=1e-6, atol=1e-4)
    maps = [[m.numpy() for m in pair] for pair in head.predict_levels(feats)]
    row = 0
    for (class_map, box_map), (h, w) in zip(maps, sides):
        class_map = class_map.reshape(2, 9, CLASSES, h, w)
        box_map = box_map.reshape(2, 9, 4, h, w)
        for y in range(h):
            for x in range(w):
                count = slice(row, row + 9)
                expected = sigmoid(class_map[:, :, :, y, x].transpose(0, 2, 1))
                np.testing.assert_allclose(scores[:, :, count], expected, atol=1e-6)
                np.testing.assert_array_equal(codes[:, count], box_map[:, :, :, y, x])
                row += 9
    assert row == scores.shape[2] == codes.shape[1] == len(anchors)


def test_decoded_boxes():
    head, feats = randomise(make_head(anchor_scale=3.0, aspect_ratios=[[1.4, 0.7]])), features()
    outputs = head(feats)
    boxes, scores = head.decode(outputs)
    codes, anchors = (array(output) for output in outputs[1:])
    np.testing.assert_allclose(boxes.numpy(), reference.decode(codes, anchors), rtol=1e-4, atol=1e-2)
    assert scores is outputs[0]


def test_what_post_process_gives():
    scale = paddle.to_tensor([[0.5, 2.0], [1.0, 1.0]])
    feats = features()
    raw = randomise(make_head(exclude_post_process=True))
    boxes, scores = raw.decode(raw(feats))
    joined = raw.post_process(raw(feats), scale)[0].numpy()
    np.testing.assert_array_equal(joined[..., :4], boxes.numpy())
    np.testing.assert_array_equal(joined[..., 4:], scores.numpy().transpose(0, 2, 1))
    scaled = randomise(make_head(exclude_nms=True)).post_process(raw(feats), scale)[0].numpy()
    np.testing.assert_allclose(scaled[0], boxes.numpy()[0] / np.float32([2, 0.5, 2, 0.5]), rtol=1e-6)
    np.testing.assert_array_equal(scaled[1], boxes.numpy()[1])
    options = {"score_threshold": 0.3, "nms_top_k": 200, "keep_top_k": 50, "nms_threshold": 0.5}
    head = make_head(nms=MultiClassNMS(**options))
    found, counts, _ = head.post_process(raw(feats), scale)
    assert counts.numpy().tolist() == [50, 50]
    index, label = NMS({"name": "MultiClassNMS", **options})(scaled[0], scores.numpy()[0])[:2]
    np.testing.assert_allclose(np.sort(found.numpy()[:50, 1]), np.sort(scores.numpy()[0, label, index]))


# --- the deployed form ------------------------------------------------------------------------------------


@pytest.mark.parametrize("separable", [True, False])
def test_the_deployed_form_is_the_same_function(separable):
    head, feats = randomise(make_head(separable=separable)), features()
    before = [[m.numpy() for m in pair] for pair in head.predict_levels(feats)]
    shared = head.class_net.repeats[0].conv
    reparameterize(head)
    for old, new in zip(before, head.predict_levels(feats)):
        for expected, found in zip(old, new):
            assert relative_error(found.numpy(), expected) < 1e-5
    state = {key: value.numpy() for key, value in head.state_dict().items()}
    names = {key.split(".", 3)[3] for key in state if key.startswith("class_net.repeats.1.")}
    folded = {f"folded.{level}.{name}" for level in range(5) for name in ("weight", "bias")}
    assert names == {*folded, "depthwise.weight"} if separable else names == folded
    if separable:
        assert head.class_net.repeats[0].depthwise is shared.depthwise
    reparameterize(head)
    assert list(head.state_dict()) == list(state)
    for key, value in head.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), state[key])


# --- what is refused --------------------------------------------------------------------------------------


def specs(strides, channels=64):
    return [ShapeSpec(channels=channels, stride=stride) for stride in strides]


def test_strides_of_the_neck():
    config = {"fpn_strides": [8, 16, 32]}
    assert EfficientDetHead.from_config(config, specs([8, 16, 32])) == {"in_channels": [64] * 3}
    assert EfficientDetHead.from_config(config, specs([None] * 3)) == {"in_channels": [64] * 3}
    with pytest.raises(
        ValueError,
        match=r"coarsest first, with strides \[32, 16, 8\], but fpn_strides says \[8, 16, 32\]; "
        "set coarsest_first: false",
    ):
        EfficientDetHead.from_config(config, specs([32, 16, 8]))
    with pytest.raises(ValueError, match="level 2 comes with stride 64 but fpn_strides says 32"):
        EfficientDetHead.from_config(config, specs([8, 16, 64]))
    with pytest.raises(ValueError, match="gives 2 levels but fpn_strides has 3"):
        EfficientDetHead.from_config(config, specs([8, 16]))


@pytest.mark.parametrize(
    "channels, strides, message",
    [
        ([64] * 3, [32, 16, 8], r"fpn_strides \[32, 16, 8\] does not rise from level 0 to 1; the finest"),
        ([64] * 3, [8, 16, 16], "does not rise from level 1 to 2"),
        ([64] * 2, [8, 16, 32], "are not of as many levels"),
        ([64, 64, 128], [8, 16, 32], "level 2 has 128 channels but level 0 has 64"),
    ],
)
def test_levels_that_do_not_fit(channels, strides, message):
    with pytest.raises(ValueError, match=message):
        EfficientDetHead(channels, CLASSES, strides, assigner=None, nms=None)


def test_maps_that_are_missing():
    with pytest.raises(ValueError, match="EfficientDetHead: 4 feature maps for 5 fpn_strides"):
        make_head()(features()[:4])


# --- Soft-NMS ---------------------------------------------------------------------------------------------


def crowd(seed=0, count=400):
    """Boxes [2, L, 4] in heaps, and scores [2, C, L]."""
    rng = np.random.default_rng(seed)
    centre = rng.uniform(50, 200, (2, 10, 2)).repeat(count // 10, 1) + rng.normal(0, 6, (2, count, 2))
    half = rng.uniform(10, 40, (2, count, 2))
    boxes = np.concatenate([centre - half, centre + half], -1).astype("float32")
    return boxes, (rng.random((2, CLASSES, count)) ** 6).astype("float32")


def test_soft_nms_is_the_runtimes():
    boxes, scores = crowd()
    scores[1, :, 3:] = 0  # an image of a few
    found, counts, _ = SoftNMS()(paddle.to_tensor(boxes), paddle.to_tensor(scores))
    settings = {"nms_top_k": -1, "keep_top_k": 100, "nms_threshold": 0.5}
    thresholds = {"score_threshold": 0.001, "post_threshold": 0.001}
    start = 0
    for image, count in enumerate(counts.numpy()):
        index, label, lowered = soft_nms(
            boxes[image], scores[image], use_gaussian=True, gaussian_sigma=0.5, **settings, **thresholds
        )
        rows = found.numpy()[start : start + count]
        np.testing.assert_array_equal(rows[:, 0], label)
        np.testing.assert_array_equal(rows[:, 1], lowered)
        np.testing.assert_array_equal(rows[:, 2:], boxes[image, index])
        start += count
    assert start == len(found) and counts.numpy()[0] == 100 > counts.numpy()[1] > 0
    assert counts.dtype == paddle.int32 and (lowered < scores[1, label, index]).any()


def test_soft_nms_of_nothing():
    boxes, scores = map(paddle.to_tensor, crowd())
    found, counts, _ = SoftNMS()(boxes, scores * 0)
    assert found.shape == [0, 6] and counts.numpy().tolist() == [0, 0]


def test_soft_nms_of_the_exported_folder():
    nms = SoftNMS(keep_top_k=30, gaussian_sigma=0.3)
    boxes, scores = crowd()
    index, label, lowered = NMS(_nms_settings(nms))(boxes[0], scores[0])
    found, counts, _ = nms(paddle.to_tensor(boxes[:1]), paddle.to_tensor(scores[:1]))
    expected = np.column_stack([label, lowered, boxes[0, index]])
    np.testing.assert_array_equal(found.numpy(), expected.astype("float32"))
    assert counts.numpy().tolist() == [30]


def test_soft_nms_refuses():
    with pytest.raises(ValueError, match="'gaussian_sigma' is 0; give a number above 0"):
        SoftNMS(gaussian_sigma=0)
    paddle.enable_static()
    try:
        with pytest.raises(ValueError, match="SoftNMS runs in NumPy and is no part of a graph"):
            SoftNMS()(None, None)
    finally:
        paddle.disable_static()
