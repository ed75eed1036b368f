"""EfficientNet: published sizes, and the network written out once more in NumPy."""

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
from collections import Counter

import numpy as np
import onnx
import paddle
import pytest

from ppdet_ext.export.onnx_model import save_onnx
from ppdet_ext.export.paddle_model import save_paddle
from ppdet_ext.modeling.backbones import EfficientNet
from ppdet_ext.nn import MBConv, reparameterize
from ppdet_ext.nn.cost import trainable_parameters

from ..nn.calibrate import calibrate
from ..nn.reference import array, random_input, randomise, relative_error
from ..nn.same_numpy import ACTIVATIONS, conv_norm, mbconv

# google/automl 6a54c87, rwightman/efficientdet-pytorch c6dff77: the stem's width, blocks of the seven rows,
# channels of C1 to C5, and parameters without the head.
PUBLISHED = {
    0: (32, [1, 2, 2, 3, 3, 4, 1], [16, 24, 40, 112, 320], 3_595_388),
    1: (32, [2, 3, 3, 4, 4, 5, 2], [16, 24, 40, 112, 320], 6_101_024),
    2: (32, [2, 3, 3, 4, 4, 5, 2], [16, 24, 48, 120, 352], 7_202_562),
    3: (40, [2, 3, 3, 5, 5, 6, 2], [24, 32, 48, 136, 384], 10_103_336),
    4: (48, [2, 4, 4, 6, 6, 8, 2], [24, 32, 56, 160, 448], 16_742_216),
    5: (48, [3, 5, 5, 7, 7, 9, 3], [24, 40, 64, 176, 512], 27_288_112),
    6: (56, [3, 6, 6, 8, 8, 11, 3], [32, 40, 72, 200, 576], 39_403_992),
    7: (64, [4, 7, 7, 10, 10, 13, 4], [32, 48, 80, 224, 640], 62_143_440),
}
# Stride, and whether a map leaves after it, of the seven rows.
ROWS = [(1, True), (2, True), (2, True), (2, False), (1, True), (2, False), (1, True)]
# Beyond so many parameters a network takes a second or more to be made.
LARGE = 20e6
SMALL = {"width_mult": 0.25, "depth_mult": 0.5, "return_idx": (0, 1, 2, 3, 4)}


def random_network(image, **options):
    """A network of the image's dtype with random weights and, jittered, its statistics; and its maps."""
    model = EfficientNet(**options)
    model.to(dtype=image.dtype)
    randomise(model)
    calibrate(model, lambda: model({"image": image}))
    return model, model({"image": image})


def rows_of(model):
    """The seven rows of blocks of a network, in their order."""
    return [row for stage in model.stages for row in stage]


