"""What the tests of deploy/paddle_lite/cpp share: preprocessing, folders, images, how programs are run."""

import json
import platform
import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from ppdet_ext.export.device_cfg import write_device_cfg
from ppdet_ext.runtime.config import InferConfig

needs_compiler = pytest.mark.skipif(not shutil.which("g++"), reason="g++ is not installed")

HERE = Path(__file__).parents[2] / "deploy" / "paddle_lite" / "cpp"
# As CMakeLists.txt has it: no fused multiply-add.
COMMON = ["-std=c++17", "-Wall", "-Wextra", "-Werror", "-ffp-contract=off", f"-I{HERE / 'src'}"]
# OpenCV's own cubic sums in floats, eight at a time, on this processor only; elsewhere it may fuse or widen.
SAME_SUMS = platform.machine() in ("x86_64", "AMD64")
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
NORMALIZE = {"type": "NormalizeImage", "mean": MEAN, "std": STD, "is_scale": True}
BYTES = {"type": "NormalizeImage", "is_scale": False, "norm_type": "none"}
NMS = {
    "name": "MultiClassNMS",
    "score_threshold": 0.01,
    "nms_top_k": 1000,
    "keep_top_k": 300,
    "nms_threshold": 0.7,
}


def resize(height, width, keep_ratio, interp):
    return {"type": "Resize", "target_size": [height, width], "keep_ratio": keep_ratio, "interp": interp}


def pad(height, width, level):
    return {"type": "Pad", "size": [height, width], "fill_value": [level, level + 1, level + 2.5]}


CHAINS = {
    "ppyoloe": [resize(96, 128, False, 2), NORMALIZE],
    "ppyoloe_plus": [resize(96, 96, False, 2), {**NORMALIZE, "norm_type": "none"}],
    "raw levels": [
        resize(64, 96, False, 0),
        {**NORMALIZE, "mean": [103.53, 116.28, 123.675], "std": [57.375, 57.12, 58.395], "is_scale": False},
    ],
    "keep ratio, grey pad": [resize(128, 96, True, 1), pad(128, 128, 114.0), NORMALIZE],
    "pad behind": [
        resize(100, 120, True, 2),
        NORMALIZE,
        pad(128, 128, 0.1),
        {"type": "PadStride", "stride": 48},
    ],
    "area, stride": [resize(80, 120, True, 3), {"type": "PadStride", "stride": 32}, NORMALIZE],
    "two resizes": [resize(150, 90, False, 1), resize(64, 64, True, 3), NORMALIZE],
    "no resize": [NORMALIZE, {"type": "PadStride", "stride": 32}],
}
SHAPES = [(37, 200), (200, 37), (96, 128), (192, 256), (241, 333), (48, 64), (9, 7), (720, 1280)]


def compile_with(flags, folder, *arguments):
    command = ["g++", *COMMON, *flags, *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# For tests that compile more: once is enough.
sanitised = pytest.mark.parametrize("build", ["sanitised"], indirect=True)


def run(program, *arguments):
    done = subprocess.run([program, *map(str, arguments)], capture_output=True)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def refused(program, *arguments):
    """The one line that a program says when it refuses."""
    status, out, error = run(program, *arguments)
    assert status == 2 and not out, (status, out, error)
    assert error.endswith("\n") and error.count("\n") == 1, error
    return error[:-1]


def write_folder(folder, operators, nms=NMS, names=("person", "traffic light")):
    folder.mkdir(exist_ok=True)
    content = {"outputs": "raw", "label_list": list(names), "NMS": nms}
    content["Preprocess"] = [*operators, {"type": "Permute"}]
    (folder / "infer_cfg.yml").write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    write_device_cfg(folder)
    return InferConfig.load(folder)


def write_ppm(path, image):
    path.write_bytes(b"P6\n%d %d\n255\n" % image.shape[1::-1] + image.tobytes())
    return path


def random_image(rng, height, width):
    """Smooth areas and edges: the levels between 0 and 255 and the ends, where interpolation saturates."""
    coarse = rng.integers(0, 256, (height // 4 + 2, width // 4 + 2, 3), dtype=np.uint8)
    image = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    image[: height // 3] = rng.integers(0, 2, (height // 3, width, 3), dtype=np.uint8) * 255
    return image


def preprocessed(program, folder, image):
    """The network's input as `process_check` writes it, and what it printed."""
    ppm = write_ppm(folder / "image.ppm", image)
    status, out, error = run(program, folder, ppm, folder / "input.f32")
    assert status == 0, error
    report = json.loads(out)
    return np.fromfile(folder / "input.f32", np.float32).reshape(report["shape"])[0], report


def crowd(seed, count, classes, step=None):
    """Boxes in heaps around a few objects; with `step` rounded, so that boxes and scores coincide."""
    rng = np.random.default_rng(seed)
    objects = max(count // 25, 2)
    centres, sides = rng.uniform(0, 600, (objects, 2)), rng.uniform(30, 200, (objects, 2))
    owner = rng.integers(objects, size=count)
    centre = centres[owner] + rng.normal(0, 0.15, (count, 2)) * sides[owner]
    side = sides[owner] * np.exp(rng.normal(0, 0.15, (count, 2)))
    boxes = np.concatenate([centre - side / 2, centre + side / 2], 1)
    scores = rng.beta(0.3, 8, (classes, count))
    scores[rng.integers(classes, size=objects)[owner], np.arange(count)] = rng.beta(1, 2, count)
    if step:
        boxes, scores = np.round(boxes / 40) * 40, np.round(scores / step) * step
    return boxes.astype(np.float32), scores.astype(np.float32)
