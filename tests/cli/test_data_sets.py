"""`ppdet-ext data convert`, `split` and `show` as a user runs them: one after the other on one dataset."""

import json

import cv2
import pytest

from ppdet_ext.cli import main
from ppdet_ext.runtime.image import read_image
from tests.data.small_sets import write_picture, write_text
from tests.training.tiny import make_workplace


@pytest.fixture
def yolo(tmp_path):
    """20 pictures: 1 and 2 alike, the last without a label file, the one before with a box without area."""
    root = tmp_path / "my set"
    write_text(root / "data.yaml", "names: [cat, dog]")
    for number in range(1, 21):
        write_picture(root / f"images/{number:02d}.png", 100, 80, seed=max(number, 2))
        lines = ["0 0.5 0.5 0.2 0.2"] * 2 + ["1 0.25 0.25 0.1 0.1"] * (number % 2)
        if number < 20:
            write_text(root / f"labels/{number:02d}.txt", "\n".join(lines))
    write_text(root / "labels/19.txt", "1 0.5 0.5 0 0")
    return root


@pytest.fixture
def converted(yolo, capsys):
    assert main(["data", "convert", str(yolo), "--out", str(yolo / "annotations/all.json")]) == 0
    return yolo, capsys.readouterr().out


def run(capsys, *arguments, status=0):
    assert main(["data", *map(str, arguments)]) == status
    said = capsys.readouterr()
    return said.out if status == 0 else said.err


def test_convert_says_what_it_did(converted):
    root, out = converted
    assert "19.txt:1 (dog): box 50 40 50 40 has no area; left out" in out
    assert "1 pictures have no label file and count as images without boxes: images/20.png" in out
    lines = [line.split() for line in out.splitlines()]
    for row in (["cat", "36", "18"], ["dog", "9", "9"], ["no", "boxes", "2"], ["all", "45", "20"]):
        assert row in lines
    assert f"images are named from {root / 'images'} on" in out
    assert "image_dir: images" in out and "anno_path: annotations/all.json" in out and "num_classes: 2" in out


def test_labels_come_from_a_text_file(yolo, tmp_path, capsys):
    out = tmp_path / "a.json"
    error = run(capsys, "convert", yolo, "--out", out, "--labels", yolo / "data.yaml", status=2)
    assert "data.yaml: a list of labels is a text file" in error
    labels = write_text(tmp_path / "labels.txt", "\ufeffone\r\n\r\ntwo \r\n")
    run(capsys, "convert", yolo, "--out", out, "--labels", labels)
    assert [c["name"] for c in json.loads(out.read_text())["categories"]] == ["one", "two"]


def test_paddledetection_reads_what_is_printed(converted):
    import ppdet_ext

    ppdet_ext.setup()
    from ppdet.data.source import COCODataSet

    root, _ = converted
    dataset = COCODataSet(str(root), "images", "annotations/all.json", ["image", "gt_bbox", "gt_class"])
    dataset.allow_empty = True
    dataset.parse_dataset()
    assert len(dataset.roidbs) == 20 and dataset.roidbs[0]["gt_bbox"].tolist()[0] == [40, 32, 60, 48]
    assert dataset.cname2cid == {"cat": 0, "dog": 1}


def test_nothing_is_written_over(converted, capsys):
    root, _ = converted
    path = root / "annotations/all.json"
    before = path.read_bytes()
    arguments = ("convert", root, "--out", path, "--unlabelled", "skip")
    assert "is already there" in run(capsys, *arguments, status=2)
    assert path.read_bytes() == before
    run(capsys, *arguments, "--force")
    assert len(json.loads(path.read_text())["images"]) == 19


@pytest.mark.parametrize(
    "file, content, message",
    [
        ("labels/05.txt", "0 0.5 0.5 0.2", "labels/05.txt:1: 4 columns"),
        ("labels/05.txt", "0 0.5 0.5 0.2 0.2\n0 50 40 10 10", "labels/05.txt:2: 50 is no share"),
        ("labels/05.txt", "2 0.5 0.5 0.2 0.2", "labels/05.txt:1: class 2, but"),
        ("images/05.png", "no picture", "images/05.png: is not an image"),
    ],
)
def test_faults_end_in_one_line_and_no_file(yolo, tmp_path, capsys, file, content, message):
    write_text(yolo / file, content)
    error = run(capsys, "convert", yolo, "--out", tmp_path / "a.json", status=2)
    assert message in error and error.count("\n") == 1
    assert not (tmp_path / "a.json").exists()


