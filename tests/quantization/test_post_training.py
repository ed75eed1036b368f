"""Ranges that PaddleSlim measures, and the quantised program it writes, against Paddle and NumPy."""

import os
from pathlib import Path

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import numpy as np
import onnx
import paddle
import pytest
from onnx import numpy_helper

from ppdet_ext.compat import quantizes
from ppdet_ext.export.graph import float_weights
from ppdet_ext.export.onnx_model import DEFAULT_OPSET, save_onnx
from ppdet_ext.export.onnx_ranges import read_quantized
from ppdet_ext.quantization.layers import convolution_weights
from ppdet_ext.quantization.post_training import METHODS, calibrate, save_quantized
from ppdet_ext.quantization.program import quantized_tensors
from tests.quantization.tiny_int8 import relative, run_onnx
from tests.runtime.quantized_model import run_plainly, static_mode, write_quantized


@pytest.fixture(scope="module")
def float_onnx(relu, tmp_path_factory):
    return save_onnx(relu.float_file, str(tmp_path_factory.mktemp("onnx")), DEFAULT_OPSET)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """`model.pdmodel` of a net of seven convolutions with a gate, its images, and every map for them."""
    if not quantizes():
        pytest.skip("PaddleSlim quantises with Paddle 2.6 only")
    folder = tmp_path_factory.mktemp("small")
    images = write_quantized(folder)[0]
    with static_mode():
        executor = paddle.static.Executor(paddle.CPUPlace())
        program, feeds, _ = paddle.static.load_inference_model(str(folder / "float" / "model"), executor)
        names = sorted(quantized_tensors(program) - {"image"})
        maps = executor.run(program, {feeds[0]: images}, [program.global_block().var(n) for n in names])
    return str(folder / "float" / "model.pdmodel"), images, {"image": images, **dict(zip(names, maps))}


@pytest.fixture(scope="module")
def maps(small):
    return small[2]


@pytest.fixture(scope="module")
def thresholds(small):
    """Those of activations, by each method."""
    found = {method: calibrate(small[0], list(small[1]), method) for method in METHODS}
    return {
        method: {name: value for name, value in scales.items() if np.ndim(value) == 0}
        for method, scales in found.items()
    }


def test_absmax_is_the_largest_value_of_all_images(thresholds, maps):
    assert set(thresholds["absmax"]) == set(maps) and len(maps) > 7
    for name, value in thresholds["absmax"].items():
        assert value == pytest.approx(np.abs(maps[name]).max(), rel=1e-5), name


def test_weights_have_a_range_a_channel(relu):
    by_name = {layer.weight.name: layer.weight.numpy() for layer in relu.raw.sublayers() if is_conv(layer)}
    found = {name: value for name, value in relu.scales.items() if np.ndim(value)}
    assert set(found) == set(by_name)
    for name, value in found.items():
        np.testing.assert_allclose(value, np.abs(by_name[name]).max((1, 2, 3)), rtol=1e-6, err_msg=name)


def is_conv(layer):
    return isinstance(layer, paddle.nn.Conv2D)


@pytest.mark.parametrize("method", METHODS)
def test_each_method_gives_a_sane_range(thresholds, maps, method):
    assert set(thresholds[method]) == set(maps)
    for name, value in thresholds[method].items():
        values = np.abs(maps[name])
        # Not above the largest value (by more than a bin of the histogram), nor so low that most are cut. The
        # method kl cuts where it likes, down to a half, but for a gate.
        assert 0 < value <= values.max() * (1 + 1e-3), name
        if method == "kl" and "sigmoid" not in name:
            assert value > 0.49 * values.max(), name
        else:
            assert value >= np.quantile(values, 0.75) * 0.99, (name, value, values.max())


def test_the_histogram_cuts_off_what_it_says(thresholds, maps):
    """The share of values beyond, in NumPy. Of a gate, whose values are within 0 to 1, nothing is cut off."""
    gates = [name for name in maps if "sigmoid" in name]
    offset = [name for name in maps if np.abs(maps[name]).min() > 0.2 * np.abs(maps[name]).max()]
    assert gates and offset, "no map whose values begin above 0: nothing is shown"
    for name, value in thresholds["hist"].items():
        values = np.abs(maps[name])
        width = values.max() / 2048
        if name in gates:
            assert value == values.max(), name
        else:
            assert np.mean(values > value + width) <= 1e-4 <= np.mean(values >= value - 1.5 * width), name


