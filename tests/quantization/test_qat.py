"""What DetectorQAT does to a network, and to the graph that is written of it."""

import re

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import numpy as np
import paddle
import paddle.nn as nn
import pytest
from ppdet.core.workspace import create

from ppdet_ext.compat import program_ops, quantizes
from ppdet_ext.config import load_config
from ppdet_ext.export.graph import RawGraph
from ppdet_ext.nn import reparameterize
from ppdet_ext.quantization.qat import DetectorQAT, is_quantized, quantized_layers
from tests.modeling.upstream import build_upstream
from tests.nn.reference import randomise

CONFIG = "configs/demo/ppyoloe_nano_demo.yml"
SIZE = 64
# Of every network: the first, and the mean of the distribution.
FLOAT = {"backbone.stem.conv1.conv", "yolo_head.proj_conv"}


def detector(trained=True):
    paddle.seed(0)
    model = create(load_config(CONFIG).architecture)
    if trained:
        randomise(model)
    return model


def images(count=2):
    return paddle.to_tensor(np.random.default_rng(0).random([count, 3, SIZE, SIZE], "float32"))


def measure(model, batches=3):
    """Lets a quantised detector see images in training mode, so that it has ranges."""
    model.train()
    with paddle.no_grad():
        for _ in range(batches):
            model.yolo_head.predict_levels(model.neck(model.backbone({"image": images()})))
    model.eval()
    return model


@pytest.fixture(scope="module")
def quantized():
    """A quantised detector, its DetectorQAT and its float twin, all in evaluation mode."""
    qat, model, twin = DetectorQAT(), detector(), detector()
    twin.set_state_dict(model.state_dict())
    assert qat(model) is model and model.training
    twin.eval()
    return qat, measure(model), reparameterize(twin)


def convolutions(model):
    return {name: layer for name, layer in model.named_sublayers() if isinstance(layer, nn.Conv2D)}


def test_every_convolution_of_the_deployed_network_but_the_first_and_the_projection(quantized):
    _, model, twin = quantized
    layers, convs = quantized_layers(model), convolutions(twin)
    assert set(layers) == set(convs) - FLOAT and len(layers) > 80
    assert set(convolutions(model)) == FLOAT
    assert is_quantized(model) and not is_quantized(twin)
    for name, layer in layers.items():
        assert layer._fake_quant_weight._scale.shape == [layer.weight.shape[0]], name  # one a channel
        assert layer._fake_quant_input._scale.shape == [1]
        np.testing.assert_array_equal(layer.weight.numpy(), convs[name].weight.numpy(), err_msg=name)
    # No range of an output, no BatchNorm, no branch; the float keys are those of the deployed network.
    keys = [key for key in model.state_dict() if "._fake_quant_" not in key]
    assert keys == list(twin.state_dict())
    activations = [type(layer) for layer in model.sublayers() if isinstance(layer, nn.ReLU)]
    assert len(activations) == len([layer for layer in twin.sublayers() if isinstance(layer, nn.ReLU)])


def test_a_quantised_convolution_rounds_as_int8_does(quantized):
    """Against NumPy: symmetric, 127 steps a side, halves away from zero, saturating."""
    conv = quantized[1].backbone.stem.conv2.conv
    x = np.random.default_rng(1).normal(size=[1, conv.weight.shape[1], 8, 8]).astype("float32")
    scale = float(conv._fake_quant_input._scale)
    x *= 3 * scale / np.abs(x).max()

    def rounded(values, scales):
        steps = np.clip(values.astype("float64") / scales * 127, -127, 127)
        return np.sign(steps) * np.floor(np.abs(steps) + 0.5) * scales / 127

    weight = conv.weight.numpy()
    inputs = rounded(x, scale)
    kernel = rounded(weight, np.abs(weight).max((1, 2, 3), keepdims=True).astype("float64"))
    expected = nn.functional.conv2d(
        *(paddle.to_tensor(v) for v in (inputs, kernel)),
        bias=conv.bias.astype("float64"),
        padding=conv._padding,
        stride=conv._stride,
    )
    np.testing.assert_allclose(conv(paddle.to_tensor(x)).numpy(), expected.numpy(), rtol=1e-4, atol=1e-4)


def test_evaluation_leaves_the_ranges_alone(quantized):
    _, model, _ = quantized
    before = {key: value.numpy().copy() for key, value in model.state_dict().items()}
    with paddle.no_grad():
        RawGraph(model)(images() * 10)
    for key, value in model.state_dict().items():
        np.testing.assert_array_equal(before[key], value.numpy(), err_msg=key)


@pytest.mark.skipif(not quantizes(), reason="PaddleSlim exports with Paddle 2.6 only")
def test_the_static_graph_answers_as_the_network(quantized, tmp_path):
    """Written of a layer that wraps the network; weights are those after an average: ranges are stale."""
    qat, model, twin = quantized
    for layer in quantized_layers(model).values():
        layer._fake_quant_weight._scale.set_value(layer._fake_quant_weight._scale * 3)
    graph, batch = RawGraph(model), images()
    path = str(tmp_path / "out" / "model")
    qat.save_quantized_model(
        graph, path, [paddle.static.InputSpec([None, 3, SIZE, SIZE], "float32", "image")]
    )
    ops = program_ops(path + ".pdmodel")
    count = len(quantized_layers(model))
    # A pair before each convolution; the weight is stored in INT8 and is only dequantised.
    assert ops.count("quantize_linear") == count and ops.count("dequantize_linear") == 2 * count
    assert not any("fake" in op or "moving" in op for op in ops)
    with paddle.no_grad():
        expected = [value.numpy() for value in graph(batch)]
        unrounded = [value.numpy() for value in RawGraph(twin)(batch)]
    paddle.enable_static()
    try:
        executor = paddle.static.Executor(paddle.CPUPlace())
        program, feeds, fetches = paddle.static.load_inference_model(path, executor)
        found = executor.run(program, feed={feeds[0]: batch.numpy()}, fetch_list=fetches)
    finally:
        paddle.disable_static()
    for ours, theirs, exact in zip(expected, found, unrounded):
        # The last bit of a sum decides some roundings; what quantisation itself does is far more.
        assert np.abs(ours - theirs).mean() < 0.05 * np.abs(ours - exact).mean()