@pytest.mark.parametrize(
    "variant", [pytest.param(v, marks=pytest.mark.slow) if p[-1] > LARGE else v for v, p in PUBLISHED.items()]
)
def test_published_sizes(variant):
    stem, blocks, channels, parameters = PUBLISHED[variant]
    model = EfficientNet(variant)
    assert trainable_parameters(model) == parameters
    assert [len(row) for row in rows_of(model)] == blocks
    assert model.stem.conv.weight.shape == [stem, 3, 3, 3]
    assert [(spec.channels, spec.stride) for spec in model.out_shape] == list(zip(channels[2:], (8, 16, 32)))
    rates = [block.drop_path.p for row in rows_of(model) for block in row]
    last = 0.2 if variant else 0.0
    np.testing.assert_allclose(rates, [last * i / sum(blocks) for i in range(sum(blocks))])
    if variant == 0:
        maps = EfficientNet(return_idx=[0, 1, 2, 3, 4])({"image": random_input(1, 3, 64, 96)})
        sides = [(64 // stride, 96 // stride) for stride in (2, 4, 8, 16, 32)]
        assert [tuple(y.shape[1:]) for y in maps] == [(c, *side) for c, side in zip(channels, sides)]
    for norm in model.sublayers():
        if isinstance(norm, paddle.nn.BatchNorm2D):
            assert (norm._epsilon, norm._momentum) == (1e-3, 0.99)


def network_numpy(model, x, act):
    """C1 to C5."""
    x = ACTIVATIONS[act](conv_norm(model.stem, x, 1e-3, stride=2))
    maps = []
    for row, (stride, leaves) in zip(rows_of(model), ROWS):
        for i, block in enumerate(row):
            x = mbconv(block, x, stride if i == 0 else 1, act)
        maps += [x] if leaves else []
    return maps


def errors(maps, expected):
    return max(relative_error(y.numpy(), z) for y, z in zip(maps, expected))


@pytest.mark.parametrize("act, se", [("swish", True), ("relu6", False)])
@pytest.mark.parametrize("sides", [(64, 32), (61, 75)], ids=["even", "odd"])
def test_network_equals_numpy_as_trained_and_deployed(act, se, sides):
    image = random_input(1, 3, *sides, dtype="float64")
    model, maps = random_network(image, act=act, se=se, **SMALL)
    expected = network_numpy(model, array(image), act)
    assert [y.shape[2:] for y in expected] == [
        tuple(-(-side // stride) for side in sides) for stride in (2, 4, 8, 16, 32)
    ]
    assert errors(maps, expected) <= 1e-9
    reparameterize(model)
    assert not [name for name in model.state_dict() if ".bn." in name]
    assert errors(model({"image": image}), expected) <= 1e-9


@pytest.mark.parametrize("size", [(64, 64), (97, 65)], ids=["even", "odd"])
def test_deployed_form_is_the_same_function(size):
    image = random_input(2, 3, *size)
    model, maps = random_network(image)
    assert errors(reparameterize(model)({"image": image}), [y.numpy() for y in maps]) <= 1e-4


def test_options_cost_what_they_should():
    plain, bare = EfficientNet(0), EfficientNet(0, se=False, act="relu6")
    attention = sum(
        inner * reduced * 2 + inner + reduced
        for block in plain.sublayers()
        if isinstance(block, MBConv)
        for reduced, inner in [block.se.reduce.weight.shape[:2]]
    )
    assert trainable_parameters(plain) - trainable_parameters(bare) == attention > 5e5
    assert not [name for name in bare.state_dict() if ".se." in name]


def test_multipliers_take_the_place_of_the_variants():
    assert trainable_parameters(EfficientNet(3, width_mult=1.0, depth_mult=1.1)) == PUBLISHED[1][-1]
    assert EfficientNet(3, width_mult=1.0, depth_mult=1.1).stages[4][1][1].drop_path.p > 0


def test_initial_weights_have_the_published_variance():
    paddle.seed(5)
    model = EfficientNet(0)
    block = model.stages[4][0][1]  # 192 channels in, 1152 inside, 5x5 depthwise
    for conv, fan_out in (
        (block.expand.conv, 1152),
        (block.depthwise.conv, 25),
        (block.project.conv, 192),
        (block.se.reduce, 48),
        (model.stem.conv, 9 * 32),
    ):
        assert conv.weight.numpy().std() == pytest.approx((2 / fan_out) ** 0.5, rel=0.06)
    assert not block.se.reduce.bias.numpy().any()


def test_recomputing_changes_no_gradient():
    found = {}
    for use_checkpoint in (False, True):
        model = randomise(EfficientNet(use_checkpoint=use_checkpoint, drop_path_rate=0.0, **SMALL))
        model.train()
        sum((y**2).mean() for y in model({"image": random_input(2, 3, 64, 64)})).backward()
        found[use_checkpoint] = {
            n: p.grad.numpy() for n, p in model.named_parameters() if not p.stop_gradient
        }
    for name, gradient in found[False].items():
        assert np.isfinite(gradient).all() and gradient.any(), name
        np.testing.assert_allclose(found[True][name], gradient, rtol=1e-4, atol=1e-6, err_msg=name)


class TwoMaps(paddle.nn.Layer):
    """Two outputs, as an exported graph has."""

    def __init__(self, backbone):
        super().__init__()
        self.backbone = backbone

    def forward(self, image):
        return self.backbone({"image": image})


@pytest.mark.parametrize("act, se", [("swish", True), ("relu6", False)])
@pytest.mark.parametrize("size", [[64, 64], [-1, -1]], ids=["fixed", "free"])
def test_exported_graph_has_nothing_else(tmp_path, act, se, size):
    options = {**SMALL, "return_idx": [3, 4]}
    model = reparameterize(randomise(TwoMaps(EfficientNet(act=act, se=se, **options))))
    file = save_onnx(save_paddle(model, str(tmp_path), [None, 3, *size]), str(tmp_path))
    graph = onnx.load(file).graph
    blocks = [block for block in model.sublayers() if isinstance(block, MBConv)]
    expanding = sum(block.expand is not None for block in blocks)
    activated = 1 + len(blocks) + expanding
    expected = Counter(Conv=activated + len(blocks), Add=sum(block.shortcut for block in blocks))
    if act == "swish":
        expected += Counter(Sigmoid=activated, Mul=activated)
    else:
        expected += Counter(Clip=activated)
    if se:
        # Two convolutions, the swish between them, the gate and what it multiplies.
        attention = Counter(GlobalAveragePool=1, Conv=2, Sigmoid=2, Mul=2)
        expected += Counter({kind: len(blocks) * count for kind, count in attention.items()})
    assert Counter(node.op_type for node in graph.node) == expected
    import onnxruntime

    x = random_input(2, 3, 64, 64)
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    assert errors(model(x), session.run(None, {"image": x.numpy()})) <= 1e-4


@pytest.mark.parametrize(
    "options, message",
    [
        ({"variant": 8}, "variant is 0 to 7, not 8"),
        ({"variant": "b0"}, "variant is 0 to 7, not 'b0'"),
        ({"return_idx": [2, 5]}, "return_idx 5 names no stage of 0..4"),
        ({"return_idx": [4, 3]}, "does not rise"),
        ({"drop_path_rate": 1.0}, r"drop_path_rate must lie in \[0, 1\), not 1.0"),
        ({"width_mult": 0}, "width_mult 0 and depth_mult 1.0 must be above 0"),
        ({"act": "swich"}, "did you mean 'swish'"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        EfficientNet(**options)
