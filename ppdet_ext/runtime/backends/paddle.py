"""Plain Paddle: the exported static graph, run as `paddle.jit.load` gives it, without an inference engine.

It is slower than Paddle Inference and optimises nothing: the yardstick that tells a fault of the export from
one of an engine.
"""

import numpy as np
import paddle
from paddle.base import core

from .checks import cannot_load, cannot_run, check_batch, check_ports
from .paddle_files import find_paddle_model, summary


class Backend:
    """The Paddle model of an exported folder: one input [B, 3, H, W] float32, outputs boxes and scores in
    this order. It runs on the device that Paddle is set to, and needs its dynamic mode, the default.

    Args:
        folder (str | Path): the exported folder.
        threads (int | None): threads of the CPU math library, for the whole process, as Paddle has it; None
            leaves them as they are.

    Raises:
        ValueError: a file is missing, this Paddle cannot load it, or the model has other inputs or outputs.
    """

    def __init__(self, folder, threads=None):
        self.file, _ = find_paddle_model(folder)
        if threads is not None:
            core.set_num_threads(threads)
        try:
            self.layer = paddle.jit.load(str(self.file.with_suffix("")))
        except (RuntimeError, ValueError, OSError) as error:
            raise cannot_load(self.file, f"Paddle {paddle.__version__}", summary(error)) from None
        self.layer.eval()
        inputs, outputs = self.layer._input_spec(), self.layer._output_spec()
        check_ports(self.file, [port.name for port in inputs], [port.name for port in outputs], by_name=False)
        self.shape = list(inputs[0].shape)

    def run(self, images):
        """Run one batch.

        Args:
            images (numpy.ndarray): [B, 3, H, W] float32.

        Returns:
            tuple: boxes [B, L, 4] float32 xyxy, network pixels; scores [B, C, L] float32.

        Raises:
            ValueError: the model takes another size or batch.
        """
        check_batch(self.file, self.shape, images)
        try:
            with paddle.no_grad():
                boxes, scores = self.layer(paddle.to_tensor(np.ascontiguousarray(images)))
        except (RuntimeError, ValueError) as error:
            raise cannot_run(self.file, images, summary(error)) from None
        return boxes.numpy(), scores.numpy()
