"""The command on videos with a known truth."""

import importlib.util
import json
import subprocess
import sys

import numpy as np
import pytest

from ppdet_ext.cli import main
from ppdet_ext.runtime.video import Video

from ..runtime.test_video import mjpeg_server
from ..runtime.tiny_model import write_folder
from ..runtime.videos import read_numbers, write_video
from ..tracking.colour_model import colour_folder
from ..tracking.scene import FRAMES, NAMES, write_scene, write_truth
from .interrupting import grows, interrupt

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("supervision") is None, reason="supervision has no version for this Python"
)


@pytest.fixture
def model(tmp_path, monkeypatch):
    return colour_folder(tmp_path / "model", monkeypatch)


def track(model, output, *arguments):
    return main(["track", "--model", model, "--output", str(output), *map(str, arguments)])


def test_two_videos_at_once_with_their_truths(model, tmp_path, capsys):
    first = write_scene(tmp_path / "a.avi")
    second = write_scene(tmp_path / "b.avi", frames=60)
    truths = [write_truth(tmp_path / "a.txt"), write_truth(tmp_path / "b.txt", frames=60)]
    output = tmp_path / "out"
    assert track(model, output, first, second, "--truth", truths[0], "--truth", truths[1]) == 0
    out = capsys.readouterr().out
    assert f"a.avi: {FRAMES} frames, 5 tracks" in out and "square: 3 in all, 3 at most at once" in out
    assert out.count("MOTA") == 2
    document = json.loads((output / "tracks.json").read_text(encoding="utf-8"))
    for record, frames in zip(document["streams"], (FRAMES, 60)):
        figures = record["truth"]
        assert figures["frames"] == record["frames"] == frames
        # While they cross, what is seen of the one behind is less than its box.
        assert figures["mota"] > 0.9 and figures["idf1"] > 0.9 and figures["switches"] == 0
        with Video(record["video"]) as drawn:
            assert (drawn.count, drawn.fps, drawn.size) == (frames, 25.0, (320, 240))
    assert {track["name"] for track in document["streams"][0]["tracks"]} == set(NAMES)
    rows = np.loadtxt(output / "a.tracks.txt", delimiter=",")
    lines = [json.loads(line) for line in (output / "a.tracks.jsonl").read_text().splitlines()]
    assert rows.shape[1] == 11 and set(rows[:, 0]) == set(range(1, FRAMES + 1)) and set(rows[:, 10]) == {0, 1}
    assert [line["frame"] for line in lines] == list(range(1, FRAMES + 1)) and lines[25]["seconds"] == 1.0
    assert sum(len(line["tracks"]) for line in lines) == len(rows)
    last, row = lines[-1]["tracks"][-1], rows[-1]
    assert last["id"] == row[1] and last["name"] == NAMES[int(row[10])]
    np.testing.assert_allclose(last["box"][2] - last["box"][0], row[4], atol=0.01)
    assert not list(output.glob("*.part*"))


def test_the_tracks_are_a_truth_of_themselves(model, tmp_path, capsys):
    video, output = write_scene(tmp_path / "a.avi", frames=40), tmp_path / "out"
    assert track(model, output, video, "--no-pictures") == 0
    assert not list(output.glob("*.mp4"))
    again = tmp_path / "again"
    truth = output / "a.tracks.txt"
    assert track(model, again, video, "--no-pictures", "--truth", truth, "--json") == 0
    document = json.loads(capsys.readouterr().out.split("tracks.json\n")[-1])
    assert document["streams"][0]["truth"]["mota"] == document["streams"][0]["truth"]["idf1"] == 1.0
    assert document["streams"][0]["video"] is None


def test_classes_and_frames(model, tmp_path, capsys):
    video, output = write_scene(tmp_path / "a.avi", frames=40), tmp_path / "out"
    assert track(model, output, video, "--frames", "10", "--no-pictures", "--classes", "disc") == 0
    (record,) = json.loads((output / "tracks.json").read_text(encoding="utf-8"))["streams"]
    assert record["frames"] == 10 and list(record["objects"]) == ["disc"]
    assert track(model, output, video, "--classes", "dics") == 2
    assert "--classes dics: the model knows no such class; did you mean 'disc'?" in capsys.readouterr().err


