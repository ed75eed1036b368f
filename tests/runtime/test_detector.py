import subprocess
import sys

import cv2
import numpy as np
import pytest

from ppdet_ext.runtime import Detector
from ppdet_ext.runtime.backends import BACKENDS

from .tiny_model import BOXES, KEPT, NAMES, write_folder, write_paddle_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("export") / "tiny")


@pytest.fixture(scope="module")
def detector(folder):
    return Detector(folder, threads=1)


def white(height=64, width=128):
    return np.full((height, width, 3), 255, np.uint8)


def check(found, height, width):
    expected = BOXES[KEPT["indices"]] * [width / 64, height / 32, width / 64, height / 32]
    np.testing.assert_allclose(found.boxes, expected, rtol=1e-6)
    np.testing.assert_allclose(found.scores, KEPT["scores"], rtol=1e-6)
    assert found.labels.tolist() == KEPT["labels"] and found.names == NAMES


def test_known_answers_in_pixels_of_the_input(detector):
    for height, width in ((64, 128), (32, 64), (50, 50)):
        (found,) = detector.predict(white(height, width))
        check(found, height, width)


@pytest.mark.parametrize("batch_size", [1, 2, 3, 8])
def test_any_batch_size_gives_each_image_its_own_answer(detector, batch_size):
    shapes = [(32, 64), (64, 64), (20, 200), (40, 41), (90, 30)]
    images = [white(*shape) for shape in shapes]
    images[2] = images[2] * 0  # black: the model scores nothing
    found = detector.predict(images, batch_size=batch_size)
    assert [len(each) for each in found] == [4, 4, 0, 4, 4]
    for number in (0, 1, 3, 4):
        check(found[number], *shapes[number])


def test_paths_arrays_and_iterators_agree(detector, tmp_path):
    path = tmp_path / "weiß 1.png"
    path.write_bytes(cv2.imencode(".png", white(40, 70))[1].tobytes())
    for images in (path, str(path), [path, white(40, 70)], np.stack([white(40, 70)] * 2), iter([str(path)])):
        for found in detector.predict(images):
            check(found, 40, 70)
    assert detector.predict(path)[0].source == str(path)
    assert detector.predict([]) == []


def test_threshold(detector):
    (found,) = detector.predict(white(), score_threshold=0.5)
    assert found.labels.tolist() == [0, 1]


def test_the_second_image_can_be_wrong(detector, tmp_path):
    with pytest.raises(ValueError, match="none.jpg"):
        detector.predict([white(), tmp_path / "none.jpg"])
    with pytest.raises(ValueError, match="image 1: an array of float32"):
        detector.predict([white(), white().astype(np.float32)])
    with pytest.raises(ValueError, match="batch_size is 0"):
        detector.predict(white(), batch_size=0)


def test_imports_neither_paddle_nor_ppdet(folder):
    code = (
        "import sys, numpy as np\n"
        "from ppdet_ext.runtime import Detector\n"
        f"Detector({str(folder)!r}).predict(np.zeros((8, 8, 3), np.uint8))\n"
        "heavy = {'paddle', 'ppdet', 'torch', 'matplotlib', 'pycocotools', 'sklearn', 'onnx'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "[]", "")


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"outputs": None}, "does not say 'outputs: raw'"),
        ({"label_list": None}, "key 'label_list' is missing"),
        ({"Preprocess": []}, "key 'Preprocess' is missing"),
        ({"NMS": "yes"}, "key 'NMS' is missing or not a dict"),
        ({"Preprocess": [{"type": "Mosaic"}]}, "'Mosaic' is not known"),
    ],
)
def test_bad_settings_name_the_file(tmp_path, changes, message):
    with pytest.raises(ValueError, match=f"infer_cfg.yml: .*{message}"):
        Detector(write_folder(tmp_path, **changes))


def test_disagreeing_classes_and_sizes(tmp_path):
    with pytest.raises(ValueError, match="label_list has 1 names, but the model scores 2 classes"):
        Detector(write_folder(tmp_path / "a", label_list=["cat"])).predict(white())
    resize = [{"type": "Resize", "target_size": [64, 64], "keep_ratio": False}, {"type": "Permute"}]
    with pytest.raises(ValueError, match=r"model.onnx: takes .* but the batch is \[1, 3, 64, 64\]"):
        Detector(write_folder(tmp_path / "b", Preprocess=resize)).predict(white())


