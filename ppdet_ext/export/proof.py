"""Every exported file run here, and compared with the model as trained."""

import os
from pathlib import Path

from ppdet_ext.runtime.backends import BACKENDS, NMS, RAW, create_backend
from ppdet_ext.runtime.nms import NMS as NMSKind

from .parity import compare_detections, compare_raw

# The runtime backend that proves a target; one without can't run on a PC.
PROVERS = {
    "paddle": "paddle_inference",
    "onnx": "onnxruntime",
    "openvino": "openvino",
    "tensorrt": "tensorrt",
    "lite_x86": "paddle_lite",
}
# Why a target without a prover is not measured.
ELSEWHERE = "runs on arm processors only"


def prove(folder, report, images, reference, nms_settings, say):
    """Runs each file of an export and fills in the report.

    Args:
        folder (str): the exported folder, its `export.json` written.
        report (dict): target -> entry with 'file' and 'precision'; gets 'max_error', or 'not_measured' with
            the reason.
        images (numpy.ndarray): [B, 3, H, W] float32, what the files take.
        reference (list): raw boxes and scores of the model as trained for them.
        nms_settings (dict | None): `NMS` of ``infer_cfg.yml`` where NMS is inside.
        say (callable): is told each file and its error.

    Raises:
        ValueError: a file cannot be run by an engine that is here, or its outputs are outside the gates.
    """
    for target, entry in report.items():
        name = os.path.basename(entry["file"])
        reason = _unmeasured(target, entry["file"], nms_settings)
        if reason:
            entry["not_measured"] = reason
            say(f"{target}: {name}, not measured ({reason})")
            continue
        backend = create_backend(PROVERS[target], folder, outputs=NMS if nms_settings else RAW)
        outputs = backend.run(images)
        if nms_settings:
            settings = NMSKind(nms_settings).settings
            entry["max_error"] = compare_detections(name, outputs, reference, settings, entry["precision"])
        else:
            entry["max_error"] = compare_raw(name, outputs, reference, entry["precision"])
        say(f"{target}: {name}, differs by {entry['max_error']:.1e}")


def _unmeasured(target, file, nms_settings):
    """Why a target can't be run here, None if it can; an installed TensorRT reads the file all the same."""
    if target not in PROVERS:
        return ELSEWHERE
    if target == "paddle" and nms_settings:
        return "PaddleDetection's NMS form, run by its deploy programs"
    from ppdet_ext.environment import gpus
    from ppdet_ext.versions import is_importable

    package = BACKENDS[PROVERS[target]][0]
    if not is_importable(package):
        return f"{package} is not installed"
    if target == "tensorrt" and not gpus():
        return f"no NVIDIA GPU; {_parsed(file)}, and the engine is built on the device at the first start"
    return None


def _parsed(file):
    """How far TensorRT comes with an ONNX file without a GPU.

    Raises:
        ValueError: it cannot read the file.
    """
    import tensorrt

    from ppdet_ext.runtime.backends.tensorrt_engine import parse

    log = tensorrt.Logger(tensorrt.Logger.ERROR)
    try:
        tensorrt.init_libnvinfer_plugins(log, "")
        parse(Path(file), log)
    except (RuntimeError, TypeError) as error:  # its builder cannot be made without a driver
        return f"TensorRT {tensorrt.__version__} does not start without one ({error})"
    return f"TensorRT {tensorrt.__version__} has read the file"
