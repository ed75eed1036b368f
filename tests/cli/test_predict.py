import csv
import json

import cv2
import numpy as np
import pytest

from ppdet_ext.cli import main
from ppdet_ext.runtime.image import read_image

from ..runtime.tiny_model import BOXES
from ..runtime.videos import write_video


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


def test_options_that_cannot_work(model, images, capsys):
    for options, message in (
        (["--batch", "0"], "--batch is 0"),
        (["--frames", "0"], "--frames is 0"),
        (["--anno", "a.json"], "name their file with --coco"),
        (["--device", "tpu"], "device 'tpu' is not known"),
        (["--json", str(images / "a.png")], "is an input, --json would overwrite it"),
    ):
        assert main(["predict", "--model", model, str(images), *options]) == 2
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1


@pytest.mark.parametrize("batch", ["1", "3", "8"])
def test_every_batch_gives_the_same(model, images, tmp_path, batch):
    (images / "broken.png").write_text("no image")
    output = tmp_path / "out"
    assert main(["predict", "--model", model, str(images), "--output", str(output), "--batch", batch]) == 1
    records = json.loads((output / "predictions.json").read_text(encoding="utf-8"))["images"]
    assert [record["file"] for record in records] == [
        str(images / name) for name in ("a.png", "b 1.JPG", "sub/a.png", "sub/ü.bmp")
    ]
    for record in records:
        np.testing.assert_allclose(record["detections"][0]["box"], BOXES[0] * 2, rtol=1e-5)


def test_without_pictures(model, images, tmp_path, capsys):
    output = tmp_path / "out"
    assert main(["predict", "--model", model, str(images), "--output", str(output), "--no-pictures"]) == 0
    assert [file.name for file in output.iterdir()] == ["predictions.json"]
    records = json.loads((output / "predictions.json").read_text(encoding="utf-8"))["images"]
    assert [sorted(record) for record in records] == [["detections", "file"]] * 4
    assert "pictures in" not in capsys.readouterr().out


def test_csv_and_coco(model, images, tmp_path):
    (images / "aa.png").write_text("no image")
    files = {kind: tmp_path / f"all.{kind}" for kind in ("csv", "coco", "json")}
    options = [part for kind, file in files.items() for part in (f"--{kind}", str(file))]
    assert main(["predict", "--model", model, str(images), "--no-pictures", *options]) == 1
    records = json.loads(files["json"].read_text(encoding="utf-8"))["images"]
    assert [record["id"] for record in records] == [1, 3, 4, 5]  # the second cannot be read
    results = json.loads(files["coco"].read_text())
    assert [(result["image_id"], result["category_id"]) for result in results] == [
        (number, category) for number in (1, 3, 4, 5) for category in (1, 2)
    ]
    sides = np.concatenate([BOXES[0, :2] * 2, (BOXES[0, 2:] - BOXES[0, :2]) * 2])
    np.testing.assert_allclose(results[0]["bbox"], sides, rtol=1e-5)
    with open(files["csv"], encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["file"], row["frame"], row["name"]) for row in rows[:2]] == [
        (str(images / "a.png"), "", "cat"),
        (str(images / "a.png"), "", "dog"),
    ]
    assert len(rows) == 8 and abs(float(rows[0]["score"]) - 0.9) < 1e-5


def test_coco_with_the_ids_of_an_annotation_file(model, images, tmp_path, capsys):
    anno = tmp_path / "anno.json"
    content = {
        "images": [
            {"id": 10 + number, "file_name": name}
            for number, name in enumerate(("sub/ü.bmp", "b 1.JPG", "a.png", "sub/a.png"))
        ],
        "categories": [{"id": 44, "name": "dog"}, {"id": 17, "name": "cat"}],
    }
    anno.write_text(json.dumps(content))
    command = ["predict", "--model", model, "--no-pictures", "--output", str(tmp_path / "out")]
    coco = ["--coco", str(tmp_path / "coco.json"), "--anno", str(anno)]
    # The model's labels are cat, dog: by rising id
    assert main([*command, str(images), *coco]) == 0
    results = json.loads((tmp_path / "coco.json").read_text())
    assert [(result["image_id"], result["category_id"]) for result in results] == [
        (number, category) for number in (12, 11, 13, 10) for category in (17, 44)
    ]
    video = write_video(tmp_path / "v.mp4", 3)
    for inputs, message in (
        ([str(video)], "v.mp4: is no image, and --anno knows images only"),
        ([str(images / "sub" / "a.png"), str(images / "a.png")], "has the name of"),
        ([str(tmp_path / "other.png")], "has no image of this name"),
    ):
        (tmp_path / "other.png").touch()
        before = (tmp_path / "coco.json").read_bytes()
        assert main([*command, *inputs, *coco]) == 2
        assert message in capsys.readouterr().err and (tmp_path / "coco.json").read_bytes() == before


def test_test_time_augmentation(model, images, tmp_path, capsys):
    """The tiny model finds the same whatever it sees: mirrored, its boxes come out on both sides."""
    output = tmp_path / "out"
    arguments = ["predict", "--model", model, str(images / "a.png"), "--output", str(output), "--no-pictures"]
    assert main([*arguments, "--tta", "flip", "--tta-merge", "wbf", "--threshold", "0.4"]) == 0
    report = json.loads((output / "predictions.json").read_text())
    assert report["tta"] == {"views": "flip", "merge": "wbf"}
    found = report["images"][0]["detections"]
    left, top, right, bottom = BOXES[0] * 2
    expected = [[left, top, right, bottom], [128 - right, top, 128 - left, bottom]]
    np.testing.assert_allclose(sorted(each["box"] for each in found), sorted(expected), rtol=1e-5)
    np.testing.assert_allclose([each["score"] for each in found], 0.45, rtol=1e-5)  # seen by one of two
    capsys.readouterr()
    for flags, message in (
        (["--tta", "flip,0.75"], "one size, so only 'flip' works"),
        (["--tta-merge", "wbf"], "--tta-merge: merges views, which --tta names"),
    ):
        assert main([*arguments, *flags]) == 2
        assert message in capsys.readouterr().err
