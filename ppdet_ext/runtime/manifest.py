"""`export.json`: what an export has put into a folder, and how each file was made."""

import json
from pathlib import Path

MANIFEST = "export.json"


def load_manifest(folder):
    """Read `export.json` of an exported folder.

    Args:
        folder (str | Path): the exported folder.

    Returns:
        dict: 'input' {'batch': int or None, 'size': [H, W], -1 for a free side, 'normalization'}, 'outputs'
        ('raw' or 'nms'), 'config', 'weights', 'versions', and 'files': for each target a dict of 'file',
        'precision' ('fp32', 'fp16' or 'int8') and 'max_error' (or None with 'not_measured', the reason).
        Empty where there is no such file, as in a folder that PaddleDetection exported.

    Raises:
        ValueError: the file is no JSON, or no manifest.
    """
    file = Path(folder) / MANIFEST
    if not file.is_file():
        return {}
    try:
        manifest = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{file}: is not valid JSON ({error}); export the model again") from None
    if not isinstance(manifest, dict) or not isinstance(manifest.get("files"), dict):
        raise ValueError(f"{file}: has no table 'files'; export the model again")
    return manifest


def precision_of(manifest, file, untold):
    """The precision of a model file by the manifest: 'fp32', 'fp16' or 'int8'.

    Args:
        manifest (dict): of :func:`load_manifest`.
        file (str): its name in the folder, 'model.onnx'.
        untold (str): the answer where the manifest does not say.
    """
    entries = manifest.get("files", {}).values()
    return next((entry["precision"] for entry in entries if entry["file"] == file), untold)
