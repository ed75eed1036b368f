"""The runtime where there is nothing but NumPy, OpenCV, PyYAML and one engine: as on a device."""

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from .tiny_model import BOXES, KEPT, write_folder

ROOT = Path(__file__).resolve().parents[2]
LISTS = ROOT / "scripts" / "requirements"
# The pinned versions of the project, by the list that holds them.
ENGINES = {"onnxruntime": "base.txt", "openvino": "extra-openvino.txt"}
PROGRAM = """
import importlib.util, json, sys
import numpy as np
from ppdet_ext.runtime import Detector

for absent in ("paddle", "ppdet", "onnx", "tqdm", "matplotlib", "pycocotools"):
    assert importlib.util.find_spec(absent) is None, absent
folder, backend, image = sys.argv[1:]
detector = Detector(folder, backend=backend)
batch = np.full((2, 64, 128, 3), 255, np.uint8)
found = [*detector.predict(batch), *detector.predict([image])]
assert not {"paddle", "ppdet"} & set(sys.modules)
print(json.dumps([{"boxes": d.boxes.tolist(), "labels": d.labels.tolist()} for d in found]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_an_environment_with_one_engine_detects(tmp_path, engine):
    if engine == "openvino" and sys.version_info < (3, 10):
        pytest.skip("the list of OpenVINO's versions is for Python 3.10 and newer")
    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    python = environment / "bin" / "python"
    pins = [argument for name in {"base.txt", ENGINES[engine]} for argument in ("-c", LISTS / name)]
    packages = ["numpy", "opencv-python-headless", "PyYAML", engine]
    install = [python, "-m", "pip", "--disable-pip-version-check", "install", "-q", *pins, *packages]
    done = subprocess.run(install, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout[-2000:]

    folder = write_folder(tmp_path / "exported")
    image = tmp_path / "white.png"
    cv2.imwrite(str(image), np.full((64, 128, 3), 255, np.uint8))
    run = subprocess.run(
        [python, "-c", PROGRAM, folder, engine, image],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)},
    )
    assert run.returncode == 0, run.stderr[-2000:]
    answers = json.loads(run.stdout)
    assert len(answers) == 3
    for answer in answers:
        np.testing.assert_allclose(answer["boxes"], BOXES[KEPT["indices"]] * 2, rtol=1e-6)
        assert answer["labels"] == KEPT["labels"]
