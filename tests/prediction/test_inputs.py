"""What inputs stand for, and where outputs go."""

from pathlib import Path

import pytest

from ppdet_ext.prediction.coco_ids import CocoIds
from ppdet_ext.prediction.inputs import find_inputs
from ppdet_ext.prediction.outputs import Names


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("in/a.jpg", "in/b.MP4", "in/note.txt", "in/sub/c.png", "in/sub/d.avi", "in/sub/e[1].png"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "empty").mkdir()
    return tmp_path


def plain(pairs):
    return [(str(file), str(name)) for file, name in pairs]


def test_folders_files_and_cameras(here):
    found = find_inputs(["in", "in/note.txt", "camera:0", "rtsp://x/a", "in/a.jpg", "camera:0"])
    assert plain(found.images) == [
        ("in/a.jpg", "a.jpg"),
        ("in/sub/c.png", "sub/c.png"),
        ("in/sub/e[1].png", "sub/e[1].png"),
        ("in/note.txt", "note.txt"),  # named, so it is tried
    ]
    assert plain(found.videos) == [("in/b.MP4", "b.MP4"), ("in/sub/d.avi", "sub/d.avi")]
    assert found.cameras == ["camera:0", "rtsp://x/a"]


@pytest.mark.parametrize(
    "pattern, images, videos",
    [
        ("in/*", [("in/a.jpg", "a.jpg")], [("in/b.MP4", "b.MP4")]),
        ("in/**/*.png", [("in/sub/c.png", "sub/c.png"), ("in/sub/e[1].png", "sub/e[1].png")], []),
        ("**/[cd].*", [("in/sub/c.png", "in/sub/c.png")], [("in/sub/d.avi", "in/sub/d.avi")]),
        ("in/s?b/c.png", [("in/sub/c.png", "sub/c.png")], []),
        ("in/sub/e[1].png", [("in/sub/e[1].png", "e[1].png")], []),  # a name comes before a pattern
    ],
)
def test_patterns(here, pattern, images, videos):
    found = find_inputs([pattern])
    assert (plain(found.images), plain(found.videos)) == (images, videos)


@pytest.mark.parametrize(
    "path, message",
    [
        ("nowhere", "nowhere: no such file or folder"),
        ("in/*.webp", r"in/\*.webp: matches no images or videos"),
        ("in/*.txt", r"in/\*.txt: matches no images or videos"),
        ("empty", "empty: holds no images or videos"),
    ],
)
def test_what_gives_nothing(here, path, message):
    with pytest.raises(ValueError, match=message):
        find_inputs([path])


def test_names_never_meet(here):
    names = Names(Path("in"), [Path("in/a.jpg"), Path("in/b.mp4")])
    assert [str(names.picture(Path(name))) for name in ("a.jpg", "a.bmp", "a.png", "s/a.jpg")] == [
        "in/a-2.jpg",
        "in/a-3.jpg",
        "in/a.png",
        "in/s/a.jpg",
    ]
    assert [str(names.video(Path(name))) for name in ("b.avi", "c.mkv")] == ["in/b-2.mp4", "in/c.mp4"]
    assert [str(names.camera(name)) for name in ("camera:0", "camera:0", "rtsp://10.0.0.1:554/a?b=1")] == [
        "in/camera-0.mp4",
        "in/camera-0-2.mp4",
        "in/rtsp-10.0.0.1-554-a-b-1.mp4",
    ]


def test_reports_lie_on_nothing(here):
    names = Names(Path("out"), [Path("in/a.jpg")])
    names.report("--json", "out/a.jpg")
    assert str(names.picture(Path("a.jpg"))) == "out/a-2.jpg"
    for path, message in (
        ("in/../in/a.jpg", "is an input, --csv would overwrite it"),
        ("out/../out/a.jpg", "is written already, --csv needs a file of its own"),
        ("in", "is a folder; name a file for --csv"),
    ):
        with pytest.raises(ValueError, match=message):
            names.report("--csv", path)


def test_coco_ids(tmp_path):
    path = tmp_path / "anno.json"
    path.write_text(
        '{"images": [{"id": 7, "file_name": "a.jpg"}, {"id": 9, "file_name": "val/b.jpg"}],'
        ' "categories": [{"id": 18, "name": "dog"}, {"id": 3, "name": "cat"}]}'
    )
    ids = CocoIds(path, ["cat", "dog"])
    assert ids.categories == [3, 18]
    assert ids.image_id(Path("/x/a.jpg"), Path("a.jpg")) == 7
    assert ids.image_id(Path("/data/val/b.jpg"), Path("b.jpg")) == 9
    assert ids.image_id(Path("/data/b.jpg"), Path("val/b.jpg")) == 9
    with pytest.raises(ValueError, match="b.jpg: .*anno.json has no image of this name"):
        ids.image_id(Path("/data/b.jpg"), Path("b.jpg"))
    with pytest.raises(ValueError, match="its 2 categories .* are not the model's 2 classes"):
        CocoIds(path, ["dog", "cat"])
    for content, message in (
        ("{", "is not COCO instances"),
        ("[]", "is not COCO"),
        ('{"images": []}', "is not"),
    ):
        path.write_text(content)
        with pytest.raises(ValueError, match=f"anno.json: {message}"):
            CocoIds(path, ["cat"])
    with pytest.raises(ValueError, match="none.json: cannot be read"):
        CocoIds(tmp_path / "none.json", ["cat"])
