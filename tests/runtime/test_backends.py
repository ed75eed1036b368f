"""Every backend that is installed here, on one tiny model whose answers are known."""

import importlib.util
import sys

import numpy as np
import onnx
import pytest

from ppdet_ext.runtime import Detector
from ppdet_ext.runtime.backends import BACKENDS, MODELS, NMS, create_backend

from .tiny_model import BOXES, KEPT, SCORES, change_onnx, write_folder, write_paddle_model

ONNX_READERS = ("onnxruntime", "openvino")
PADDLES = ("paddle_inference", "paddle")


def engines(names):
    """Parameters for the backends of `names`; one whose package is absent is skipped."""
    return [
        pytest.param(
            name,
            marks=pytest.mark.skipif(
                importlib.util.find_spec(BACKENDS[name][0]) is None, reason=f"{BACKENDS[name][0]} is absent"
            ),
        )
        for name in names
    ]


def write(folder, name):
    """The model files that a backend reads."""
    write_folder(folder)
    return write_paddle_model(folder) if name in PADDLES else folder


def fix_shape(graph, *shape):
    for side, size in zip(graph.input[0].type.tensor_type.shape.dim, shape):
        side.dim_value = size


def rename_output(graph):
    graph.output[1].name = "logits"
    next(node for node in graph.node if node.output[0] == "scores").output[0] = "logits"


def add_input(graph):
    graph.input.append(onnx.helper.make_tensor_value_info("scale_factor", onnx.TensorProto.FLOAT, [1]))
    next(node for node in graph.node if "zero" in node.input).input[1] = "scale_factor"


def wrong_kind(graph):
    graph.node[0].op_type = "NoSuchOperator"


def test_every_backend_of_the_table_is_tried():
    # Paddle Lite is tried in tests/export/test_lite.py, TensorRT in test_tensorrt.py.
    assert {*ONNX_READERS, *PADDLES, "paddle_lite", "tensorrt"} == set(BACKENDS) == set(MODELS)


@pytest.mark.parametrize("name", engines([*ONNX_READERS, *PADDLES]))
@pytest.mark.parametrize("threads", [None, 1])
def test_known_answers(tmp_path, name, threads):
    folder = write(tmp_path / "größe 1", name)
    backend = create_backend(name, folder, threads)
    levels = np.array([1.0, 0.0, 0.5], np.float32)
    images = np.zeros((3, 3, 32, 64), np.float32)
    images[:, 1, 5, 7] = levels
    first = backend.run(images)
    # The second batch has another size, is not contiguous, and leaves the first answers as they were.
    second = backend.run(images[::2])
    for (boxes, scores), expected in ((first, levels), (second, levels[::2])):
        assert boxes.dtype == scores.dtype == np.float32
        np.testing.assert_array_equal(boxes, np.repeat(BOXES[None], len(expected), 0))
        np.testing.assert_allclose(scores, SCORES * expected[:, None, None], rtol=1e-6)
    found = Detector(folder, name).predict(np.full((64, 128, 3), 255, np.uint8))[0]
    np.testing.assert_allclose(found.boxes, BOXES[KEPT["indices"]] * 2, rtol=1e-6)
    assert found.labels.tolist() == KEPT["labels"]


@pytest.mark.parametrize("name", engines([*ONNX_READERS, *PADDLES]))
def test_results_in_memory_that_is_given(tmp_path, name):
    backend = create_backend(name, write(tmp_path, name))
    images = np.ones((2, 3, 32, 64), np.float32)
    first = backend.run(images)
    kept = [part.copy() for part in first]
    out = tuple(np.full_like(part, -1) for part in first)
    assert backend.run(images / 2, out) is out
    np.testing.assert_allclose(out[1], kept[1] / 2, rtol=1e-6)
    # Neither way touches the other's memory.
    again = backend.run(images / 4)
    np.testing.assert_allclose(out[1], kept[1] / 2, rtol=1e-6)
    np.testing.assert_allclose(again[1], kept[1] / 4, rtol=1e-6)
    np.testing.assert_array_equal(first[1], kept[1])
    backend.run(images[:1] / 8, tuple(part[1:] for part in out))
    np.testing.assert_allclose(out[1][0], kept[1][0] / 2, rtol=1e-6)
    np.testing.assert_allclose(out[1][1], kept[1][0] / 8, rtol=1e-6)


