"""What this machine has and can run: versions, processor, GPU, one answer a target, and the known traps.

Versions come from the installed packages' metadata: nothing heavy is imported, so a broken engine can't take
the report down.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

from ppdet_ext.versions import (
    PADDLE2ONNX,
    is_importable,
    package_version,
    paddle_version,
    version_numbers,
)

PACKAGES = (
    "paddle", "ppdet", "paddleslim", "paddle2onnx", "numpy", "cv2", "onnx", "onnxruntime", "openvino", "nncf",
    "tensorrt", "paddlelite", "pycocotools", "lap", "scikit-learn", "setuptools", "typeguard", "protobuf",
)  # fmt: skip

# What ppdet imports whatever it is used for: (module, the version to install)
PPDET_NEEDS = {
    "typeguard": "typeguard==2.13.3",
    "sklearn": "scikit-learn",
    "motmetrics": "motmetrics==1.4.0",
    "lap": "lap==0.5.12",
    "shapely": "shapely",
    "pyclipper": "pyclipper",
    "terminaltables": "terminaltables==3.1.10",
    "visualdl": "visualdl==2.5.3",
    "pycocotools": "pycocotools==2.0.8",
}

SLIM_NEEDS = {"decorator": "decorator", "zmq": "pyzmq"}

# target: (package, the command that brings it)
TARGETS = {
    "paddle": ("paddle", "pip install paddlepaddle==2.6.2"),
    "onnxruntime": ("onnxruntime", "pip install onnxruntime==1.19.2"),
    "openvino": ("openvino", "pip install openvino==2024.6.0"),
    "tensorrt": ("tensorrt", 'pip install "tensorrt>=10" cuda-python'),
    "lite": ("paddlelite", "pip install paddlelite==2.13rc0"),
}
LITE_PYTHONS = ((3, 8), (3, 10))

# The processor's own word for a feature -> ours. The ones that decide how fast FP32 and INT8 run.
ISA = {
    "avx2": "avx2",
    "avx512f": "avx512",
    "avx512_vnni": "vnni",
    "avx_vnni": "vnni",
    "avx512_bf16": "bf16",
    "amx_int8": "amx",
    "amx_tile": "amx",
    "asimd": "neon",
    "neon": "neon",
    "asimddp": "dotprod",
    "i8mm": "i8mm",
    "sve": "sve",
}


def versions() -> dict[str, str | None]:
    """Package -> installed version; None when absent, 'checkout' for a ppdet that is on the path only."""
    found = {name: package_version(name) for name in PACKAGES}
    if found["ppdet"] is None and is_importable("ppdet"):
        found["ppdet"] = "checkout"
    return {"python": platform.python_version(), **found}


def _processor(cpuinfo: str) -> tuple[str | None, list[str]]:
    """The model's name and the features that matter, out of the text of /proc/cpuinfo."""
    fields = {}
    for line in cpuinfo.splitlines():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip().lower(), value.strip())
    words = (fields.get("flags") or fields.get("features") or "").split()
    isa = list(dict.fromkeys(ISA[word] for word in words if word in ISA))
    return fields.get("model name") or fields.get("hardware") or fields.get("model"), sorted(isa)


def gpus() -> list[str]:
    """Names of the NVIDIA GPUs that `nvidia-smi` sees; empty without the tool or a driver."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    command = [tool, "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        answer = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=20, text=True
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    if answer.returncode:
        return []
    return [line.strip() for line in answer.stdout.splitlines() if line.strip()]


def memory() -> int:
    """The machine's memory, bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def machine() -> dict:
    """System, processor, usable cores, instruction sets, GPUs."""
    cpuinfo = Path("/proc/cpuinfo")
    name, isa = _processor(cpuinfo.read_text(errors="replace")) if cpuinfo.exists() else (None, [])
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": name or platform.processor() or "unknown",
        "cores": cores,
        "isa": isa,
        "gpus": gpus(),
    }


def targets(found: dict[str, str | None], gpu: bool) -> list[dict]:
    """For each runtime: does it run here, what is missing, the command that brings it.

    Args: `found` as `versions()` gives it; `gpu`, whether an NVIDIA GPU is visible.
    """
    answers = []
    for target, (package, command) in TARGETS.items():
        missing, mend = [], []
        if found[package] is None:
            missing.append(package)
            mend.append(command)
        if target == "tensorrt" and not gpu:
            missing.append("an NVIDIA GPU")
            mend.clear()  # nothing to install helps
        python = version_numbers(found["python"])[:2]
        if target == "lite" and found[package] is None and python not in LITE_PYTHONS:
            missing.append("Python 3.8 or 3.10 (the only ones with wheels)")
            mend.insert(0, "scripts/setup.sh --python python3.10 --extras lite")
            mend.remove(command)
        for module, name in (("numpy", "numpy"), ("cv2", "opencv-python-headless")):
            if found[module] is None:
                missing.append(name)
                mend.append(f"pip install {name}")
        answers.append(
            {
                "target": target,
                "runs": not missing,
                "version": found[package],
                "missing": ", ".join(missing) or None,
                "mend": " && ".join(mend) or None,
            }
        )
    return answers


