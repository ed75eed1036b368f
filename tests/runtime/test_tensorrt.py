"""The TensorRT backend against a stand-in for the two libraries it calls: there is no GPU where tests run.

It shows that engines are kept, refused when stale and built anew, and that memory is bound and copied as the
API of TensorRT 10 asks; not that TensorRT takes our models, which only a GPU can show.
"""

import ctypes
import json
import logging
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from ppdet_ext.runtime.backends import create_backend

BOXES, SCORES = np.arange(12, dtype=np.float32).reshape(1, 3, 4), np.ones((1, 2, 3), np.float32)


class Driver:
    """CUDA's runtime over plain memory: an address is that of a buffer kept here."""

    def __init__(self):
        self.buffers, self.gpu, self.waited = {}, b"Test GPU\0\0", 0

    def module(self):
        ok = SimpleNamespace(name="cudaSuccess")
        absent = SimpleNamespace(name="cudaErrorNoDevice")

        def allocate(size):
            buffer = ctypes.create_string_buffer(size)
            self.buffers[ctypes.addressof(buffer)] = buffer
            return ok, ctypes.addressof(buffer)

        def copy(target, source, size, kind, stream):
            ctypes.memmove(target, source, size)
            return (ok,)

        def wait(stream):
            self.waited += 1
            return (ok,)

        def properties(number):
            return (ok, SimpleNamespace(name=self.gpu, major=8, minor=6)) if self.gpu else (absent, None)

        module = ModuleType("cuda.bindings.runtime")
        module.cudaError_t = SimpleNamespace(cudaSuccess=ok)
        module.cudaMemcpyKind = SimpleNamespace(cudaMemcpyHostToDevice=1, cudaMemcpyDeviceToHost=2)
        module.cudaMalloc, module.cudaMemcpyAsync = allocate, copy
        module.cudaFree = lambda address: (self.buffers.pop(address) and ok,)
        module.cudaStreamCreate, module.cudaStreamSynchronize = lambda: (ok, 7), wait
        module.cudaGetDeviceProperties = properties
        return module


class Context:
    """Answers BOXES, and SCORES times the mean of each image."""

    def __init__(self):
        self.addresses, self.shape = {}, None

    def set_input_shape(self, name, shape):
        self.shape = tuple(shape)
        return shape[0] <= 32

    def get_tensor_shape(self, name):
        return (self.shape[0], *(BOXES if name == "boxes" else SCORES).shape[1:])

    def set_tensor_address(self, name, address):
        self.addresses[name] = address

    def execute_async_v3(self, stream):
        assert stream == 7
        images = self._view("image", self.shape)
        self._view("boxes", self.get_tensor_shape("boxes"))[:] = BOXES
        self._view("scores", self.get_tensor_shape("scores"))[:] = (
            SCORES * images.mean((1, 2, 3))[:, None, None]
        )
        return True

    def _view(self, name, shape):
        size = int(np.prod(shape))
        memory = (ctypes.c_float * size).from_address(self.addresses[name])
        return np.frombuffer(memory, np.float32).reshape(shape)


class Engine:
    num_io_tensors = 3

    def get_tensor_name(self, number):
        return ("image", "boxes", "scores")[number]

    def get_tensor_mode(self, name):
        return "in" if name == "image" else "out"

    def get_tensor_shape(self, name):
        return (-1, 3, 4, 4)

    def get_tensor_dtype(self, name):
        return "float"

    def create_execution_context(self):
        return Context()


class Library:
    """TensorRT: builds an engine of any ONNX file but one that begins with 'bad'."""

    def __init__(self, version="10.3.0"):
        self.built, self.flags, self.shapes, self.version = 0, None, None, version

    def module(self):
        library = self

        class Parser:
            num_errors = 1

            def __init__(self, network, logger):
                pass

            def parse(self, data):
                return not data.startswith(b"bad")

            def get_error(self, number):
                return SimpleNamespace(desc=lambda: "no importer for Frobnicate")

        class Builder:
            def __init__(self, logger):
                pass

            def create_network(self, flags):
                library.flags = flags
                image = SimpleNamespace(name="image", shape=(-1, 3, 4, -1))
                return SimpleNamespace(get_input=lambda number: image)

            def create_builder_config(self):
                return SimpleNamespace(
                    set_memory_pool_limit=lambda pool, size: None, add_optimization_profile=lambda profile: 0
                )

            def create_optimization_profile(self):
                return SimpleNamespace(set_shape=lambda *shapes: setattr(library, "shapes", shapes))

            def build_serialized_network(self, network, config):
                library.built += 1
                return b"engine"

        class Logger:
            ERROR, WARNING = 1, 2

            def __init__(self, level):
                pass

        module = ModuleType("tensorrt")
        module.__version__ = self.version
        module.Logger, module.Builder, module.OnnxParser = Logger, Builder, Parser
        module.init_libnvinfer_plugins = lambda logger, namespace: True
        module.NetworkDefinitionCreationFlag = SimpleNamespace(STRONGLY_TYPED=1)
        module.MemoryPoolType = SimpleNamespace(WORKSPACE=0)
        module.TensorIOMode = SimpleNamespace(INPUT="in")
        module.nptype = lambda kind: np.float32
        module.Runtime = lambda logger: SimpleNamespace(
            deserialize_cuda_engine=lambda data: Engine() if bytes(data) == b"engine" else None
        )
        return module


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """The stand-ins in place of the libraries, and a folder with a model."""
    driver, library = Driver(), Library()

    def install():
        for name in ("tensorrt", "tensorrt_engine", "cuda"):
            monkeypatch.delitem(sys.modules, f"ppdet_ext.runtime.backends.{name}", raising=False)
        bindings, runtime = ModuleType("cuda.bindings"), driver.module()
        bindings.runtime = runtime
        monkeypatch.setitem(sys.modules, "cuda", ModuleType("cuda"))
        monkeypatch.setitem(sys.modules, "cuda.bindings", bindings)
        monkeypatch.setitem(sys.modules, "cuda.bindings.runtime", runtime)
        monkeypatch.setitem(sys.modules, "tensorrt", library.module())

    (tmp_path / "model.onnx").write_bytes(b"model")
    install()
    yield SimpleNamespace(driver=driver, library=library, folder=tmp_path, install=install)
    for name in ("tensorrt", "tensorrt_engine", "cuda"):
        sys.modules.pop(f"ppdet_ext.runtime.backends.{name}", None)


