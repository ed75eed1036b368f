"""Files that are no COCO instances, odd names, and what the command refuses to write over."""

import json
import subprocess
import sys

import pytest

from ppdet_ext.cli import main
from ppdet_ext.data.check import check_part
from tests.data.check.sets import check, fingerprints, make_set, write
from tests.training.tiny import ROOT

SOUND = json.dumps({"images": [], "annotations": [], "categories": []})
BROKEN = {
    "empty": ("", "is empty"),
    "truncated in a list": (
        '{"images": [{"id": 1}, ',
        "is truncated, the JSON breaks off in line 1 after 23 bytes",
    ),
    "truncated in a text": (
        '{"images": [\n{"file_na',
        "is truncated, the JSON breaks off in line 2 after 22 bytes",
    ),
    "truncated in a word": ('{"images": [], "x": fal', "is truncated"),
    "comma": ('{"images": [],\n"annotations": [1, ]}', "train.json:2: is no JSON at column 20"),
    "two values": (SOUND + SOUND, "train.json:1: is no JSON"),
    "a mark before it": ("\ufeff" + SOUND, "is no JSON"),
    "brackets": ("[" * 200_000, "brackets in brackets"),
    "a list": ('[{"image_id": 1, "score": 0.5}]', "holds a list (of detections?)"),
    "no images": ('{"annotations": [], "categories": []}', "has no images, only annotations, categories"),
    "no categories": ('{"images": [], "annotations": []}', "has no categories, only images, annotations"),
    "no annotations": ('{"images": [], "categories": []}', "has no annotations, only images, categories"),
    "none of them": (
        '{"shapes": [], "imagePath": "a.jpg"}',
        "no images and no annotations and no categories, only shapes",
    ),
    "no list": ('{"images": {}, "annotations": [], "categories": []}', "images is dict, no list"),
}


@pytest.mark.parametrize("text, words", [pytest.param(*case, id=name) for name, case in BROKEN.items()])
def test_what_is_no_coco_file_is_one_line(tmp_path, capsys, text, words):
    (tmp_path / "images").mkdir()
    (tmp_path / "train.json").write_text(text, encoding="utf-8")
    before = fingerprints(tmp_path)
    arguments = ["--anno", str(tmp_path / "train.json"), "--images", str(tmp_path / "images")]
    assert main(["data", "check", *arguments, "--write", str(tmp_path / "cleaned.json")]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"ppdet-ext data: {tmp_path / 'train.json'}") and err.count("\n") == 1
    assert words in err and ";" in err
    assert fingerprints(tmp_path) == before