def test_layers_stay_float_by_name():
    model = DetectorQAT(float_layers=["yolo_head.pred_*", "backbone.stem.conv2.conv"])(detector())
    heads = {f"yolo_head.pred_{kind}.{level}" for kind in ("cls", "reg") for level in range(3)}
    assert set(convolutions(model)) - FLOAT == heads | {"backbone.stem.conv2.conv"}


@pytest.mark.parametrize(
    "options, words",
    [
        (
            {"float_layers": ["yolo_head.pred_clss.0"]},
            "float_layers: no convolution is called .* did you mean 'yolo_head.pred_cls.0'",
        ),
        ({"float_layers": ["*"]}, "no layer is left to quantise"),
        ({"float_layers": "yolo_head.*"}, "float_layers is 'yolo_head.*'; give a list"),
        ({"weight_quantize_type": "channelwise_abs_max"}, "did you mean 'channel_wise_abs_max'"),
        ({"moving_rate": 1.0}, "moving_rate is 1.0; give a number between 0 and 1"),
        ({"reparameterize": "no"}, "reparameterize is 'no'; give true or false"),
        ({"distillation": {"level": "output"}}, "write distillation: FeatureDistillation or"),
    ],
)
def test_options_that_nobody_can_use(options, words):
    with pytest.raises(ValueError, match=words.replace("*'; give", "\\*'; give")) as error:
        DetectorQAT(**options)(detector())
    assert "\n" not in str(error.value)


def test_branches_and_batch_norms_can_stay():
    model = DetectorQAT(reparameterize=False)(detector())
    layers = quantized_layers(model)
    assert any(name.endswith("conv2.conv") for name in layers) and len(layers) > 90
    norms = [layer for layer in model.sublayers() if isinstance(layer, nn.BatchNorm2D)]
    assert len(norms) > 70 and all(norm.training for norm in norms)


def test_a_folded_shift_is_exempt_from_weight_decay():
    model = DetectorQAT()(detector())
    assert model.backbone.stem.conv1.conv.bias.regularizer._coeff == 0.0
    assert model.backbone.stem.conv1.conv.weight.regularizer is None
    assert model.yolo_head.pred_cls[0].bias.regularizer is None  # as in the float training
    trainable = [key for key, parameter in model.named_parameters() if parameter.trainable]
    assert not any("_fake_quant_" in key for key in trainable)


@pytest.mark.parametrize("training", [True, False])
def test_a_network_without_weights_is_refused_at_its_first_batch(training):
    model = DetectorQAT()(detector(trained=False))
    model.train() if training else model.eval()
    words = "no float weights have been loaded" if training else "were never trained"
    with pytest.raises(ValueError, match=words):
        model.backbone({"image": images()})


def test_a_checkpoint_that_fits_in_part_is_refused(tmp_path):
    """PaddleDetection's own command has loaded what fits when DetectorQAT gets the network."""
    model = detector()
    state = {key: value for key, value in model.state_dict().items() if key.startswith("backbone.")}
    paddle.save(state, str(tmp_path / "part.pdparams"))
    with pytest.raises(ValueError, match=re.compile("parameters fit.*complete float training", re.DOTALL)):
        DetectorQAT(pretrain_weights=str(tmp_path / "part"))(model)


def test_a_layer_in_two_places_is_one_quantised_layer():
    class Twice(nn.Layer):
        def __init__(self):
            super().__init__()
            self.stem = nn.Conv2D(3, 3, 1)
            self.first = nn.Conv2D(3, 3, 1)
            self.second = nn.Sequential(self.first, nn.ReLU())

        def backbone(self, inputs):
            return self.second(self.first(self.stem(inputs["image"])))

    model = DetectorQAT()(Twice())
    assert model.first is model.second[0] and list(quantized_layers(model)) == ["first"]


def test_transposed_convolutions_stay_float():
    """No engine's 8-bit graph takes them; YOLOv6's necks have some."""

    class Up(nn.Layer):
        def __init__(self):
            super().__init__()
            self.stem, self.next = nn.Conv2D(3, 3, 1), nn.Conv2D(3, 3, 1)
            self.up = nn.Conv2DTranspose(3, 3, 2, stride=2)

        def backbone(self, inputs):
            return self.up(self.next(self.stem(inputs["image"])))

    model = DetectorQAT()(Up())
    assert type(model.up) is nn.Conv2DTranspose and list(quantized_layers(model)) == ["next"]


def test_paddledetections_own_network_works():
    model = randomise(build_upstream((0.33, 0.25), num_classes=4))
    DetectorQAT()(model)
    assert not any("conv2.conv" in name and "basic" in name for name in quantized_layers(model))
    outputs = model.backbone({"image": images()})
    assert all(np.isfinite(value.numpy()).all() for value in outputs)
    outputs[-1].sum().backward()
    conv = model.backbone.stem.conv2.conv
    assert conv.weight.grad is not None and float(conv._fake_quant_input._state) != 1