def test_cut_and_empty_videos_are_told_and_what_they_have_is_kept(model, tmp_path, capsys):
    (tmp_path / "none.mp4").write_bytes(b"")
    cut = write_scene(tmp_path / "cut.avi")
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    whole, output = write_scene(tmp_path / "whole.avi", frames=30), tmp_path / "out"
    assert track(model, output, cut, tmp_path / "none.mp4", whole) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 3 and "2 of 3 inputs skipped or cut short" in error
    assert "cut.avi: is truncated, it ends after" in error and "none.mp4: is empty" in error
    first, second = json.loads((output / "tracks.json").read_text(encoding="utf-8"))["streams"]
    assert 20 < first["frames"] < FRAMES and "is truncated" in first["failure"]
    assert (second["frames"], second["failure"]) == (30, None)
    with Video(first["video"]) as drawn:
        assert drawn.count == first["frames"]
    assert track(model, output, tmp_path / "none.mp4") == 2
    assert "none of the 1 inputs could be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["gone.mp4"], "gone.mp4: no such file or folder"),
        (["a.avi", "model/picture.png"], "picture.png: is a picture"),
        (["a.avi", "--truth", "a.txt", "--truth", "b.txt"], "--truth: 2 files, but 1 videos"),
        (["a.avi", "--truth", "b.txt"], "b.txt: cannot be read"),
        (["a.avi", "--threshold", "2"], "--threshold is 2.0"),
        (["a.avi", "--patience", "-1"], "--patience is -1.0"),
        (["a.avi", "--frames", "0"], "--frames is 0"),
        (["a.avi", "--truth", "a.txt", "--json", "a.txt"], "--json a.txt: is there and no JSON file"),
        (["a.avi", "--output", "a.txt"], "a.txt: "),
    ],
)
def test_bad_input_is_one_line(model, tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    write_scene(tmp_path / "a.avi", frames=4)
    write_truth(tmp_path / "a.txt", frames=4)
    (tmp_path / "model" / "picture.png").write_bytes(b"x")
    assert main(["track", "--model", model, *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_cameras(model, tmp_path, capsys):
    with mjpeg_server(None, 0.01) as first, mjpeg_server(None, 0.02) as second:
        assert track(model, tmp_path / "out", first, second, "--frames", "8") == 0
    records = json.loads((tmp_path / "out" / "tracks.json").read_text(encoding="utf-8"))["streams"]
    assert [record["frames"] for record in records] == [8, 8]


def test_ctrl_c_keeps_what_is_done(tmp_path):
    """With a real engine, in a process of its own."""
    model = write_folder(tmp_path / "tiny")
    video, output = write_video(tmp_path / "long.avi", 6000, (128, 64), code="MJPG"), tmp_path / "out"
    status, _, error = interrupt(
        "track", ["--model", model, video, "--output", output], grows(output / "long.part.mp4", 4000), 120
    )
    assert status == 130 and error == "interrupted\n"
    (record,) = json.loads((output / "tracks.json").read_text(encoding="utf-8"))["streams"]
    frames = record["frames"]
    assert 0 < frames < 6000
    assert read_numbers(output / "long.mp4") == [number % 256 for number in range(frames)]
    lines = (output / "long.tracks.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["frame"] for line in lines] == list(range(1, frames + 1))
    names = ["long.mp4", "long.tracks.jsonl", "long.tracks.txt", "tracks.json"]
    assert sorted(file.name for file in output.iterdir()) == names


def test_no_paddle_is_imported():
    program = (
        "import sys, ppdet_ext.cli.track, ppdet_ext.tracking.run\n"
        "ppdet_ext.tracking.Tracker(['cat'], 25.0)\n"
        "assert not {'paddle', 'ppdet'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_without_the_library_the_command_says_how_to_get_it(model, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "supervision", None)
    assert track(model, tmp_path / "out", write_scene(tmp_path / "a.avi", frames=4)) == 2
    error = capsys.readouterr().err
    assert "needs supervision, which is not installed; pip install" in error and error.count("\n") == 1