def test_the_installed_command_says_the_same(tmp_path):
    folder = tmp_path / "set"
    make_set(folder)
    command = [
        sys.executable,
        "-m",
        "ppdet_ext.cli",
        "data",
        "check",
        "--anno",
        "train.json",
        "--images",
        "images",
    ]
    run = subprocess.run(command, cwd=folder, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, ""), run.stderr
    assert run.stdout.splitlines()[0] == "train.json: 8 images, 24 boxes, 2 categories; pictures in images"
    (folder / "images" / "train_5.jpg").write_bytes(b"")
    run = subprocess.run(command, cwd=folder, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert run.returncode == 1 and "images/train_5.jpg: image 5 has 0 bytes" in run.stdout
    (folder / "train.json").write_text('{"images": [')
    run = subprocess.run(command, cwd=folder, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert run.returncode == 2 and run.stderr.count("\n") == 1 and "train.json: is truncated" in run.stderr


def test_names_of_every_kind_are_read(tmp_path):
    """Letters outside ASCII, blanks, other cases of suffixes, folders: in the path and in the names."""
    folder = tmp_path / "Daten süß 数据"
    content = make_set(folder)
    names = ["größe 1.JPG", "日本.JPEG", "a b/c d.Png", "é.jpg", "'q'.jpg"]
    (folder / "images" / "a b").mkdir()
    for image, name in zip(content["images"], names):
        (folder / "images" / image["file_name"]).rename(folder / "images" / name)
        image["file_name"] = name
    write(folder, content)
    status, report = check(folder)
    assert status == 0 and {finding["kind"] for finding in report["findings"]} == {"picture-suffix"}
    assert report["datasets"][0]["pictures_read"] == 8


def test_many_missing_files_are_counted_and_listed_in_the_report(tmp_path, capsys):
    folder = tmp_path / "set"
    make_set(folder)
    (folder / "empty").mkdir()
    arguments = ["--anno", str(folder / "train.json"), "--images", str(folder / "empty"), "--limit", "2"]
    assert main(["data", "check", *arguments, "--json", str(tmp_path / "report.json")]) == 1
    said = capsys.readouterr().out
    assert "images whose file is missing: 8" in said and "... and 6 more" in said
    assert said.count("is missing in") == 2
    findings = json.loads((tmp_path / "report.json").read_text())["findings"]
    assert len([f for f in findings if f["kind"] == "file-missing"]) == 8


def test_nothing_is_written_over(tmp_path, capsys):
    folder = tmp_path / "set"
    make_set(folder)
    (folder / "link.json").symlink_to(folder / "train.json")
    before = fingerprints(tmp_path)
    arguments = ["--anno", str(folder / "train.json"), "--images", str(folder / "images")]
    for option, target, words in (
        ("--write", folder / "train.json", "no copy replaces a file"),
        ("--write", folder / "link.json", "no copy replaces a file"),
        ("--write", folder / "copy.txt", "only from files named '.json'"),
        ("--json", folder / "train.json", "no report of this"),
        ("--json", folder / "images" / "train_1.jpg", "no report of this"),
    ):
        assert main(["data", "check", *arguments, option, str(target)]) == 2
        assert words in capsys.readouterr().err
    assert fingerprints(tmp_path) == before
    report = str(tmp_path / "report.json")
    for _ in range(2):  # its own report it may replace
        assert main(["data", "check", *arguments, "--json", report]) == 0


@pytest.mark.parametrize(
    "arguments, words",
    [
        ([], "nothing to check"),
        (["--anno", "train.json"], "give its folder of pictures"),
        (["--anno", "train.json", "--images", "none"], "none: no such folder of images"),
        (["--anno", "none.json", "--images", "images"], "none.json: cannot be read"),
        (["--anno", "train.json", "--images", "images", "--quick", "--write", "a.json"], "leave out --quick"),
        (
            ["--anno", "train.json", "--images", "images", "--other-images", "a", "b"],
            "2 folders in --other-images",
        ),
    ],
)
def test_bad_usage_is_one_line(tmp_path, capsys, monkeypatch, arguments, words):
    make_set(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert main(["data", "check", *arguments]) == 2
    err = capsys.readouterr().err
    assert words in err and err.count("\n") == 1


def test_quick_opens_no_picture(tmp_path):
    folder = tmp_path / "set"
    make_set(folder)
    for path in (folder / "images").iterdir():
        path.write_text("no picture")
    assert check_part(folder / "train.json", folder / "images", read_pictures=False).findings == []
    assert check(folder, "--quick")[0] == 0 and check(folder)[0] == 1


def test_suspicious_samples_are_drawn(tmp_path, capsys):
    """A sheet a kind, on which the box in question has the signal colour; none about what is only noted."""
    import cv2

    from ppdet_ext.visualize.findings_sheet import SIGNAL

    folder = tmp_path / "set"
    content = make_set(folder)
    content["annotations"][4]["bbox"] = [50, 5, 30, 10]
    (folder / "images" / "train_5.jpg").write_bytes(b"")
    (folder / "images" / "train_6.jpg").write_bytes((folder / "images" / "train_7.jpg").read_bytes())
    content["annotations"][20]["iscrowd"] = 1
    write(folder, content)
    before = fingerprints(folder)
    check(folder, "--pictures", tmp_path / "sheets")
    sheets = {path.name for path in (tmp_path / "sheets").iterdir()}
    assert sheets == {f"check_{kind}.png" for kind in ("box-beyond", "file-empty", "picture-twice")}
    sheet = cv2.imread(str(tmp_path / "sheets" / "check_box-beyond.png"))
    assert (sheet[..., ::-1] == SIGNAL).all(2).sum() > 100
    assert "check_box-beyond.png: 1 of 1" in capsys.readouterr().out
    assert fingerprints(folder) == before


def test_a_config_names_what_is_to_be_checked(tmp_path, capsys, monkeypatch):
    folder = tmp_path / "set"
    make_set(folder)
    make_set(folder, "val", seed=1)
    sets = {
        key: f"{{name: COCODataSet, dataset_dir: set, image_dir: images, anno_path: {name}.json}}"
        for key, name in (("TrainDataset", "train"), ("EvalDataset", "val"))
    }
    lines = [f"_BASE_: ['{ROOT}/configs/demo/ppyoloe_nano_demo.yml']", "num_classes: 2"]
    (tmp_path / "own.yml").write_text("\n".join([*lines, *(f"{key}: {text}" for key, text in sets.items())]))
    monkeypatch.chdir(tmp_path)
    assert main(["data", "check", "-c", "own.yml"]) == 0
    said = capsys.readouterr().out
    assert "set/train.json: 8 images, 24 boxes" in said and "set/val.json: 8 images" in said
    assert main(["data", "check", "-c", "own.yml", "--num-classes", "5"]) == 1
    assert "has 2 classes, but num_classes is 5" in capsys.readouterr().out
    (tmp_path / "set" / "val.json").unlink()
    assert main(["data", "check", "-c", "own.yml"]) == 2
    assert (
        "set/val.json: no such annotation file; set dataset_dir and anno_path of EvalDataset"
        in capsys.readouterr().err
    )
