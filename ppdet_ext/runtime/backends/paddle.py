"""Plain Paddle: the exported static graph, run as `paddle.jit.load` gives it, without an inference engine.

It is slower than Paddle Inference and optimises nothing: the yardstick that tells a fault of the export from
one of an engine.
"""

import numpy as np
import paddle
from paddle.base import core

from .checks import RAW, cannot_load, cannot_run, check_batch, check_ports, check_raw, deliver, refuse_device
from .paddle_files import find_paddle_model, summary


class Backend:
    """The Paddle model of an exported folder: one input [B, 3, H, W] float32, outputs boxes and scores in
    this order. It needs Paddle's dynamic mode, the default.

    Args:
        folder (str | Path): the exported folder.
        threads (int | None): threads of the CPU math library, for the whole process, as Paddle has it; None
            leaves them as they are.
        device (str | None): 'cpu' or 'gpu', set for the whole process; None for the one Paddle is set to.
        outputs (tuple): RAW.

    Raises:
        ValueError: a file is missing, this Paddle cannot load it, or the model has other inputs or outputs.
    """

    def __init__(self, folder, threads=None, device=None, outputs=RAW):
        check_raw("paddle", folder, outputs)
        self.file, _ = find_paddle_model(folder)
        if device == "gpu" and not paddle.is_compiled_with_cuda():
            raise refuse_device("paddle", device, "this PaddlePaddle is built for the CPU")
        if device is not None:
            paddle.set_device(device)
        if threads is not None:
            core.set_num_threads(threads)
        try:
            self.layer = paddle.jit.load(str(self.file.with_suffix("")))
        except (RuntimeError, ValueError, OSError) as error:
            raise cannot_load(self.file, f"Paddle {paddle.__version__}", summary(error)) from None
        self.layer.eval()
        inputs, ports = self.layer._input_spec(), self.layer._output_spec()
        check_ports(self.file, [port.name for port in inputs], [port.name for port in ports], by_name=False)
        self.shape = list(inputs[0].shape)

    def run(self, images, out=None):
        """Run one batch.

        Args:
            images (numpy.ndarray): [B, 3, H, W] float32.
            out (tuple | None): arrays that receive the results.

        Returns:
            tuple: the model's `outputs`, see `backends`; `out` where it is given.

        Raises:
            ValueError: the model takes another size or batch.
        """
        check_batch(self.file, self.shape, images)
        try:
            with paddle.no_grad():
                results = self.layer(paddle.to_tensor(np.ascontiguousarray(images)))
        except (RuntimeError, ValueError) as error:
            raise cannot_run(self.file, images, summary(error)) from None
        return deliver((result.numpy() for result in results), out)
