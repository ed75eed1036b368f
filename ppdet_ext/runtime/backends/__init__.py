"""The engines that can run an exported folder.

A backend is a module with a class `Backend(folder, threads=None, device=None, outputs=RAW)` whose
`run(images, out=None)` takes [B, 3, H, W] float32 and gives what `outputs` names:

- RAW: boxes [B, L, 4] float32 (xyxy, network pixels) and scores [B, C, L] float32 (after the sigmoid);
- NMS, of a model exported with NMS inside: num_dets [B, 1] int32, det_boxes [B, K, 4] and det_scores [B, K]
  float32, det_classes [B, K] int32; the first num_dets of an image are its detections, by falling score.

With `out`, arrays of just these shapes, the results are written there: by the engine itself where it can
bind memory, else by one copy. A backend is imported when it is asked for, so that a device needs only its own
engine.
"""

import importlib
from pathlib import Path

from ppdet_ext.nearest import choice
from ppdet_ext.versions import is_importable

from .checks import MODELS, NMS, RAW, DeviceRefused

__all__ = [
    "BACKENDS",
    "DEVICES",
    "DeviceRefused",
    "MODELS",
    "NMS",
    "RAW",
    "check_backends",
    "check_engine",
    "create_backend",
    "why_absent",
]

# name -> the package that has to be there, what pip calls it
BACKENDS = {
    "onnxruntime": ("onnxruntime", "onnxruntime"),
    "openvino": ("openvino", "openvino"),
    "paddle_inference": ("paddle", "paddlepaddle"),
    "paddle_lite": ("paddlelite", "paddlelite==2.13rc0"),
    "tensorrt": ("tensorrt", "tensorrt cuda-python"),
    "paddle": ("paddle", "paddlepaddle"),
}
DEVICES = ("cpu", "gpu")


def check_backends(names):
    """The names without repetition, as a list.

    Raises:
        ValueError: one is none of BACKENDS (answered with the nearest).
    """
    for name in names:
        if name not in BACKENDS:
            raise ValueError(f"backend '{name}' is not known; {choice(name, BACKENDS)}")
    return list(dict.fromkeys(names))


def check_engine(threads, device):
    """Refuses (ValueError) a number of threads or a device that no engine takes; None leaves it to them."""
    if threads is not None and (isinstance(threads, bool) or not isinstance(threads, int) or threads < 1):
        raise ValueError(f"threads is {threads!r}; give a whole number from 1 up")
    if device not in (None, *DEVICES):
        raise ValueError(f"device '{device}' is not known; {choice(device, DEVICES)}")


def why_absent(name, folder):
    """Why a backend cannot be tried on an exported folder here.

    Args:
        name (str): one of BACKENDS.
        folder (str | Path): the exported folder.

    Returns:
        str | None: it has no model file for it, or the engine is not installed; None if neither.
    """
    if not any((Path(folder) / file).is_file() for file in MODELS[name]):
        return f"no {' or '.join(MODELS[name])}"
    package = BACKENDS[name][0]
    return None if is_importable(package) else f"{package} is not installed"


def create_backend(name, folder, threads=None, device=None, outputs=RAW):
    """Load an exported folder into an engine.

    Args:
        name (str): one of BACKENDS.
        folder (str | Path): the exported folder.
        threads (int | None): CPU threads, None for the engine's own choice.
        device (str | None): 'cpu' or 'gpu'; None for the engine's own, the GPU for TensorRT, else the CPU.
        outputs (tuple): RAW or NMS, what the model ends in.

    Returns:
        The module's `Backend`.

    Raises:
        ValueError: the name is unknown (answered with the nearest), the engine is not installed (with the
            command that installs it) or does not run on the device, `threads` is not positive, or the engine
            cannot load the model.
    """
    check_backends([name])
    check_engine(threads, device)
    try:
        module = importlib.import_module(f".{name}", __name__)
    except ModuleNotFoundError as error:
        package = (error.name or "ppdet_ext").split(".")[0]
        if package == "ppdet_ext":
            raise
        raise ValueError(
            f"backend '{name}' needs the package {package}, which is not installed; "
            f"pip install {BACKENDS[name][1]}"
        ) from None
    return module.Backend(folder, threads, device, outputs)