def test_split_keeps_pictures_alike_together(converted, capsys):
    root, _ = converted
    source = root / "annotations/all.json"
    out = run(capsys, "split", source, "--images", root / "images", "--parts", "train,val=0.25,test=5")
    assert "2 images look like another one (correlation of 0.9 or more)" in out
    assert "2 images stay together in 1 groups, the largest of 2" in out
    parts = {n: json.loads((root / f"annotations/{n}.json").read_text()) for n in ("train", "val", "test")}
    images = {name: {i["file_name"] for i in part["images"]} for name, part in parts.items()}
    assert sum(map(len, images.values())) == 20 == len(set.union(*images.values()))
    assert any({"01.png", "02.png"} <= part for part in images.values())
    table = [line.split() for line in out.splitlines()]
    for column, part in enumerate(parts.values()):
        boxes = [sum(a["category_id"] == n for a in part["annotations"]) for n in (1, 2)]
        rows = {row[0]: row[1:] for row in table if row and row[0] in ("cat", "dog", "all")}
        assert [int(rows[name][2 * column]) for name in ("cat", "dog")] == boxes
        assert rows["all"][2 * column : 2 * column + 2] == [str(sum(boxes)), str(len(part["images"]))]
    assert json.loads(source.read_text())["images"][0]["file_name"] == "01.png"


def test_split_by_names_says_what_does_not_fit(converted, capsys):
    root, _ = converted
    source = root / "annotations/all.json"
    arguments = ("split", source, "--no-similarity", "--parts", "train,val=3", "--group-by", r"^(0)\d")
    out = run(capsys, *arguments, "--out", root / "parts")
    assert "11 names don't fit the pattern of --group-by: 10.png, 11.png, 12.png and 8 more" in out
    assert "the largest group, 9 images, is too big for val and lies elsewhere" in out
    assert len(json.loads((root / "parts/val.json").read_text())["images"]) == 3
    before = (root / "parts/val.json").read_bytes()
    assert "is already there" in run(capsys, *arguments, "--out", root / "parts", "--seed", 1, status=2)
    assert (root / "parts/val.json").read_bytes() == before
    run(capsys, *arguments, "--out", root / "parts", "--seed", 1, "--force")
    assert (root / "parts/val.json").read_bytes() != before


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--parts", "train,val=0.2"], "--images FOLDER is missing"),
        (["--parts", "all,val=0.2", "--no-similarity"], "a part of this name would replace it"),
        (["--parts", "train,val=30", "--no-similarity"], "the parts ask for 30 images; there are 20"),
        (["--parts", "train,val=0.01", "--no-similarity"], "the part 'val' should have 0.2 of 20 images"),
        (["--parts", "train,val=0.2", "--images", "gone"], "gone: lacks 20 of 20 images"),
    ],
)
def test_splits_that_cannot_be(converted, capsys, arguments, message):
    root, _ = converted
    assert message in run(capsys, "split", root / "annotations/all.json", *arguments, status=2)
    assert [file.name for file in (root / "annotations").iterdir()] == ["all.json"]


@pytest.mark.parametrize("parts", ["train,val=1", "train,train=0.1", "a/b,val=0.1", "train,val=x", ""])
def test_parts_that_are_none(converted, capsys, parts):
    with pytest.raises(SystemExit) as exit_:
        main(["data", "split", str(converted[0] / "annotations/all.json"), "--parts", parts])
    assert exit_.value.code == 2 and "--parts" in capsys.readouterr().err


def test_show_draws_what_there_is(converted, capsys):
    root, _ = converted
    folder = root / "shown"
    arguments = (
        "show",
        "--anno",
        root / "annotations/all.json",
        "--images",
        root / "images",
        "--out",
        folder,
    )
    out = run(capsys, *arguments, "--count", 4)
    assert "4 of 20 pictures" in out and "20 images, 45 boxes of 2 classes" in out
    assert sorted(f.name for f in folder.iterdir()) == [
        "contact_sheet.jpg", "statistics.json", "statistics.png",
    ]  # fmt: skip
    assert json.loads((folder / "statistics.json").read_text())["boxes"] == 45
    four = cv2.imread(str(folder / "contact_sheet.jpg")).shape
    run(capsys, *arguments, "--class", "dog", "--count", "1")
    assert cv2.imread(str(folder / "contact_sheet.jpg")).shape[1] < four[1]
    assert "has no class 'dogs'; did you mean 'dog'?" in run(capsys, *arguments, "--class", "dogs", status=2)
    assert "--count 0: give a number from 1 up" in run(capsys, *arguments, "--count", 0, status=2)
    (root / "images/05.png").unlink()
    assert "05.png: cannot be read" in run(capsys, *arguments, "--count", 20, status=2)


def test_show_draws_what_a_training_gets(tmp_path, monkeypatch, capsys):
    make_workplace(tmp_path, train=5)
    monkeypatch.chdir(tmp_path)
    assert main(["data", "show", "-c", "tiny.yml", "--count", "4", "--out", "seen"]) == 0
    assert read_image(tmp_path / "seen" / "training.jpg").std() > 10
    assert "4 samples" in capsys.readouterr().out
    assert main(["data", "show", "-c", "tiny.yml", "--anno", "demo/annotations/val.json"]) == 2
    assert "drop --anno" in capsys.readouterr().err
    assert main(["data", "show", "--images", "demo"]) == 2
    assert "give --anno FILE.json and --images FOLDER, or -c CONFIG" in capsys.readouterr().err