@pytest.mark.parametrize("name", engines([*ONNX_READERS, *PADDLES, "paddle_lite"]))
def test_a_device_that_is_not_here(tmp_path, name):
    with pytest.raises(ValueError, match=f"backend '{name}' does not run on device 'gpu' here; "):
        create_backend(name, write(tmp_path, name), device="gpu")
    with pytest.raises(ValueError, match="device 'gpus' is not known; did you mean 'gpu'"):
        create_backend(name, tmp_path, device="gpus")


@pytest.mark.parametrize("name", engines([*PADDLES, "paddle_lite"]))
def test_paddles_files_with_nms_inside(tmp_path, name):
    with pytest.raises(ValueError, match=f"exported with --nms.*export it without --nms for .*'{name}'"):
        create_backend(name, tmp_path, outputs=NMS)


@pytest.mark.parametrize("name", engines(ONNX_READERS))
def test_fixed_batch(tmp_path, name):
    folder = write_folder(tmp_path)
    change_onnx(folder, lambda graph: fix_shape(graph, 2))
    backend = create_backend(name, folder)
    assert backend.run(np.ones((2, 3, 32, 64), np.float32))[1].shape == (2, *SCORES.shape)
    with pytest.raises(ValueError, match=r"model.onnx: takes \[2, 3, 32, 64\], but .* \[1, 3, 32, 64\]"):
        backend.run(np.ones((1, 3, 32, 64), np.float32))


@pytest.mark.parametrize("name", engines([*ONNX_READERS, "paddle"]))
def test_another_size(tmp_path, name):
    backend = create_backend(name, write(tmp_path, name))
    with pytest.raises(
        ValueError, match=r"takes \[any, 3, 32, 64\], but .* \[1, 3, 64, 64\]; correct target_"
    ):
        backend.run(np.ones((1, 3, 64, 64), np.float32))


