"""TensorRT 10 and later, on an NVIDIA GPU."""

import logging

import numpy as np
import tensorrt

from .checks import (
    MODELS,
    NMS,
    RAW,
    cannot_load,
    cannot_run,
    check_batch,
    check_ports,
    find_model,
    refuse_device,
)
from .cuda import Buffer, Stream, device_name
from .tensorrt_engine import load_or_build

# With NMS inside, TensorRT's own plugin does it.
NMS_MODELS = ("model_trt.onnx",)
LEAST_VERSION = 10

logger = logging.getLogger(__name__)


class Backend:
    """`model.onnx` of an exported folder (`model_trt.onnx` with NMS inside) as an engine for this GPU. It is
    built at the first start and kept in the folder.

    Args:
        folder (str | Path): the exported folder.
        threads (int | None): without effect.
        device (str | None): 'gpu', also None: the first one.
        outputs (tuple): what the model gives, see `backends`.

    Raises:
        ValueError: the file is missing, there is no GPU, TensorRT is older than 10 or cannot build an engine
            of the model, or the model has other inputs or outputs.
    """

    def __init__(self, folder, threads=None, device=None, outputs=RAW):
        if device == "cpu":
            raise refuse_device("tensorrt", device, "leave the device out")
        if int(tensorrt.__version__.split(".")[0]) < LEAST_VERSION:
            raise ValueError(
                f"TensorRT {tensorrt.__version__} is not supported; pip install 'tensorrt>={LEAST_VERSION}'"
            )
        models = NMS_MODELS if outputs == NMS else MODELS["tensorrt"]
        self.file = find_model(folder, models, "run 'ppdet-ext export' with the target tensorrt")
        try:
            gpu = device_name()
            log = tensorrt.Logger(tensorrt.Logger.WARNING)
            tensorrt.init_libnvinfer_plugins(log, "")
            engine = load_or_build(self.file, gpu, log, logger.warning)
            self.context = engine.create_execution_context()
            self.stream = Stream()
        except RuntimeError as error:  # CUDA's
            raise refuse_device("tensorrt", "gpu", f"{error}: is there an NVIDIA GPU and driver?") from None
        names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
        inputs = [n for n in names if engine.get_tensor_mode(n) == tensorrt.TensorIOMode.INPUT]
        check_ports(self.file, inputs, [n for n in names if n not in inputs], outputs)
        if not self.context:
            raise cannot_load(self.file, f"TensorRT {tensorrt.__version__}", "no execution context")
        self.input = inputs[0]
        self.shape = list(engine.get_tensor_shape(self.input))
        self.dtypes = {name: tensorrt.nptype(engine.get_tensor_dtype(name)) for name in outputs}
        self.buffers = {name: Buffer() for name in (self.input, *outputs)}

    def run(self, images, out=None):
        """Run one batch.

        Args:
            images (numpy.ndarray): [B, 3, H, W] float32.
            out (tuple | None): arrays that receive the results; copied into from the GPU.

        Returns:
            tuple: the model's `outputs`, see `backends`; `out` where it is given.

        Raises:
            ValueError: the model takes another size or batch, or the GPU fails.
        """
        check_batch(self.file, self.shape, images)
        images = np.ascontiguousarray(images)
        if not self.context.set_input_shape(self.input, images.shape):
            raise cannot_run(self.file, images, "the engine was built for smaller ones")
        try:
            self._bind(self.input, images.shape, images.dtype)
            if out is None:
                shapes = {name: tuple(self.context.get_tensor_shape(name)) for name in self.dtypes}
                out = tuple(np.empty(shapes[name], dtype) for name, dtype in self.dtypes.items())
            for name, place in zip(self.dtypes, out):
                self._bind(name, place.shape, place.dtype)
            self.stream.copy_in(self.buffers[self.input], images)
            if not self.context.execute_async_v3(self.stream.handle):
                raise RuntimeError("execute_async_v3 failed")
            for name, place in zip(self.dtypes, out):
                self.stream.copy_out(place, self.buffers[name])
            self.stream.wait()
        except RuntimeError as error:
            raise cannot_run(self.file, images, str(error)) from None
        return out

    def _bind(self, name, shape, dtype):
        self.context.set_tensor_address(name, self.buffers[name].reserve(shape, dtype))