def test_answers_come_back_through_the_gpus_memory(machine):
    backend = create_backend("tensorrt", machine.folder)
    images = np.stack([np.full((3, 4, 4), level, np.float32) for level in (1, 2)])
    boxes, scores = backend.run(images)
    np.testing.assert_array_equal(boxes, np.repeat(BOXES, 2, 0))
    np.testing.assert_array_equal(scores, SCORES * np.array([1, 2])[:, None, None])
    held = dict(machine.driver.buffers)
    out = (np.zeros_like(boxes[:1]), np.zeros_like(scores[:1]))
    assert backend.run(images[1:], out) is out
    np.testing.assert_array_equal(out[1], SCORES * 2)
    assert machine.driver.buffers == held, "a smaller batch needs no new memory"
    assert machine.driver.waited == 2
    with pytest.raises(ValueError, match="built for smaller ones"):
        backend.run(np.zeros((33, 3, 4, 4), np.float32))
    with pytest.raises(ValueError, match=r"takes \[any, 3, 4, 4\]"):
        backend.run(np.zeros((1, 3, 8, 8), np.float32))


def test_the_network_is_strongly_typed_and_free_sides_have_limits(machine):
    create_backend("tensorrt", machine.folder)
    assert machine.library.flags == 1 << 1
    assert machine.library.shapes == ("image", (1, 3, 4, 320), (8, 3, 4, 640), (32, 3, 4, 1280))


def test_an_engine_is_built_once(machine):
    create_backend("tensorrt", machine.folder)
    create_backend("tensorrt", machine.folder)
    assert machine.library.built == 1
    key = json.loads((machine.folder / "model.engine.json").read_text())
    assert key["gpu"] == "Test GPU 8.6" and key["tensorrt"] == "10.3.0" and len(key["onnx"]) == 64


@pytest.mark.parametrize("change", ["gpu", "tensorrt", "onnx", "damaged", "unreadable"])
def test_a_stale_engine_is_refused_and_built_anew(machine, change, caplog):
    create_backend("tensorrt", machine.folder)
    engine, key = machine.folder / "model.engine", machine.folder / "model.engine.json"
    if change == "gpu":
        machine.driver.gpu = b"Other GPU\0"
    elif change == "tensorrt":
        machine.library.version = "10.9.0"
    elif change == "onnx":
        (machine.folder / "model.onnx").write_bytes(b"another model")
    elif change == "damaged":
        key.write_text("{")
    else:
        engine.write_bytes(b"cut")
    machine.install()
    with caplog.at_level(logging.WARNING):
        create_backend("tensorrt", machine.folder)
    assert machine.library.built == 2 and engine.read_bytes() == b"engine"
    assert "building an engine" in caplog.text
    create_backend("tensorrt", machine.folder)
    assert machine.library.built == 2


def test_without_a_gpu_the_file_is_read_as_far_as_the_library_goes(machine, monkeypatch):
    from ppdet_ext.export import proof

    monkeypatch.setattr("ppdet_ext.versions.is_importable", lambda name: True)
    monkeypatch.setattr("ppdet_ext.environment.gpus", lambda: [])
    file = machine.folder / "model.onnx"
    assert "TensorRT 10.3.0 has read the file" in proof._unmeasured("tensorrt", str(file), None)

    def no_driver(logger):
        raise TypeError("pybind11::init(): factory function returned nullptr")

    monkeypatch.setattr(sys.modules["tensorrt"], "Builder", no_driver)
    assert "does not start without one" in proof._unmeasured("tensorrt", str(file), None)


def test_an_export_that_tensorrt_cannot_read_is_an_error(machine, monkeypatch):
    from ppdet_ext.export import proof

    monkeypatch.setattr("ppdet_ext.versions.is_importable", lambda name: True)
    monkeypatch.setattr("ppdet_ext.environment.gpus", lambda: [])
    (machine.folder / "model.onnx").write_bytes(b"bad model")
    with pytest.raises(ValueError, match="cannot read it .*Frobnicate"):
        proof._unmeasured("tensorrt", str(machine.folder / "model.onnx"), None)


def test_what_cannot_run_is_said_in_a_line(machine):
    with pytest.raises(ValueError, match="does not run on device 'cpu'"):
        create_backend("tensorrt", machine.folder, device="cpu")
    (machine.folder / "model.onnx").write_bytes(b"bad model")
    with pytest.raises(ValueError, match="model.onnx: TensorRT 10.3.0 cannot read it .*Frobnicate"):
        create_backend("tensorrt", machine.folder)
    machine.driver.gpu = None
    with pytest.raises(ValueError, match="does not run on device 'gpu' here; .*cudaErrorNoDevice"):
        create_backend("tensorrt", machine.folder)
    machine.library.version = "8.6.1"
    machine.install()
    with pytest.raises(ValueError, match="TensorRT 8.6.1 is not supported"):
        create_backend("tensorrt", machine.folder)
