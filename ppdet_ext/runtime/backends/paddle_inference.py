"""Paddle Inference, on the CPU or on an NVIDIA GPU, for models of Paddle 2 (`model.pdmodel`) and of Paddle 3
(`model.json`)."""

import numpy as np
import paddle
from paddle import inference

from ppdet_ext.compat import onednn_runs_inference

from .checks import RAW, cannot_load, cannot_run, check_ports, check_raw, deliver, refuse_device
from .paddle_files import find_paddle_model, summary

# MiB of GPU memory that Paddle takes at the start; it grows as needed.
GPU_MEMORY = 256


class Backend:
    """The Paddle model of an exported folder: one input [B, 3, H, W] float32, outputs boxes and scores in
    this order.

    Args:
        folder (str | Path): the exported folder.
        threads (int | None): threads of the CPU math library; None for Paddle's choice, one.
        device (str | None): 'cpu' (also None) or 'gpu', the first one.
        outputs (tuple): RAW.

    Raises:
        ValueError: a file is missing, this Paddle cannot load it, or the model has other inputs or outputs.
    """

    def __init__(self, folder, threads=None, device=None, outputs=RAW):
        check_raw("paddle_inference", folder, outputs)
        self.file, weights = find_paddle_model(folder)
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
            config.enable_memory_optim()
        else:
            config.disable_gpu()
            # Paddle 3's memory pass looks for what its oneDNN pass has left, and fails without it.
            config.disable_mkldnn()
        if threads is not None:
            config.set_cpu_math_library_num_threads(threads)
        try:
            self.predictor = inference.create_predictor(config)
        except (RuntimeError, ValueError, OSError) as error:
            raise cannot_load(self.file, "Paddle Inference", summary(error)) from None
        inputs, ports = self.predictor.get_input_names(), self.predictor.get_output_names()
        check_ports(self.file, inputs, ports, by_name=False)
        self.input = self.predictor.get_input_handle(inputs[0])
        self.outputs = [self.predictor.get_output_handle(name) for name in ports]

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
