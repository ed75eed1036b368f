"""OpenVINO, on the CPU or on an Intel GPU."""

import numpy as np
import openvino

from .checks import MODELS, RAW, cannot_load, cannot_run, check_batch, check_ports, find_model, refuse_device

SETTINGS = {
    "PERFORMANCE_HINT": "LATENCY",
    # Off: a stale compiled model would answer for a file exported again under the same name.
    "CACHE_DIR": "",
    # By default a CPU with AMX or AVX512-BF16 computes FP32 models in BF16, outside the gates of parity.
    "INFERENCE_PRECISION_HINT": "f32",
}


class Backend:
    """`model.xml` of an exported folder, else its `model.onnx`: one input [B, 3, H, W] float32. Batch and
    size may be fixed or free.

    Args:
        folder (str | Path): the exported folder.
        threads (int | None): CPU threads; None for OpenVINO's choice, one a physical core.
        device (str | None): 'cpu' (also None) or 'gpu', an Intel one.
        outputs (tuple): what the model gives, see `backends`.

    Raises:
        ValueError: there is no such file, OpenVINO cannot read or compile it, or the model has other inputs
            or outputs; there is no such GPU.
    """

    def __init__(self, folder, threads=None, device=None, outputs=RAW):
        self.file = find_model(folder, MODELS["openvino"], "run 'ppdet-ext export' with the target onnx")
        settings = dict(SETTINGS)
        if threads is not None:
            settings["INFERENCE_NUM_THREADS"] = threads
        core = openvino.Core()
        plugin = (device or "cpu").upper()
        if not any(name.split(".")[0] == plugin for name in core.available_devices):
            raise refuse_device(
                "openvino", device, f"it sees {', '.join(core.available_devices)}: install the driver"
            )
        if plugin == "GPU":
            settings.pop("INFERENCE_NUM_THREADS", None)
        try:
            model = core.read_model(self.file)
            inputs = ["/".join(sorted(port.names)) for port in model.inputs]
            names = [name for port in model.outputs for name in sorted(port.names)]
            check_ports(self.file, inputs, names, outputs)
            compiled = core.compile_model(model, plugin, settings)
        except RuntimeError as error:
            engine = f"OpenVINO {openvino.__version__.split('-')[0]}"
            raise cannot_load(self.file, engine, _cause(error)) from None
        self.shape = [side.get_length() if side.is_static else None for side in model.input().partial_shape]
        self.outputs = [compiled.output(name) for name in outputs]
        self.request = compiled.create_infer_request()
        # A request keeps the memory that was bound to it: results in memory of its own come from the other.
        self.bound_request = compiled.create_infer_request()

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
            images = np.ascontiguousarray(images)
            if out is None:
                results = self.request.infer([images], share_inputs=True)
                return tuple(results[output] for output in self.outputs)
            for output, place in zip(self.outputs, out):
                self.bound_request.set_tensor(output, openvino.Tensor(place, shared_memory=True))
            self.bound_request.infer([images], share_inputs=True, share_outputs=True)
            return out
        except RuntimeError as error:
            raise cannot_run(self.file, images, _cause(error)) from None


def _cause(error):
    """The last line of OpenVINO's report that is no place in its source."""
    lines = [line.strip() for line in str(error).splitlines()]
    told = [line for line in lines if line and not line.startswith("Exception from ")]
    return told[-1] if told else type(error).__name__
