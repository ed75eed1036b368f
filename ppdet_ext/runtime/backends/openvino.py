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
        self._settings = dict(SETTINGS)
        if threads is not None and device != "gpu":
            self._settings["INFERENCE_NUM_THREADS"] = threads
        self._core, self._plugin = openvino.Core(), (device or "cpu").upper()
        found = self._core.available_devices
        if not any(name.split(".")[0] == self._plugin for name in found):
            raise refuse_device("openvino", device, f"it sees {', '.join(found)}: install the driver")
        self._outputs, self._compiled = outputs, {}
        try:
            model = self._core.read_model(self.file)
            inputs = ["/".join(sorted(port.names)) for port in model.inputs]
            names = [name for port in model.outputs for name in sorted(port.names)]
            check_ports(self.file, inputs, names, outputs)
            self.shape = [s.get_length() if s.is_static else None for s in model.input().partial_shape]
            self._requests(1, model)
        except RuntimeError as error:
            engine = f"OpenVINO {openvino.__version__.split('-')[0]}"
            raise cannot_load(self.file, engine, _cause(error)) from None

    def _requests(self, batch, model=None):
        """The compiled model for a batch, made when first asked for: one for single images, one for more.

        Told that the batch is 1, OpenVINO joins maps without copying them: 2 % of PP-YOLOE-s's time.
        """
        alone = batch == 1 and self.shape[0] is None and None not in self.shape[1:]
        if alone not in self._compiled:
            model = model or self._core.read_model(self.file)
            if alone:
                model.reshape([1, *self.shape[1:]])
            compiled = self._core.compile_model(model, self._plugin, self._settings)
            self._compiled[alone] = _Requests(compiled, self._outputs)
        return self._compiled[alone]

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
            return self._requests(len(images)).run(np.ascontiguousarray(images), out)
        except RuntimeError as error:
            raise cannot_run(self.file, images, _cause(error)) from None


class _Requests:
    """The ways into a compiled model: with results in memory of its own, and in memory that is given.

    A request keeps the memory that was bound to it, hence two.
    """

    def __init__(self, compiled, outputs):
        self.outputs = [compiled.output(name) for name in outputs]
        self.free, self.bound = compiled.create_infer_request(), compiled.create_infer_request()

    def run(self, images, out):
        """images [B, 3, H, W] contiguous float32; `out` as of `Backend.run`."""
        if out is None:
            results = self.free.infer([images], share_inputs=True)
            return tuple(results[output] for output in self.outputs)
        for output, place in zip(self.outputs, out):
            self.bound.set_tensor(output, openvino.Tensor(place, shared_memory=True))
        self.bound.infer([images], share_inputs=True, share_outputs=True)
        return out


def _cause(error):
    """The last line of OpenVINO's report that is no place in its source."""
    lines = [line.strip() for line in str(error).splitlines()]
    told = [line for line in lines if line and not line.startswith("Exception from ")]
    return told[-1] if told else type(error).__name__
