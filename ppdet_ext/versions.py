"""Which versions are installed, which of them this package works with, and the line that mends a wrong one.

Importing this file imports neither paddle nor ppdet: versions come from the packages' metadata.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import sys
from importlib import metadata

# One thing, several names on the registry: the first one installed answers.
DISTRIBUTIONS = {
    "paddle": ("paddlepaddle", "paddlepaddle-gpu"),
    "ppdet": ("paddledet",),
    "paddlelite": ("paddlelite",),
    "cv2": (
        "opencv-python-headless",
        "opencv-python",
        "opencv-contrib-python-headless",
        "opencv-contrib-python",
    ),
    "onnxruntime": ("onnxruntime", "onnxruntime-gpu"),
}

# Each Paddle, by its first number, writes a format of its own, and a Paddle2ONNX reads one.
PADDLE2ONNX = {
    2: ((1, 2), (2,), "pip install paddle2onnx==1.3.1"),
    3: ((2,), (3,), "pip install paddle2onnx==2.1.0"),
}
# name: (first version that works, first that does not, the mend)
SUPPORTED = {
    "python": ((3, 8), (3, 14), "scripts/setup.sh (it looks for a Python 3.10 first)"),
    "paddle": ((2, 6), (4,), "pip install paddlepaddle==2.6.2"),
    "ppdet": ((2, 6), (3,), "pip install --no-deps paddledet==2.6.0"),
    "paddleslim": ((2, 6), (3,), "pip install --no-deps paddleslim==2.6.0"),
    "paddle2onnx": (PADDLE2ONNX[2][0], PADDLE2ONNX[3][1], PADDLE2ONNX[2][2]),
}
# A file that PaddleDetection has from 2.6 on: how to tell an older checkout, which has no version.
PPDET_26 = os.path.join("modeling", "architectures", "ppyoloe.py")


def version_numbers(text: str) -> tuple[int, ...]:
    """The leading numbers of a version: '2.6.2.post118' -> (2, 6, 2), '2.13rc0' -> (2, 13)."""
    numbers = re.match(r"\d+(?:\.\d+)*", text)
    return tuple(int(n) for n in numbers.group().split(".")) if numbers else ()


def package_version(name: str) -> str | None:
    """The version of a package by import or registry name, read without importing it; None if absent.

    A ppdet that a checkout on the path takes the place of is absent, too: what is imported has no version.
    """
    for distribution in DISTRIBUTIONS.get(name, (name,)):
        try:
            version = metadata.version(distribution)
        except metadata.PackageNotFoundError:
            continue
        return None if name == "ppdet" and _is_elsewhere("ppdet", distribution) else version
    return None


def _folder(module: str) -> str | None:
    """Where a top-level package would be imported from, None if it is not there."""
    spec = importlib.util.find_spec(module)
    places = list(spec.submodule_search_locations or ()) if spec else []
    return os.path.realpath(places[0]) if places else None


def _is_elsewhere(module: str, distribution: str) -> bool:
    """Whether a package is imported from another folder than the one in which it was installed."""
    folder = _folder(module)
    installed = os.path.realpath(metadata.distribution(distribution).locate_file(module))
    return folder is not None and folder != installed


def is_importable(module: str) -> bool:
    """Whether a top-level module can be found, without importing it (a checkout of ppdet has no version)."""
    return module in sys.modules or importlib.util.find_spec(module) is not None


def paddle_version() -> tuple[int, ...] | None:
    """The version of the installed Paddle, (2, 6, 2); (0, 0, 0) if nightly, None if absent."""
    version = package_version("paddle")
    return None if version is None else version_numbers(version)


def check_versions(names: tuple[str, ...] = ("python", "paddle", "ppdet")) -> None:
    """Raises ValueError, with the mend, for the first of `names` (in SUPPORTED) absent or out of range."""
    for name in names:
        first, end, mend = SUPPORTED[name]
        beside, paddle = "", paddle_version()
        if name == "paddle2onnx" and paddle:
            first, end, mend = PADDLE2ONNX.get(paddle[0], SUPPORTED[name])
            beside = f" with paddle {package_version('paddle')}"
        version = platform.python_version() if name == "python" else package_version(name)
        if version is None and not is_importable(name):
            raise ValueError(f"{name} is not installed; run: {mend}")
        numbers = version_numbers(version or "")
        if version is None and name == "ppdet":
            _check_checkout(mend)
        if not any(numbers):  # a checkout has no version, a nightly build has 0.0.0: taken as new enough
            continue
        if not first <= numbers < end:
            low, high = (".".join(map(str, v)) for v in (first, end))
            raise ValueError(
                f"{name} {version}{beside} is not supported (needs >= {low}, < {high}); run: {mend}"
            )


def _check_checkout(mend: str) -> None:
    """Raises ValueError for a checkout of PaddleDetection that is older than 2.6."""
    folder = _folder("ppdet")
    if folder and not os.path.isfile(os.path.join(folder, PPDET_26)):
        raise ValueError(
            f"{folder} is a PaddleDetection older than 2.6; check out release/2.6, 2.7 or develop, or "
            f"take it off PYTHONPATH and run: {mend}"
        )
