"""ONNX Runtime on the CPU."""

import numpy as np
import onnxruntime

from .checks import cannot_load, cannot_run, check_batch, check_ports, find_model

MODEL = "model.onnx"


class Backend:
    """`model.onnx` of an exported folder: one input [B, 3, H, W] float32, outputs 'boxes' and 'scores'.

    Args:
        folder (str | Path): the exported folder.
        threads (int | None): threads within an operator; None for one a core.

    Raises:
        ValueError: the file is missing, is no ONNX model, uses what this ONNX Runtime lacks, or has other
            inputs or outputs.
    """

    def __init__(self, folder, threads=None):
        self.file = find_model(folder, [MODEL], "run 'ppdet-ext export' with the target onnx")
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors only
        if threads is not None:
            options.intra_op_num_threads = threads
        try:
            self.session = onnxruntime.InferenceSession(
                str(self.file), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # ONNX Runtime's exceptions share no class of their own
            engine = f"ONNX Runtime {onnxruntime.__version__}"
            raise cannot_load(self.file, engine, _first_line(error)) from None
        inputs = self.session.get_inputs()
        outputs = self.session.get_outputs()
        check_ports(self.file, [port.name for port in inputs], [port.name for port in outputs])
        self.input = inputs[0]

    def run(self, images):
        """Run one batch.

        Args:
            images (numpy.ndarray): [B, 3, H, W] float32.

        Returns:
            tuple: boxes [B, L, 4] float32 xyxy, network pixels; scores [B, C, L] float32.

        Raises:
            ValueError: the model takes another size or batch.
        """
        check_batch(self.file, self.input.shape, images)
        try:
            boxes, scores = self.session.run(["boxes", "scores"], {self.input.name: images})
        except Exception as error:  # as above
            raise cannot_run(self.file, images, _first_line(error)) from None
        return boxes.astype(np.float32, copy=False), scores.astype(np.float32, copy=False)


def _first_line(error):
    """The cause without ONNX Runtime's error code before it."""
    return str(error).splitlines()[0].split(" : ")[-1]
