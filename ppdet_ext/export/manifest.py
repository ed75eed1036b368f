"""Writing ``export.json``, the folder's account of itself; `ppdet_ext.runtime.manifest` reads it."""

import hashlib
import json
import os
import platform

from ppdet_ext.runtime.manifest import MANIFEST
from ppdet_ext.versions import package_version

PACKAGES = (
    "paddle",
    "ppdet",
    "paddleslim",
    "paddle2onnx",
    "onnx",
    "onnxruntime",
    "openvino",
    "tensorrt",
    "paddlelite",
)


def write_manifest(folder, cfg, shape, plain_pixels, nms, report, quantization=None):
    """Writes ``export.json``.

    Args:
        folder (str): the exported folder.
        cfg: the config.
        shape (list): [B or None, 3, H, W], -1 for a free side.
        plain_pixels (bool): the normalisation is part of the graph.
        nms (bool): NMS is part of the graph.
        report (dict): of :func:`export_model`; files are named relative to the folder.
        quantization (dict | None): how the model was quantised.
    """
    manifest = {
        "config": cfg.filename,
        "weights": _weights(cfg.get("weights")),
        "input": {
            "batch": shape[0],
            "size": list(shape[2:]),
            "normalization": "inside" if plain_pixels else "outside",
        },
        "outputs": "nms" if nms else "raw",
        "files": {
            target: {**entry, "file": os.path.basename(entry["file"])} for target, entry in report.items()
        },
        "versions": {
            "python": platform.python_version(),
            **{name: version for name in PACKAGES if (version := package_version(name))},
        },
    }
    if quantization:
        manifest["quantization"] = quantization
    with open(os.path.join(folder, MANIFEST), "w", encoding="utf-8") as file:
        json.dump(manifest, file, indent=1)


def _weights(path):
    """File name and hash of the checkpoint, None where it is not a file here."""
    if not path:
        return None
    file = path if os.path.isfile(path) else f"{path}.pdparams"
    if not os.path.isfile(file):
        return None
    with open(file, "rb") as stream:
        return {"file": os.path.basename(file), "sha256": hashlib.sha256(stream.read()).hexdigest()}
