"""Paddle Inference on the CPU, for models of Paddle 2 (`model.pdmodel`) and Paddle 3 (`model.json`)."""

import numpy as np
from paddle import inference

from ppdet_ext.compat import onednn_runs_inference

from .checks import cannot_load, cannot_run, check_ports
from .paddle_files import find_paddle_model, summary


class Backend:
    """The Paddle model of an exported folder: one input [B, 3, H, W] float32, outputs boxes and scores in
    this order.

    Args:
        folder (str | Path): the exported folder.
        threads (int | None): threads of the CPU math library; None for Paddle's choice, one.

    Raises:
        ValueError: a file is missing, this Paddle cannot load it, or the model has other inputs or outputs.
    """

    def __init__(self, folder, threads=None):
        self.file, weights = find_paddle_model(folder)
        config = inference.Config(str(self.file), str(weights))
        config.disable_gpu()
        config.disable_glog_info()
        if onednn_runs_inference():
            config.enable_memory_optim()
        else:
            # Paddle 3's memory pass looks for what its oneDNN pass has left, and fails without it.
            config.disable_mkldnn()
        if threads is not None:
            config.set_cpu_math_library_num_threads(threads)
        try:
            self.predictor = inference.create_predictor(config)
        except (RuntimeError, ValueError, OSError) as error:
            raise cannot_load(self.file, "Paddle Inference", summary(error)) from None
        inputs, outputs = self.predictor.get_input_names(), self.predictor.get_output_names()
        check_ports(self.file, inputs, outputs, by_name=False)
        self.input = self.predictor.get_input_handle(inputs[0])
        self.outputs = [self.predictor.get_output_handle(name) for name in outputs]

    def run(self, images):
        """Run one batch.

        Args:
            images (numpy.ndarray): [B, 3, H, W] float32.

        Returns:
            tuple: boxes [B, L, 4] float32 xyxy, network pixels; scores [B, C, L] float32.

        Raises:
            ValueError: the model takes another size.
        """
        self.input.reshape(images.shape)
        self.input.copy_from_cpu(np.ascontiguousarray(images))
        try:
            self.predictor.run()
        except (RuntimeError, ValueError) as error:
            raise cannot_run(self.file, images, summary(error)) from None
        boxes, scores = (output.copy_to_cpu() for output in self.outputs)
        return boxes, scores
