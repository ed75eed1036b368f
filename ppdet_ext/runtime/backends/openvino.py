"""OpenVINO on the CPU."""

import numpy as np
import openvino

from .checks import cannot_load, cannot_run, check_batch, check_ports, find_model

# OpenVINO's own format first: where a folder has both, it is the one made for this engine.
MODELS = ("model.xml", "model.onnx")
SETTINGS = {
    "PERFORMANCE_HINT": "LATENCY",
    # Off: a stale compiled model would answer for a file exported again under the same name.
    "CACHE_DIR": "",
    # By default a CPU with AMX or AVX512-BF16 computes FP32 models in BF16, outside the gates of parity.
    "INFERENCE_PRECISION_HINT": "f32",
}


class Backend:
    """`model.xml` of an exported folder, else its `model.onnx`: one input [B, 3, H, W] float32, outputs
    'boxes' and 'scores'. Batch and size may be fixed or free.

    Args:
        folder (str | Path): the exported folder.
        threads (int | None): CPU threads; None for OpenVINO's choice, one a physical core.

    Raises:
        ValueError: there is no such file, OpenVINO cannot read or compile it, or the model has other inputs
            or outputs.
    """

    def __init__(self, folder, threads=None):
        self.file = find_model(folder, MODELS, "run 'ppdet-ext export' with the target onnx")
        settings = dict(SETTINGS)
        if threads is not None:
            settings["INFERENCE_NUM_THREADS"] = threads
        core = openvino.Core()
        try:
            model = core.read_model(self.file)
            inputs = ["/".join(sorted(port.names)) for port in model.inputs]
            outputs = [name for port in model.outputs for name in sorted(port.names)]
            check_ports(self.file, inputs, outputs)
            compiled = core.compile_model(model, "CPU", settings)
        except RuntimeError as error:
            engine = f"OpenVINO {openvino.__version__.split('-')[0]}"
            raise cannot_load(self.file, engine, _cause(error)) from None
        self.shape = [side.get_length() if side.is_static else None for side in model.input().partial_shape]
        self.outputs = [compiled.output(name) for name in ("boxes", "scores")]
        self.request = compiled.create_infer_request()

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
            results = self.request.infer([np.ascontiguousarray(images)], share_inputs=True)
        except RuntimeError as error:
            raise cannot_run(self.file, images, _cause(error)) from None
        boxes, scores = (results[output].astype(np.float32, copy=False) for output in self.outputs)
        return boxes, scores


def _cause(error):
    """The last line of OpenVINO's report that is no place in its source."""
    lines = [line.strip() for line in str(error).splitlines()]
    told = [line for line in lines if line and not line.startswith("Exception from ")]
    return told[-1] if told else type(error).__name__
