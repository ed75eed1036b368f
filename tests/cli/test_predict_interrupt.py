"""Ctrl-C, pressed while the command works in a process of its own: what is done by then is whole."""

import csv
import json

import cv2
import numpy as np

from ppdet_ext.runtime.image import read_image

from ..runtime.test_video import mjpeg_server
from ..runtime.videos import read_numbers, write_video
from .interrupting import grows, interrupt


def test_ctrl_c_in_a_long_video(model, tmp_path):
    video = write_video(tmp_path / "long.avi", 6000, (128, 64), code="MJPG")
    output, table = tmp_path / "out", tmp_path / "all.csv"
    status, out, error = interrupt(
        "predict",
        ["--model", model, video, "--output", output, "--csv", table],
        grows(output / "long.part.mp4", 4000),
    )
    assert status == 130 and out == ""
    assert error.startswith("interrupted: ") and error.count("\n") == 1
    records = json.loads((output / "predictions.json").read_text(encoding="utf-8"))["images"]
    assert 0 < len(records) < 6000 and f"in {len(records)} frames" in error
    assert read_numbers(output / "long.mp4") == [number % 256 for number in range(len(records))]
    with open(table, encoding="utf-8", newline="") as file:
        last = list(csv.DictReader(file))[-1]
    assert int(last["frame"]) == len(records) - 1
    assert sorted(file.name for file in output.iterdir()) == ["long.mp4", "predictions.json"]


def test_ctrl_c_before_an_endless_camera(model, tmp_path):
    with mjpeg_server(None, 0.02) as url:
        # The report is written in pieces of some kilobytes: some dozens of frames.
        report = tmp_path / "predictions.json.part"
        status, out, error = interrupt(
            "predict", ["--model", model, url, "--output", tmp_path], grows(report, 4000)
        )
    assert status == 130 and out == "" and error.startswith("interrupted: ") and error.count("\n") == 1
    records = json.loads((tmp_path / "predictions.json").read_text(encoding="utf-8"))["images"]
    numbers = read_numbers(records[0]["video"])
    assert len(records) > 20 and len(set(numbers)) > 5
    assert all(after >= before or before > 250 for before, after in zip(numbers, numbers[1:]))
    assert not list(tmp_path.glob("*.part*"))


def test_ctrl_c_among_images(model, tmp_path):
    folder, output = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    data = cv2.imencode(".png", np.full((400, 400, 3), 255, np.uint8))[1].tobytes()
    for number in range(1500):
        (folder / f"{number:04}.png").write_bytes(data)
    status, out, error = interrupt(
        "predict",
        ["--model", model, folder, "--output", output, "--batch", "2"],
        (output / "0003.png").is_file,
    )
    assert status == 130 and error.startswith("interrupted: ") and error.count("\n") == 1
    records = json.loads((output / "predictions.json").read_text(encoding="utf-8"))["images"]
    assert [record["file"] for record in records] == [
        str(folder / f"{number:04}.png") for number in range(len(records))
    ]
    assert 3 < len(records) < 1500
    assert sorted(output.glob("*.png")) == [output / f"{number:04}.png" for number in range(len(records))]
    assert all(read_image(file).shape == (400, 400, 3) for file in output.glob("*.png"))