def traps(found: dict[str, str | None]) -> list[dict]:
    """The known faults of this set of packages: {"trap", "mend", "stops"}; `stops` is "training" or None."""
    has = {name: version_numbers(version or "") for name, version in found.items()}
    paddle = paddle_version() if found["paddle"] else None
    answers: list[dict] = []

    def note(trap: str, mend: str, stops: str | None = None) -> None:
        answers.append({"trap": trap, "mend": mend, "stops": stops})

    if found["paddle"] is None:
        note("paddle is not installed", TARGETS["paddle"][1], "training")
    elif package_version("paddlepaddle") and package_version("paddlepaddle-gpu"):
        note(
            "paddlepaddle and paddlepaddle-gpu are both installed, in the same folder",
            "pip uninstall -y paddlepaddle paddlepaddle-gpu, then install one",
        )
    if found["ppdet"] is None:
        note("ppdet is not installed", "pip install --no-deps paddledet==2.6.0", "training")
    else:
        absent = [package for module, package in PPDET_NEEDS.items() if not is_importable(module)]
        if absent:
            note(
                "ppdet imports packages that are not installed", f"pip install {' '.join(absent)}", "training"
            )
        if has["typeguard"] >= (3,):
            note("typeguard 3 or newer: ppdet does not import", "pip install typeguard==2.13.3", "training")
        if has["numpy"] >= (2,):
            note(
                "NumPy 2: ppdet and the OpenCV it needs are built for 1.x",
                "pip install numpy==1.26.4",
                "training",
            )
        if has["setuptools"] >= (80,) or not is_importable("pkg_resources"):
            note(
                "setuptools 80 or newer, or none: ppdet and paddleslim import its pkg_resources",
                "pip install setuptools==79.0.1",
                None if is_importable("pkg_resources") else "training",
            )
    if found["paddleslim"]:
        absent = [package for module, package in SLIM_NEEDS.items() if not is_importable(module)]
        if absent:
            note("paddleslim imports packages that are not installed", f"pip install {' '.join(absent)}")
    if paddle is not None and (2, 6) <= paddle < (3,):
        for name, first, good in (("pycocotools", (2, 0, 11), "2.0.8"), ("lap", (0, 5, 13), "0.5.12")):
            if has[name] >= first:
                note(
                    f"{name} {found[name]} crashes after `import paddle` 2.6 where ppdet_ext is not first",
                    f"pip install {name}=={good}",
                )
        if has["paddle2onnx"] >= (2,):
            note("paddle2onnx 2 reads the models of Paddle 3", PADDLE2ONNX[2][2])
    if paddle is not None and paddle >= (3,):
        if has["ppdet"][:2] == (2, 6):
            note(
                "ppdet 2.6.0 on Paddle 3: its ATSSAssigner stops at an int64 + int32 sum",
                "pip install paddlepaddle==2.6.2, or a PaddleDetection develop checkout on PYTHONPATH",
            )
        if found["paddle2onnx"] and has["paddle2onnx"] < (2,):
            note("paddle2onnx 1.x cannot read the models of Paddle 3", PADDLE2ONNX[3][2])
    return answers


def try_imports(modules: list[str]) -> dict[str, str | None]:
    """Imports each module in its own process: name -> None when it works, else the last line it said."""
    answers: dict[str, str | None] = {}
    for module in modules:
        run = subprocess.run(
            [sys.executable, "-c", f"import ppdet_ext, {module}"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        said = [line.strip() for line in run.stderr.splitlines() if line.strip()]
        answers[module] = None if run.returncode == 0 else (said or [f"exit status {run.returncode}"])[-1]
    return answers


def report(try_: bool = False) -> dict:
    """All of the above as one JSON-ready dict; `ok`: training and at least one runtime work.

    With `try_` every engine that seems present is imported too, and one that fails counts as missing.
    """
    found, here = versions(), machine()
    runtimes, faults = targets(found, bool(here["gpus"])), traps(found)
    if try_:
        engines = {answer["target"]: TARGETS[answer["target"]][0] for answer in runtimes if answer["runs"]}
        wanted = [name for name in ("paddle", "ppdet") if found[name]]
        said = try_imports(list(dict.fromkeys([*wanted, *engines.values()])))
        for answer in runtimes:
            fault = said.get(engines.get(answer["target"], ""))
            if fault:
                answer.update(runs=False, missing=f"import fails: {fault}", mend=TARGETS[answer["target"]][1])
        for name in wanted:
            if said[name]:
                trap = f"import {name} fails: {said[name]}"
                faults.append({"trap": trap, "mend": "scripts/setup.sh", "stops": "training"})
    training = not any(fault["stops"] == "training" for fault in faults)
    return {
        "versions": found,
        "machine": here,
        "training": training,
        "targets": runtimes,
        "traps": faults,
        "ok": training and any(answer["runs"] for answer in runtimes),
    }