@pytest.mark.parametrize("name", engines(ONNX_READERS))
@pytest.mark.parametrize(
    "change, message",
    [
        (rename_output, r"has inputs \['image'\] and outputs \['boxes', 'logits'\], not one image"),
        (add_input, r"has inputs \['image', 'scale_factor'\] and outputs"),
        (wrong_kind, "cannot load it .*NoSuchOperator"),
    ],
)
def test_another_model(tmp_path, name, change, message):
    folder = write_folder(tmp_path)
    change_onnx(folder, change)
    with pytest.raises(ValueError, match=f"model.onnx: .*{message}") as caught:
        create_backend(name, folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", engines(ONNX_READERS))
def test_broken_onnx_files(tmp_path, name):
    folder = write_folder(tmp_path)
    file = folder / "model.onnx"
    content = file.read_bytes()
    for broken in (content[: len(content) // 2], b"", b"nonsense" * 50):
        file.write_bytes(broken)
        with pytest.raises(ValueError, match="model.onnx: .* cannot load it .*; export the model") as caught:
            create_backend(name, folder)
        assert "\n" not in str(caught.value)
    file.unlink()
    with pytest.raises(ValueError, match="model.onnx.*; run 'ppdet-ext export' with the target onnx"):
        create_backend(name, folder)


@pytest.mark.parametrize("name", engines(["openvino"]))
def test_openvinos_own_format_comes_first(tmp_path, name):
    import openvino

    folder = write_folder(tmp_path)
    openvino.save_model(openvino.Core().read_model(folder / "model.onnx"), folder / "model.xml", False)
    (folder / "model.onnx").write_bytes(b"not read")
    backend = create_backend(name, folder)
    assert backend.file.name == "model.xml"
    boxes, scores = backend.run(np.ones((2, 3, 32, 64), np.float32))
    np.testing.assert_array_equal(boxes, [BOXES, BOXES])
    np.testing.assert_allclose(scores, [SCORES, SCORES], rtol=1e-6)
    weights = (folder / "model.bin").read_bytes()
    (folder / "model.bin").write_bytes(weights[:-8])
    with pytest.raises(ValueError, match="model.xml: OpenVINO .* cannot load it"):
        create_backend(name, folder)
    (folder / "model.bin").unlink()
    with pytest.raises(ValueError, match="model.xml: OpenVINO .* cannot load it"):
        create_backend(name, folder)


@pytest.mark.parametrize("name", engines(["openvino"]))
def test_openvino_computes_in_full_precision(tmp_path, name):
    compiled = create_backend(name, write_folder(tmp_path), 1)._requests(1).free.get_compiled_model()
    assert compiled.get_property("INFERENCE_PRECISION_HINT").to_string() == "f32"
    assert compiled.get_property("INFERENCE_NUM_THREADS") == 1
    assert str(compiled.get_property("PERFORMANCE_HINT")).endswith("LATENCY")


@pytest.mark.parametrize("name", engines(PADDLES))
def test_broken_paddle_files(tmp_path, name):
    folder = write(tmp_path / "tiny", name)
    program = next(file for file in (folder / "model.json", folder / "model.pdmodel") if file.is_file())
    weights = folder / "model.pdiparams"
    contents = {file: file.read_bytes() for file in (program, weights)}
    for file, content, message in (
        (program, b"nonsense", "is empty or no Paddle program"),
        (program, b"", "is empty or no Paddle program"),
        (program, contents[program][: len(contents[program]) // 2], "Paddle.* cannot load it"),
        (weights, contents[weights][:-4], "is empty, truncated or no Paddle weights"),
    ):
        for whole in contents:
            whole.write_bytes(contents[whole])
        file.write_bytes(content)
        with pytest.raises(ValueError, match=f"{file.name}: {message}") as caught:
            create_backend(name, folder)
        assert "\n" not in str(caught.value)
    weights.unlink()
    with pytest.raises(ValueError, match="model.pdiparams: is missing; run 'ppdet-ext export'"):
        create_backend(name, folder)
    program.unlink()
    with pytest.raises(ValueError, match="has neither model.json nor model.pdmodel; run 'ppdet-ext export'"):
        create_backend(name, folder)


@pytest.mark.parametrize("name", engines(PADDLES))
def test_a_paddle_model_with_other_outputs(tmp_path, name):
    import paddle

    class OneOutput(paddle.nn.Layer):
        def __init__(self):
            super().__init__()
            self.weight = self.create_parameter([1])

        def forward(self, image):
            return image * self.weight

    spec = paddle.static.InputSpec([-1, 3, 32, 64], "float32", "image")
    paddle.jit.save(paddle.jit.to_static(OneOutput(), [spec], full_graph=True), str(tmp_path / "model"))
    with pytest.raises(ValueError, match=r"has inputs \['image'\] and outputs \['[^']*'\], not one image"):
        create_backend(name, tmp_path)


@pytest.mark.parametrize("given, near", [("open-vino", "openvino"), ("paddle_infer", "paddle_inference")])
def test_unknown_name(tmp_path, given, near):
    with pytest.raises(ValueError, match=f"backend '{given}' is not known; did you mean '{near}'"):
        create_backend(given, tmp_path)
    with pytest.raises(ValueError, match="'42' is not known; choose from onnxruntime, openvino, paddle_inf"):
        create_backend(42, tmp_path)


@pytest.mark.parametrize("name", BACKENDS)
def test_absent_package(tmp_path, monkeypatch, name):
    package, pip_name = BACKENDS[name]
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, f"ppdet_ext.runtime.backends.{name}", raising=False)
    with pytest.raises(ValueError, match=f"needs the package {package}, .*; pip install {pip_name}$"):
        create_backend(name, tmp_path)


@pytest.mark.parametrize("threads", [0, -1, True, 1.0, "2"])
def test_bad_threads(tmp_path, threads):
    with pytest.raises(ValueError, match="threads is .*; give a whole number from 1 up"):
        create_backend("openvino", tmp_path, threads)
