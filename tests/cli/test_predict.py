import json

import cv2
import numpy as np
import pytest

from ppdet_ext.cli import main
from ppdet_ext.runtime.image import read_image

from ..runtime.tiny_model import BOXES, write_folder


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(write_folder(tmp_path_factory.mktemp("export") / "tiny"))


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    for name in ("a.png", "b 1.JPG", "sub/a.png", "sub/ü.bmp"):
        suffix = "." + name.rsplit(".", 1)[1]
        (folder / name).write_bytes(cv2.imencode(suffix, np.full((64, 128, 3), 255, np.uint8))[1].tobytes())
    return folder


def contents(folder):
    return {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_pictures_and_json(model, images, tmp_path, capsys):
    before, output = contents(images), tmp_path / "out"
    assert main(["predict", "--model", model, str(images), "--output", str(output)]) == 0
    assert contents(images) == before
    assert sorted(str(file.relative_to(output)) for file in output.rglob("*") if file.is_file()) == [
        "a.png",
        "b 1.jpg",
        "predictions.json",
        "sub/a.png",
        "sub/ü.jpg",
    ]
    report = json.loads((output / "predictions.json").read_text(encoding="utf-8"))
    assert report["names"] == ["cat", "dog"] and len(report["images"]) == 4
    record = report["images"][0]
    assert record["file"] == str(images / "a.png")
    assert [found["name"] for found in record["detections"]] == ["cat", "dog"]
    np.testing.assert_allclose(record["detections"][0]["box"], BOXES[0] * 2, rtol=1e-5)
    picture = read_image(record["picture"])
    assert picture.shape == (192, 384, 3) and (picture != 255).any()
    assert "8 detections in 4 images" in capsys.readouterr().out


def test_threshold_and_json_file(model, images, tmp_path):
    file = tmp_path / "new" / "all.json"
    arguments = ["--threshold", "0.7", "--json", str(file), "--output", str(tmp_path / "out")]
    assert main(["predict", "--model", model, str(images / "a.png"), *arguments]) == 0
    assert [found["label"] for found in json.loads(file.read_text())["images"][0]["detections"]] == [0]


def test_inputs_are_never_written_over(model, images):
    before = contents(images)
    assert main(["predict", "--model", model, str(images), "--output", str(images)]) == 0
    after = contents(images)
    assert {file: after[file] for file in before} == before
    assert (images / "a-2.png").is_file() and (images / "sub" / "a-2.png").is_file()


def test_same_names_from_two_folders(model, images, tmp_path):
    output = tmp_path / "out"
    paths = [str(images / "a.png"), str(images / "sub" / "a.png"), str(images / "a.png")]
    assert main(["predict", "--model", model, *paths, "--output", str(output)]) == 0
    assert sorted(file.name for file in output.glob("*.png")) == ["a-2.png", "a.png"]


def test_unreadable_images_are_reported_and_skipped(model, images, tmp_path, capsys):
    (images / "empty.jpg").touch()
    (images / "text.png").write_text("no image")
    output = tmp_path / "out"
    assert main(["predict", "--model", model, str(images), "--output", str(output)]) == 1
    error = capsys.readouterr().err
    assert (
        "empty.jpg: is empty" in error and "text.png: is not an image" in error and "2 of 6 images" in error
    )
    assert len(json.loads((output / "predictions.json").read_text(encoding="utf-8"))["images"]) == 4


@pytest.mark.parametrize(
    "paths, options, message",
    [
        (["nowhere"], [], "nowhere: no such file or folder"),
        (["bare"], [], "bare: holds no images"),
        (["bare/note.txt"], [], "none of the 1 images could be read"),
        (["in"], ["--threshold", "2"], "--threshold is 2.0"),
        (["in"], ["--backend", "onnx"], "did you mean 'onnxruntime'"),
        (["in"], ["--model", "bare"], "bare: has no infer_cfg.yml"),
    ],
)
def test_what_cannot_work_ends_with_2(model, images, tmp_path, monkeypatch, capsys, paths, options, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "note.txt").write_text("no image")
    assert main(["predict", "--model", model, *paths, *options]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "output").exists()
