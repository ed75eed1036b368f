"""What an exported folder's own files say of speed, parity and INT8."""

from pathlib import Path

from ppdet_ext.data.json_file import read_json
from ppdet_ext.runtime.manifest import load_manifest

# `ppdet-ext bench --model FOLDER --json FOLDER/bench.json`, and where it writes without --json.
BENCH, BENCH_ELSEWHERE = "bench.json", Path("output") / "bench.json"
# `ppdet-ext verify --model FOLDER -c ... --json FOLDER/verify.json`
VERIFY = "verify.json"
OF_A_HOP = ("hop", "status", "precision", "ap", "ap_drop", "reason")


def exported_facts(folder, weights):
    """Speed, parity and INT8 of an exported folder.

    Args:
        folder (str | Path): with `export.json`, and `bench.json` and `verify.json` where these were measured.
        weights (dict): 'file' and 'sha256' of the weights that the report is about.

    Returns:
        dict: 'folder'; 'speed' (of `ppdet-ext bench`: 'cpu', 'threads', 'rows'), 'parity' ('files', and
        'hops' of `ppdet-ext verify`) and 'int8'; None for what was not measured.

    Raises:
        ValueError: no exported folder, a file that can't be read, or one that was made from other weights.
    """
    folder = Path(folder)
    manifest = load_manifest(folder)
    if not manifest:
        raise ValueError(f"{folder}: no export.json there; give a folder of 'ppdet-ext export'")
    source = manifest.get("weights")
    if source and source["sha256"] != weights["sha256"]:
        raise ValueError(
            f"{folder}: was exported from other weights ({source['file']}) than {weights['file']}; report on "
            "those with -o weights=FILE, or export again"
        )
    return {
        "folder": str(folder),
        "speed": _speed(folder),
        "parity": {"files": _files(manifest), "hops": _hops(folder)},
        "int8": _int8(manifest),
    }


def _files(manifest):
    keys = ("file", "precision", "max_error", "not_measured")
    return [
        {"target": target, **{key: entry.get(key) for key in keys}}
        for target, entry in manifest["files"].items()
    ]


def _hops(folder):
    file = folder / VERIFY
    if not file.is_file():
        return None
    report, _ = read_json(file)
    return [{key: hop.get(key) for key in OF_A_HOP} for hop in _rows(report, "hops", file)]


def _speed(folder):
    report = None
    for file in (folder / BENCH, BENCH_ELSEWHERE):
        if report is None and file.is_file():
            found, _ = read_json(file)
            _rows(found, "rows", file)
            if file.parent == folder or Path(found.get("model", "")).resolve() == folder.resolve():
                report = found
    if report is None:
        return None
    rows = []
    for row in report["rows"]:
        times = {key: row[key]["median"] for key in ("network_ms", "total_ms") if key in row}
        kept = ("backend", "batch", "size", "status", "reason", "images_per_s", "peak_mib")
        rows.append({**{key: row.get(key) for key in kept}, **times})
    machine, settings = report.get("machine", {}), report.get("settings", {})
    return {"cpu": machine.get("cpu"), "threads": settings.get("threads"), "rows": rows}


def _rows(report, key, file):
    rows = report.get(key) if isinstance(report, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError(f"{file}: has no list '{key}'; measure again, or take the file away")
    return rows


def _int8(manifest):
    files = [entry["file"] for entry in manifest["files"].values() if entry.get("precision") == "int8"]
    quantization = manifest.get("quantization")
    if not files and not quantization:
        return None
    facts = {key: value for key, value in (quantization or {}).items() if key != "ranking"}
    return {"files": sorted(set(files)), **facts}
