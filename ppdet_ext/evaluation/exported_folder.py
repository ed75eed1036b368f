"""What an exported folder holds, from its own files: no engine is started."""

from pathlib import Path

from ppdet_ext.runtime.backends import MODELS
from ppdet_ext.runtime.config import InferConfig
from ppdet_ext.runtime.manifest import MANIFEST, load_manifest

from .bench.case import WEIGHTS
from .text_table import align

# Class names in one line of text.
SHOWN_CLASSES = 8


def describe_folder(folder):
    """The account of an exported folder.

    Args:
        folder (str | Path): that `ppdet-ext export` or `quantize` made.

    Returns:
        dict: 'folder', 'config' and 'weights' (None where not told), 'classes' (names), 'input' ('batch',
        'size', 'normalization', see :func:`load_manifest`; empty where not told), 'stride' of the coarsest
        map, 'outputs' ('raw' or 'nms'), 'quantization' (dict or None), 'versions', 'models' and 'others'. A
        model has 'target', 'files' and 'bytes' (with its weights' file; None where one is missing), 'engines'
        of :data:`BACKENDS` that read it, 'precision', and 'max_error' from the model as trained or
        'not_measured'. Others have 'file' and 'bytes'.

    Raises:
        ValueError: it is no exported folder, or its `infer_cfg.yml` or `export.json` are damaged.
    """
    config = InferConfig.load(folder)
    manifest = load_manifest(folder)
    folder = Path(folder)
    models = [_model(folder, target, entry) for target, entry in manifest.get("files", {}).items()]
    told = {name for model in models for name in model["files"]}
    others = [
        {"file": file.name, "bytes": file.stat().st_size}
        for file in sorted(folder.iterdir())
        if file.is_file() and file.name not in told
    ]
    return {
        "folder": str(folder),
        "config": manifest.get("config"),
        "weights": manifest.get("weights"),
        "classes": config.names,
        "input": manifest.get("input", {}),
        "stride": config.stride,
        "outputs": "nms" if config.nms_inside else "raw",
        "quantization": manifest.get("quantization"),
        "versions": manifest.get("versions", {}),
        "models": models,
        "others": others,
    }


def _model(folder, target, entry):
    if not isinstance(entry, dict) or not {"file", "precision"} <= set(entry):
        raise ValueError(
            f"{folder / MANIFEST}: entry '{target}' of 'files' lacks 'file' or 'precision'; export the model "
            "again"
        )
    file = folder / entry["file"]
    weights = file.with_suffix(WEIGHTS.get(file.suffix, file.suffix))
    files = list(dict.fromkeys([file, weights]))
    whole = all(file.is_file() for file in files)
    return {
        "target": target,
        "files": [file.name for file in files],
        "bytes": sum(file.stat().st_size for file in files) if whole else None,
        "engines": [name for name, readable in MODELS.items() if file.name in readable],
        **{key: value for key, value in entry.items() if key != "file"},
    }


def folder_table(account):
    """The account of :func:`describe_folder` as text.

    Returns:
        str: lines without a newline at the end.
    """
    lines = [_heading(account), *_facts(account)]
    if account["models"]:
        heads = [
            ["", "", "", "", "largest", ""],
            ["target", "files", "precision", "MiB", "error", "read by"],
        ]
        body = [
            [
                model["target"],
                " ".join(model["files"]),
                model["precision"],
                "missing" if model["bytes"] is None else f"{model['bytes'] / 2**20:.2f}",
                _error(model),
                ", ".join(model["engines"]) or "-",
            ]
            for model in account["models"]
        ]
        notes = [
            f"{model['target']}: not measured: {model['not_measured']}"
            for model in account["models"]
            if model.get("not_measured")
        ]
        lines += ["", *align(heads, body), "", *notes]
        lines.append("Largest error: of the file's outputs against the model as trained, at the export.")
    else:
        lines += ["", f"no {MANIFEST}: how these files were made is not told"]
    if account["others"]:
        sizes = (f"{other['file']} ({other['bytes'] / 2**10:.1f} KiB)" for other in account["others"])
        lines.append(f"Also there: {', '.join(sizes)}")
    return "\n".join(lines)


def _error(model):
    error = model.get("max_error")
    return "-" if error is None else f"{error:.1e}"


def _heading(account):
    weights = account["weights"]
    checkpoint = f" with {weights['file']} (sha256 {weights['sha256'][:12]})" if weights else ""
    origin = f": {account['config']}{checkpoint}" if account["config"] else ""
    return f"{account['folder']}{origin}"


def _facts(account):
    """Lines of text on input, outputs, classes, quantisation and versions."""
    names = account["classes"]
    classes = ", ".join(names[:SHOWN_CLASSES]) + (", ..." if len(names) > SHOWN_CLASSES else "")
    given, facts = account["input"], []
    if given:
        free = -1 in given["size"]
        size = f"any size in steps of {account['stride']}" if free else "x".join(map(str, given["size"]))
        batch = "any batch" if given["batch"] is None else f"batch {given['batch']}"
        facts.append(f"input: {size}, {batch}, normalisation {given['normalization']} the graph")
    ends = "detections, NMS inside the graph" if account["outputs"] == "nms" else "raw boxes and scores"
    facts += [f"outputs: {ends}", f"{len(names)} classes: {classes}"]
    if account["quantization"]:
        facts.append(f"quantised: {_quantization(account['quantization'])}")
    if account["versions"]:
        facts.append("made with " + ", ".join(f"{name} {v}" for name, v in account["versions"].items()))
    return facts


def _quantization(told):
    """What `export.json` says of it, in a line; each key where it is there."""
    parts = [told.get("by", "by an unknown tool")]
    if told.get("method"):
        parts.append(f"method {told['method']}")
    if told.get("calibration_images"):
        parts.append(f"{told['calibration_images']} images to calibrate")
    if told.get("weight_levels"):
        parts.append(f"weights to +-{told['weight_levels']}")
    if told.get("float_layers"):
        parts.append(f"{len(told['float_layers'])} layers left in float")
    if told.get("ap_drop") is not None:
        parts.append(f"AP lower by {told['ap_drop']:.2f} points")
    return ", ".join(parts)
