"""Paddle Inference, on the CPU or on an NVIDIA GPU, for models of Paddle 2 (`model.pdmodel`) and of Paddle 3
(`model.json`).

A quantised model (INT8) runs on the CPU with oneDNN. Only its convolutions are computed in 8 bits: oneDNN has
no kernel for PaddleSlim's other ops, quantised concatenations among them.
"""

import contextlib
import os

import numpy as np
import paddle
from paddle import inference

from ppdet_ext.compat import onednn_runs_inference

from .checks import RAW, cannot_load, cannot_run, check_ports, check_raw, deliver, refuse_device
from .paddle_files import find_paddle_model, summary
from .paddle_int8 import is_quantized, simplify

# MiB of GPU memory that Paddle takes at the start; it grows as needed.
GPU_MEMORY = 256
# What oneDNN computes in 8 bits; by default also ops that it then has no kernels for.
INT8_OPS = {"conv2d", "fused_conv2d", "depthwise_conv2d"}


class Backend:
    """The Paddle model of an exported folder: one input [B, 3, H, W] float32, outputs boxes and scores in
    this order.

    Args:
        folder (str | Path): the exported folder.
        threads (int | None): threads of the CPU math library; None for Paddle's choice, one.
        device (str | None): 'cpu' (also None) or 'gpu', the first one; a quantised model takes the CPU.
        outputs (tuple): RAW.

    Raises:
        ValueError: a file is missing, this Paddle cannot load it, the model has other inputs or outputs, or
            it is quantised and the device is no CPU or this is Paddle 3.
    """

    def __init__(self, folder, threads=None, device=None, outputs=RAW):
        check_raw("paddle_inference", folder, outputs)
        self.file, weights = find_paddle_model(folder)
        program = self.file.read_bytes()
        quantized = self.file.suffix == ".pdmodel" and is_quantized(program)
        if quantized:
            config = self._quantized(program, weights.read_bytes(), device)
        else:
            config = inference.Config(str(self.file), str(weights))
        config.disable_glog_info()
        if device == "gpu":
            if not paddle.is_compiled_with_cuda():
                raise refuse_device("paddle_inference", device, "this PaddlePaddle is built for the CPU")
            config.enable_use_gpu(GPU_MEMORY, 0)
            config.enable_memory_optim()
        elif onednn_runs_inference():
            config.disable_gpu()
            config.enable_mkldnn()
            if quantized:
                config.enable_mkldnn_int8(INT8_OPS)
            config.enable_memory_optim()
        else:
            config.disable_gpu()
            # Paddle 3's memory pass looks for what its oneDNN pass has left, and fails without it.
            config.disable_mkldnn()
        if threads is not None:
            config.set_cpu_math_library_num_threads(threads)
        try:
            with _quiet() if quantized else contextlib.nullcontext():
                self.predictor = inference.create_predictor(config)
        except (RuntimeError, SystemError, ValueError, OSError) as error:
            raise cannot_load(self.file, "Paddle Inference", summary(error)) from None
        inputs, ports = self.predictor.get_input_names(), self.predictor.get_output_names()
        check_ports(self.file, inputs, ports, by_name=False)
        self.input = self.predictor.get_input_handle(inputs[0])
        self.outputs = [self.predictor.get_output_handle(name) for name in ports]

    def _quantized(self, program, weights, device):
        if device == "gpu":
            raise refuse_device("paddle_inference", device, "its quantised models run on the CPU")
        if not onednn_runs_inference():
            raise ValueError(
                f"{self.file}: is quantised, and Paddle Inference runs that through oneDNN with PaddlePaddle "
                "2.6 only; pip install paddlepaddle==2.6.2 or take the backend onnxruntime or openvino"
            )
        try:
            program = simplify(program)
        except (RuntimeError, ValueError) as error:
            raise cannot_load(self.file, "Paddle Inference", summary(error)) from None
        config = inference.Config()
        config.set_model_buffer(program, len(program), weights, len(weights))
        return config

    def run(self, images, out=None):
        """Run one batch.

        Args:
            images (numpy.ndarray): [B, 3, H, W] float32.
            out (tuple | None): arrays that receive the results.

        Returns:
            tuple: the model's `outputs`, see `backends`; `out` where it is given.

        Raises:
            ValueError: the model takes another size.
        """
        self.input.reshape(images.shape)
        self.input.copy_from_cpu(np.ascontiguousarray(images))
        try:
            self.predictor.run()
        except (RuntimeError, ValueError) as error:
            raise cannot_run(self.file, images, summary(error)) from None
        return deliver((output.copy_to_cpu() for output in self.outputs), out)


@contextlib.contextmanager
def _quiet():
    """Nothing on the standard error: the passes of quantisation report there, asked or not. What fails is an
    exception."""
    try:
        kept = os.dup(2)
    except OSError:  # a process without one
        yield
        return
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
