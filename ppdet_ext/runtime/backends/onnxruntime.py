"""ONNX Runtime on the CPU."""

from pathlib import Path

import numpy as np
import onnxruntime

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
        self.file = Path(folder) / MODEL
        if not self.file.is_file():
            raise ValueError(f"{self.file}: is missing; run 'ppdet-ext export' with the target onnx")
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors only
        if threads is not None:
            options.intra_op_num_threads = threads
        try:
            self.session = onnxruntime.InferenceSession(
                str(self.file), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # ONNX Runtime's exceptions share no class of their own
            raise ValueError(
                f"{self.file}: ONNX Runtime {onnxruntime.__version__} cannot load it "
                f"({_first_line(error)}); export the model again"
            ) from None
        inputs = self.session.get_inputs()
        outputs = [output.name for output in self.session.get_outputs()]
        if len(inputs) != 1 or not {"boxes", "scores"} <= set(outputs):
            raise ValueError(
                f"{self.file}: has inputs {[item.name for item in inputs]} and outputs {outputs}, not one "
                f"image and boxes, scores; export it with 'ppdet-ext export'"
            )
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
        wanted = [side if isinstance(side, int) else None for side in self.input.shape]
        if len(wanted) != 4 or any(side not in (None, got) for side, got in zip(wanted, images.shape)):
            raise ValueError(
                f"{self.file}: takes {self.input.shape}, but the batch is {list(images.shape)}; "
                f"correct target_size in infer_cfg.yml or the batch size"
            )
        boxes, scores = self.session.run(["boxes", "scores"], {self.input.name: images})
        return boxes.astype(np.float32, copy=False), scores.astype(np.float32, copy=False)


def _first_line(error):
    """The cause without ONNX Runtime's error code before it."""
    return str(error).splitlines()[0].split(" : ")[-1]
