"""ONNX Runtime, on the CPU or on an NVIDIA GPU."""

import numpy as np
import onnxruntime

from ppdet_ext.runtime.manifest import load_manifest

from .checks import MODELS, RAW, cannot_load, cannot_run, check_batch, check_ports, find_model, refuse_device

PROVIDERS = {"cpu": "CPUExecutionProvider", "gpu": "CUDAExecutionProvider"}
DTYPES = {"tensor(float)": np.float32, "tensor(int32)": np.int32, "tensor(int64)": np.int64}
# It makes one op of x * sigmoid(x), which the blocked layout of the convolutions cannot pass through: a swish
# network is some 4 % slower with it.
DISABLED = ["QuickGeluFusion"]
# Where a processor without VNNI would let sums of 8-bit products saturate, it computes them in another way, a
# third slower. Nothing changes on others, nor for float models.
PRECISE = "session.x64quantprecision"
# Two products of 0..255 and such a weight fit into 16 bits.
SMALL_LEVELS = 63


class Backend:
    """`model.onnx` of an exported folder: one input [B, 3, H, W] float32.

    Args:
        folder (str | Path): the exported folder.
        threads (int | None): threads within an operator; None for one a core.
        device (str | None): 'cpu' (also None) or 'gpu'.
        outputs (tuple): what the model gives, see `backends`.

    Raises:
        ValueError: the file is missing, is no ONNX model, uses what this ONNX Runtime lacks, or has other
            inputs or outputs; this ONNX Runtime has no GPU.
    """

    def __init__(self, folder, threads=None, device=None, outputs=RAW):
        self.file = find_model(folder, MODELS["onnxruntime"], "run 'ppdet-ext export' with the target onnx")
        provider = PROVIDERS[device or "cpu"]
        if provider not in onnxruntime.get_available_providers():
            raise refuse_device(
                "onnxruntime", device, f"{provider} is not among its providers: pip install onnxruntime-gpu"
            )
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors only
        options.add_session_config_entry(PRECISE, "0" if _sums_fit(folder) else "1")
        if threads is not None:
            options.intra_op_num_threads = threads
        try:
            self.session = onnxruntime.InferenceSession(
                str(self.file), options, providers=[provider], disabled_optimizers=DISABLED
            )
        except Exception as error:  # ONNX Runtime's exceptions share no class of their own
            engine = f"ONNX Runtime {onnxruntime.__version__}"
            raise cannot_load(self.file, engine, _first_line(error)) from None
        inputs, ports = self.session.get_inputs(), self.session.get_outputs()
        check_ports(self.file, [port.name for port in inputs], [port.name for port in ports], outputs)
        self.input = inputs[0]
        self.outputs = outputs
        self.dtypes = {port.name: DTYPES[port.type] for port in ports}

    def run(self, images, out=None):
        """Run one batch.

        Args:
            images (numpy.ndarray): [B, 3, H, W] float32.
            out (tuple | None): arrays that receive the results; the engine writes into them.

        Returns:
            tuple: the model's `outputs`, see `backends`; `out` where it is given.

        Raises:
            ValueError: the model takes another size or batch.
        """
        check_batch(self.file, self.input.shape, images)
        try:
            if out is None:
                return tuple(self.session.run(list(self.outputs), {self.input.name: images}))
            images = np.ascontiguousarray(images)
            binding = self.session.io_binding()
            binding.bind_input(self.input.name, "cpu", 0, images.dtype.type, images.shape, images.ctypes.data)
            for name, place in zip(self.outputs, out):
                binding.bind_output(name, "cpu", 0, self.dtypes[name], place.shape, place.ctypes.data)
            self.session.run_with_iobinding(binding)
            return out
        except Exception as error:  # as above
            raise cannot_run(self.file, images, _first_line(error)) from None


def _sums_fit(folder):
    """Whether a model was quantised with weights so small that no sum saturates."""
    levels = load_manifest(folder).get("quantization", {}).get("weight_levels")
    return levels is not None and levels <= SMALL_LEVELS


def _first_line(error):
    """The cause without ONNX Runtime's error code before it."""
    return str(error).splitlines()[0].split(" : ")[-1]
