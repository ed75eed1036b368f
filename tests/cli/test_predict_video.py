"""Videos and cameras through the command."""

import json

import numpy as np

from ppdet_ext.cli import main
from ppdet_ext.runtime.video import Video
from ppdet_ext.visualize import write_image

from ..runtime.test_video import mjpeg_server
from ..runtime.tiny_model import BOXES
from ..runtime.videos import read_numbers, write_video


def test_images_and_videos_by_pattern(model, tmp_path, capsys):
    folder, output = tmp_path / "in", tmp_path / "out"
    (folder / "sub").mkdir(parents=True)
    for name in ("a.png", "sub/b.png"):
        write_image(folder / name, np.full((64, 128, 3), 255, np.uint8))
    clip = write_video(folder / "sub" / "clip.avi", 10, (128, 64), code="MJPG")
    assert main(["predict", "--model", model, str(folder / "**" / "*"), "--output", str(output)]) == 0
    video = output / "sub" / "clip.mp4"
    records = json.loads((output / "predictions.json").read_text(encoding="utf-8"))["images"]
    frames = records[2:]
    assert [(r["file"], r["frame"], r["video"]) for r in frames] == [
        (str(clip), number, str(video)) for number in range(10)
    ]
    assert all(len(record["detections"]) >= 1 for record in records)
    np.testing.assert_allclose(frames[3]["detections"][0]["box"], BOXES[0] * 2, rtol=1e-5)
    assert read_numbers(video) == list(range(10))
    with Video(video) as drawn, Video(clip) as plain:
        assert (drawn.fps, drawn.size, drawn.count) == (plain.fps, plain.size, plain.count)
        difference = np.abs(next(drawn).astype(int) - next(plain)).max(-1)
    x0, y0, x1, _ = (BOXES[0] * 2).astype(int)
    assert difference[y0, x0 + 10 : x1 - 10].mean() > 50 and difference[24:36, 60].mean() < 30
    assert "in 2 images and 10 frames; pictures in" in capsys.readouterr().out
    assert not [file for file in output.rglob("*") if ".part" in file.name]


def test_videos_beside_their_outputs_stay(model, tmp_path):
    path = write_video(tmp_path / "v.mp4", 8, (128, 64))
    before = path.read_bytes()
    assert main(["predict", "--model", model, str(path), "--output", str(tmp_path), "--frames", "5"]) == 0
    assert path.read_bytes() == before
    assert read_numbers(tmp_path / "v-2.mp4") == list(range(5))


def test_broken_videos_are_reported_and_what_they_have_is_kept(model, tmp_path, capsys):
    (tmp_path / "none.mp4").write_bytes(b"")
    cut = write_video(tmp_path / "cut.avi", 40, (128, 64), code="MJPG")
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    output = tmp_path / "out"
    command = ["predict", "--model", model, "--output", str(output)]
    assert main([*command, str(cut), str(tmp_path / "none.mp4")]) == 1
    error = capsys.readouterr().err
    assert "cut.avi: is truncated, it ends after" in error and "none.mp4: is empty" in error
    assert "2 of 2 inputs skipped or cut short" in error
    records = json.loads((output / "predictions.json").read_text(encoding="utf-8"))["images"]
    assert read_numbers(output / "cut.mp4") == list(range(len(records))) and len(records) > 5
    assert sorted(file.name for file in output.iterdir()) == ["cut.mp4", "predictions.json"]
    assert main([*command, str(tmp_path / "none.mp4")]) == 2
    assert "none of the 1 inputs could be read" in capsys.readouterr().err


def test_several_cameras_at_once(model, tmp_path, capsys):
    with mjpeg_server(None, 0.005) as first, mjpeg_server(None, 0.02) as second:
        gone = "http://127.0.0.1:9/gone"
        command = [
            "predict",
            "--model",
            model,
            first,
            gone,
            second,
            "--output",
            str(tmp_path),
            "--frames",
            "12",
        ]
        assert main(command) == 1
    assert "http://127.0.0.1:9/gone: gives no pictures" in capsys.readouterr().err
    records = json.loads((tmp_path / "predictions.json").read_text(encoding="utf-8"))["images"]
    for url in (first, second):
        mine = [record for record in records if record["file"] == url]
        assert [record["frame"] for record in mine] == list(range(12))
        numbers = read_numbers(mine[0]["video"])
        assert numbers == sorted(numbers) and len(set(numbers)) >= 2


def test_a_camera_that_stops(model, tmp_path, capsys):
    with mjpeg_server(9) as url:
        assert main(["predict", "--model", model, url, "--output", str(tmp_path), "--no-pictures"]) == 1
    assert "gives no more pictures after" in capsys.readouterr().err
    assert json.loads((tmp_path / "predictions.json").read_text(encoding="utf-8"))["images"]
