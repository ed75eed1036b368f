"""The engines that can run an exported folder.

A backend is a module with a class `Backend(folder, threads=None)` whose `run(images)` takes [B, 3, H, W]
float32 and gives boxes [B, L, 4] float32 (xyxy, network pixels) and scores [B, C, L] float32 (after the
sigmoid). It is imported when it is asked for, so that a device needs only its own engine.
"""

import importlib

from ppdet_ext.nearest import choice

# name -> the package that has to be there, what pip calls it
BACKENDS = {
    "onnxruntime": ("onnxruntime", "onnxruntime"),
    "openvino": ("openvino", "openvino"),
    "paddle_inference": ("paddle", "paddlepaddle"),
    "paddle": ("paddle", "paddlepaddle"),
}


def create_backend(name, folder, threads=None):
    """Load an exported folder into an engine.

    Args:
        name (str): one of BACKENDS.
        folder (str | Path): the exported folder.
        threads (int | None): CPU threads, None for the engine's own choice.

    Returns:
        The module's `Backend`.

    Raises:
        ValueError: the name is unknown (answered with the nearest), the engine is not installed (with the
            command that installs it), `threads` is not positive, or the engine cannot load the model.
    """
    if name not in BACKENDS:
        raise ValueError(f"backend '{name}' is not known; {choice(name, BACKENDS)}")
    if threads is not None and (isinstance(threads, bool) or not isinstance(threads, int) or threads < 1):
        raise ValueError(f"threads is {threads!r}; give a whole number from 1 up")
    package, pip_name = BACKENDS[name]
    try:
        module = importlib.import_module(f".{name}", __name__)
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        raise ValueError(
            f"backend '{name}' needs the package {package}, which is not installed; pip install {pip_name}"
        ) from None
    return module.Backend(folder, threads)
