"""Paddle Inference on the CPU, for models of Paddle 2 (`model.pdmodel`) and Paddle 3 (`model.json`)."""

from pathlib import Path

import numpy as np
from paddle import inference

from ppdet_ext.compat import onednn_runs_inference

from .pdiparams import check_weights

# Newest format first, for a folder that holds both; and the byte such a file begins with. Paddle takes the
# whole # process down on some files that are no program.
PROGRAMS = {"model.json": b"{", "model.pdmodel": b"\n"}
WEIGHTS = "model.pdiparams"


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
        folder = Path(folder)
        self.file = next((folder / name for name in PROGRAMS if (folder / name).is_file()), None)
        if self.file is None:
            raise ValueError(f"{folder}: has neither {' nor '.join(PROGRAMS)}; run 'ppdet-ext export'")
        weights = folder / WEIGHTS
        if not weights.is_file():
            raise ValueError(f"{weights}: is missing; run 'ppdet-ext export'")
        check_weights(weights)
        with open(self.file, "rb") as file:
            if file.read(1) != PROGRAMS[self.file.name]:
                raise ValueError(f"{self.file}: is empty or no Paddle program; copy or export it again")
        config = inference.Config(str(self.file), str(weights))
        config.disable_gpu()
        config.disable_glog_info()
        config.enable_memory_optim()
        if not onednn_runs_inference():
            config.disable_mkldnn()
        if threads is not None:
            config.set_cpu_math_library_num_threads(threads)
        try:
            self.predictor = inference.create_predictor(config)
        except (RuntimeError, ValueError, OSError) as error:
            raise ValueError(
                f"{self.file}: Paddle Inference cannot load it ({_summary(error)}); export the model again"
            ) from None
        inputs, outputs = self.predictor.get_input_names(), self.predictor.get_output_names()
        if len(inputs) != 1 or len(outputs) != 2:
            raise ValueError(
                f"{self.file}: has inputs {inputs} and {len(outputs)} outputs, not one image and boxes, "
                f"scores; export it with 'ppdet-ext export'"
            )
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
            raise ValueError(
                f"{self.file}: cannot run a batch of {list(images.shape)} ({_summary(error)}); "
                f"correct target_size in infer_cfg.yml"
            ) from None
        boxes, scores = (output.copy_to_cpu() for output in self.outputs)
        return boxes, scores


def _summary(error):
    """The line of Paddle's long report that says what is wrong."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next((line for line in lines if "Error:" in line), lines[-1] if lines else type(error).__name__)