def test_mse_makes_the_error_small(thresholds, maps):
    """The squared error of symmetric rounding, in NumPy, over the thresholds that PaddleSlim tries."""

    def error(values, threshold):
        levels = np.clip(np.round(values / threshold * 127), -128, 127)
        return np.mean((levels * threshold / 127 - values) ** 2)

    lower = 0
    for name, value in thresholds["mse"].items():
        values, largest = maps[name], thresholds["absmax"][name]
        tried = [error(values, largest * (0.3 + 0.02 * step)) for step in range(35)]
        assert error(values, value) <= min(tried) * 1.01, name
        lower += value < 0.95 * largest
    assert lower > 2, "nothing is cut off: as good as absmax"


def test_the_mode_comes_back_and_nothing_is_left(small, tmp_path, monkeypatch):
    file, images = small[0], list(small[1])
    monkeypatch.chdir(tmp_path)
    assert paddle.in_dynamic_mode()
    scales = calibrate(file, images, "absmax")
    assert paddle.in_dynamic_mode()
    (tmp_path / "out").mkdir()
    save_quantized(file, "out", scales, images)
    assert paddle.in_dynamic_mode()
    read_quantized("out/model.pdmodel")
    assert os.listdir() == ["out"] and sorted(os.listdir("out")) == ["model.pdiparams", "model.pdmodel"]
    with pytest.raises(KeyError):
        calibrate(file, images, "median")
    with pytest.raises(Exception, match="nowhere"):
        calibrate("nowhere/model.pdmodel", images, "hist")
    assert paddle.in_dynamic_mode(), "also after a failure"


def test_the_quantised_program_is_near_the_float_one(relu):
    folder = Path(relu.quantized_file).parent
    with static_mode():
        boxes, scores = run_plainly(folder, relu.pixels)
    assert 1e-4 < relative(boxes, relu.outputs[0]) < 0.03
    assert 1e-4 < relative(scores, relu.outputs[1]) < 0.2


def test_float_layers_keep_their_weights(relu, float_onnx, tmp_path):
    weights = convolution_weights(relu.raw)
    kept = [weights["backbone.stem.conv1.conv"], weights["yolo_head.pred_cls.1"]]
    file = save_quantized(relu.float_file, str(tmp_path), relu.scales, list(relu.pixels), kept)
    written = read_quantized(file)
    exact = {t.name: numpy_helper.to_array(t) for t in onnx.load(float_onnx).graph.initializer}
    found = {t.name: numpy_helper.to_array(t) for t in written.model.graph.initializer}
    assert written.weights == set(weights.values()) - set(kept) - {weights["yolo_head.proj_conv"]}
    for name in weights.values():
        if name in written.weights:
            # Levels of PaddleSlim: 127 of them a side, one scale a channel.
            scale = np.abs(exact[name]).max((1, 2, 3), keepdims=True) / 127
            levels = found[name] / scale
            np.testing.assert_allclose(levels, np.round(levels), atol=1e-3)
            assert np.abs(levels - exact[name] / scale).max() <= 0.501
        else:
            np.testing.assert_array_equal(found[name], exact[name])
    written = read_quantized(file, weights=float_weights(relu.raw))
    expected = run_onnx(onnx.load(float_onnx), relu.pixels)
    for ours, theirs, trained in zip(run_onnx(written.model, relu.pixels), expected, relu.outputs):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(ours, trained, rtol=1e-3, atol=1e-3)


def test_something_has_to_be_quantised(relu, tmp_path):
    every = convolution_weights(relu.raw).values()  # with the projection, which always is float
    with pytest.raises(ValueError, match="--float-layers: no convolution is left to quantise"):
        save_quantized(relu.float_file, str(tmp_path), relu.scales, list(relu.pixels), every)