def test_broken_folders(tmp_path, folder):
    with pytest.raises(ValueError, match="nowhere: no such folder"):
        Detector(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="has no infer_cfg.yml"):
        Detector(tmp_path)
    broken = write_folder(tmp_path / "broken")
    (broken / "model.onnx").write_bytes((folder / "model.onnx").read_bytes()[:100])
    with pytest.raises(ValueError, match="model.onnx: ONNX Runtime .* cannot load it"):
        Detector(broken)
    (broken / "model.onnx").unlink()
    with pytest.raises(ValueError, match="model.onnx: is missing"):
        Detector(broken)
    (broken / "infer_cfg.yml").write_text("a: !!python/object/apply:os.system ['true']")
    with pytest.raises(ValueError, match="infer_cfg.yml: is not plain YAML"):
        Detector(broken)


def test_backends_by_name(folder, monkeypatch):
    with pytest.raises(ValueError, match="backend 'onnx_runtime' is not known; did you mean 'onnxruntime'"):
        Detector(folder, "onnx_runtime")
    with pytest.raises(ValueError, match="threads is 0"):
        Detector(folder, threads=0)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.delitem(sys.modules, "ppdet_ext.runtime.backends.onnxruntime", raising=False)
    with pytest.raises(ValueError, match="needs the package onnxruntime, .* pip install onnxruntime"):
        Detector(folder)


@pytest.mark.parametrize("name", BACKENDS)
def test_every_engine_in_a_pipeline(tmp_path, name):
    """Real engines, run by the pipeline's thread into the pipeline's arrays."""
    if name not in ("onnxruntime", "openvino", "paddle_inference", "paddle"):
        pytest.skip("needs a file of its own")
    pytest.importorskip(BACKENDS[name][0], reason="the engine is absent")
    folder = write_folder(tmp_path / "tiny")
    detector = Detector(write_paddle_model(folder) if "paddle" in name else folder, name, 1)
    images = [white(32 + number, 64) if number % 3 else white() * 0 for number in range(23)]
    for _ in range(2):
        found = detector.predict(images, 2)
        assert [len(each) for each in found] == [4 if number % 3 else 0 for number in range(23)]
        for number in (1, 10, 22):
            check(found[number], 32 + number, 64)
        check(detector.predict(images[7])[0], 39, 64)


def test_paddle_inference_gives_the_same(tmp_path):
    """A Paddle program with the same answers as the ONNX one, saved as Paddle saves it."""
    pytest.importorskip("paddle", reason="the engine is Paddle's")
    folder = write_paddle_model(write_folder(tmp_path / "tiny"))
    detector = Detector(folder, "paddle_inference", threads=1)
    first, second = detector.predict([white(32, 64), white(64, 64)])
    check(first, 32, 64)
    check(second, 64, 64)
    # Paddle 3 writes model.json, Paddle 2 model.pdmodel
    program = next(file for file in (folder / "model.json", folder / "model.pdmodel") if file.is_file())
    weights = folder / "model.pdiparams"
    contents = {file: file.read_bytes() for file in (program, weights)}
    no_program = "is empty or no Paddle program"
    no_weights = "is empty, truncated or no Paddle weights"
    for file, content, message in (
        (program, b"nonsense", no_program),
        (program, b"", no_program),
        (program, contents[program][: len(contents[program]) // 2], "Paddle Inference cannot load it"),
        (weights, contents[weights][:-4], no_weights),
        (weights, b"", no_weights),
        (weights, b"nonsense" * 9, no_weights),
    ):
        for whole in contents:
            whole.write_bytes(contents[whole])
        file.write_bytes(content)
        with pytest.raises(ValueError, match=f"{file.name}: {message}"):
            Detector(folder, "paddle_inference")
    with pytest.raises(ValueError, match="has neither model.json nor model.pdmodel"):
        Detector(write_folder(tmp_path / "onnx only"), "paddle_inference")
