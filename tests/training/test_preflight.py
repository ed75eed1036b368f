"""tools/train.py looks at its data first: what would train wrongly is one line, before anything is built."""

import json
import logging
import os

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import cv2
import numpy as np
import pytest

from ppdet_ext.cli import main
from ppdet_ext.config import load_config
from tests.data.check.sets import fingerprints
from tests.training.tiny import ROOT, TRAIN, make_workplace, run_python, the_one_line


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return make_workplace(tmp_path_factory.mktemp("preflight"))


@pytest.fixture
def workplace(original, tmp_path, monkeypatch):
    """The tiny training with its own annotation files, `train.json` and `val.json`, in the current folder."""
    monkeypatch.chdir(tmp_path)
    # PaddleDetection's log goes to the stdout of its first import, which is gone by now.
    monkeypatch.setattr(logging, "raiseExceptions", False)
    os.symlink(original / "demo", "demo")
    for name in ("train", "val"):
        (tmp_path / f"{name}.json").write_bytes((original / f"demo/annotations/{name}.json").read_bytes())
    paths = "".join(
        f"{key}: {{anno_path: {tmp_path}/{name}.json}}\n"
        for key, name in (("TrainDataset", "train"), ("EvalDataset", "val"))
    )
    (tmp_path / "own.yml").write_text(f"_BASE_: ['{original}/tiny.yml']\nsave_dir: refused\n{paths}")
    return tmp_path


def edited(name, edit):
    """Changes an annotation file of the current folder."""
    with open(f"{name}.json", encoding="utf-8") as file:
        content = json.load(file)
    edit(content)
    with open(f"{name}.json", "w", encoding="utf-8") as file:
        json.dump(content, file)
    return content


def sets(list_name, row, **fields):
    return lambda content: content[list_name][row].update(fields)


def lacks(list_name, row, key):
    return lambda content: content[list_name][row].pop(key)


def clears(*lists):
    return lambda content: [content[name].clear() for name in lists]


REFUSED = {
    6: (
        "train",
        sets("images", 2, file_name="gone.jpg"),
        "image 3 (gone.jpg) is missing in demo/images/train",
    ),
    10: ("train", lacks("annotations", 4, "area"), "annotation 5 (000003.jpg) has no area"),
    "10 crowd": ("train", lacks("annotations", 4, "iscrowd"), "annotation 5 (000003.jpg) has no iscrowd"),
    "10 size": ("train", lacks("images", 2, "width"), "image 3 (000003.jpg) has width 'missing'"),
    11: ("train", sets("annotations", 4, category_id=99), "is of category 99, which is not there"),
    "11 image": (
        "train",
        sets("annotations", 4, image_id=99),
        "annotation 5 is of image 99, which is not there",
    ),
    12: ("train", sets("images", 2, id=1), "has the id of '000001.jpg'"),
    13: ("train", sets("annotations", 4, bbox=[1, 1, float("inf"), 4]), "has the bbox 1 1 inf 4"),
    "13 outside": ("train", sets("annotations", 4, bbox=[500, 1, 4, 4]), "outside a picture of 96 x 96"),
    14: ("val", lambda content: content["categories"].reverse(), "in another order"),
    "14 more": (
        "train",
        lambda content: content["categories"].append({"id": 11, "name": "x"}),
        "set num_classes: 11",
    ),
    "14 fewer": ("val", lambda content: content["categories"].pop(), "has 9 classes, but num_classes is 10"),
    17: ("train", clears("annotations"), f"none of its {TRAIN} images has a box"),
    "17 images": ("val", clears("images", "annotations"), "holds no images"),
}


def refusal(capfd, *arguments):
    """The one line with which the command ends."""
    capfd.readouterr()
    assert main(["train", "-c", "own.yml", "--eval", *arguments]) == 2
    line = the_one_line(capfd.readouterr().err)
    assert line.startswith("ppdet-ext train: ")
    return line


@pytest.mark.parametrize(
    "name, edit, words", [pytest.param(*case, id=str(key)) for key, case in REFUSED.items()]
)
def test_what_would_train_wrongly_is_refused(workplace, capfd, monkeypatch, name, edit, words):
    monkeypatch.setattr(
        "ppdet_ext.training.trainer.PaddleDetectionTrainer.__init__", lambda *_: pytest.fail("built")
    )
    edited(name, edit)
    before = fingerprints(workplace)
    line = refusal(capfd)
    assert words in line and f"{workplace}/{name}.json" in line
    assert "'ppdet-ext data check --anno " in line and "data_check: off" in line
    assert fingerprints(workplace) == before and not os.path.exists("refused")


@pytest.mark.parametrize(
    "text, words",
    [
        ("", "is empty"),
        ('{"images": [', "is truncated"),
        ('{"images": []}', "has no annotations and no categories"),
    ],
)
def test_broken_annotation_files_are_refused(workplace, capfd, text, words):
    (workplace / "train.json").write_text(text)
    line = refusal(capfd)
    assert words in line and f"{workplace}/train.json" in line


def test_missing_files_are_refused(workplace, capfd):
    assert "none.json: no such annotation file; set" in refusal(
        capfd, "-o", "TrainDataset.anno_path=none.json"
    )
    line = refusal(capfd, "-o", "EvalDataset.image_dir=none")
    assert "demo/none: no such folder of images" in line
    assert "data_check is 'slow'; give quick or off" in refusal(capfd, "-o", "data_check=slow")


def test_other_faults_are_counted(workplace, capfd):
    def edit(content):
        for row in (3, 4, 5):
            content["annotations"][row]["category_id"] = 99
        content["images"][6]["file_name"] = "gone.jpg"

    edited("train", edit)
    line = refusal(capfd)
    assert "annotation 4 (" in line and "annotation 5 (" not in line
    assert "besides, annotations of categories that are not there: 2, images whose file is missing: 1" in line


def test_what_only_goes_to_waste_is_one_warning(workplace, caplog):
    from ppdet_ext.training.preflight import check_data

    def edit(content):
        content["annotations"][0]["bbox"][2] = 0
        content["annotations"][1]["bbox"][0] = -5
        content["annotations"] = [a for a in content["annotations"] if a["image_id"] != 3]

    edited("train", edit)
    cfg = load_config("own.yml", ["TrainDataset.allow_empty=false"])
    check_data(cfg)
    (record,) = [record for record in caplog.records if record.levelname == "WARNING"]
    line = record.getMessage()
    assert line.startswith(
        f"{workplace}/train.json: boxes without area: 1, boxes that reach out of their picture: 1"
    )
    assert "images without a box: 1" in line and "'ppdet-ext data check --anno" in line
    caplog.clear()
    check_data(load_config("own.yml"))  # which trains on images without boxes
    assert "images without a box" not in caplog.text and "boxes without area: 1" in caplog.text

    # With --eval a picture in both splits misleads.
    edited("val", sets("images", 0, file_name="../train/000005.jpg"))
    caplog.clear()
    cfg = load_config("own.yml")
    check_data(cfg)
    assert "pictures in two splits" not in caplog.text
    cfg["eval"] = True
    check_data(cfg)
    assert "pictures in two splits: 1" in caplog.text


def test_the_check_can_be_left_out(workplace):
    from ppdet_ext.training.preflight import check_data

    edited("train", sets("images", 2, file_name="gone.jpg"))
    with pytest.raises(ValueError, match="gone.jpg"):
        check_data(load_config("own.yml"))
    check_data(load_config("own.yml", ["data_check=off"]))


def test_voc_folders_are_looked_at_as_they_are_read(workplace, tmp_path):
    """A class that no box has is a class all the same."""
    from ppdet_ext.training.preflight import check_data, configured_sets

    voc = tmp_path / "voc"
    for folder in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (voc / folder).mkdir(parents=True)
    cv2.imwrite(str(voc / "JPEGImages" / "a.jpg"), np.zeros([20, 30, 3], np.uint8))
    (voc / "ImageSets" / "Main" / "train.txt").write_text("a\n")
    box = "<xmin>1</xmin><ymin>2</ymin><xmax>9</xmax><ymax>8</ymax>"
    (voc / "Annotations" / "a.xml").write_text(
        "<annotation><size><width>30</width><height>20</height></size>"
        f"<object><name>cat</name><bndbox>{box}</bndbox></object></annotation>"
    )
    (tmp_path / "labels.txt").write_text("cat\ndog\n")
    lines = [line for line in (tmp_path / "own.yml").read_text().splitlines() if "TrainDataset" not in line]
    hook = "x: !!python/object/apply:ppdet_ext.setup []"
    reads = "TrainDataset: !VOCFolderDataSet {dataset_dir: voc, label_list: labels.txt}"
    (tmp_path / "voc.yml").write_text("\n".join([hook, *lines, reads]))
    cfg = load_config("voc.yml", ["num_classes=1"])
    (found,) = configured_sets(cfg, ("TrainDataset",))
    assert found.anno.endswith("output/annotations/voc_train.json") and found.images == "voc/JPEGImages"
    with pytest.raises(
        ValueError, match="voc_train.json: has 2 classes, but num_classes is 1; set num_classes: 2"
    ):
        check_data(cfg)


def test_files_are_asked_for_once_a_folder(tmp_path, monkeypatch):
    """A stat for each of COCO's 118,000 pictures takes minutes on a network's disk."""
    from ppdet_ext.data.check import check_part

    names = [f"{folder}/{number}.jpg" for folder in "abc" for number in range(40)]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    box = {"category_id": 1, "bbox": [9, 9, 50, 60], "area": 3000, "iscrowd": 0}
    content = {
        "images": [{"id": n, "file_name": name, "width": 640, "height": 480} for n, name in enumerate(names)],
        "categories": [{"id": 1, "name": "a"}],
        "annotations": [{**box, "id": n + 1, "image_id": n} for n in range(len(names))],
    }
    (tmp_path / "train.json").write_text(json.dumps(content))
    listed, asked, scandir, stat = [], [], os.scandir, os.stat
    monkeypatch.setattr(os, "scandir", lambda path: listed.append(path) or scandir(path))
    monkeypatch.setattr(os, "stat", lambda path, **more: asked.append(path) or stat(path, **more))
    assert check_part(tmp_path / "train.json", tmp_path, 1, read_pictures=False).findings == []
    assert len(listed) == 3 and len(asked) < 10


def test_the_command_ends_in_one_line(workplace):
    """tools/train.py as users run it."""
    edited("train", sets("annotations", 4, category_id=99))
    run = run_python([ROOT / "tools" / "train.py", "-c", "own.yml"], workplace)
    lines = [line for line in run.err.splitlines() if line.startswith("ppdet-ext ")]
    assert run.status == 2 and len(lines) == 1 and "category 99" in lines[0], run.log[-2000:]
    assert "Traceback" not in run.log


@pytest.mark.slow
def test_all_processes_end_with_the_same_line(workplace):
    edited("train", sets("annotations", 4, category_id=99))
    launcher = ["-m", "paddle.distributed.launch", "--nproc_per_node", "2", "--log_dir", "logs"]
    run = run_python([*launcher, ROOT / "tools" / "train.py", "-c", "own.yml"], workplace)
    logs = [(workplace / "logs" / f"workerlog.{rank}").read_text() for rank in (0, 1)]
    assert run.status != 0
    assert "is of category 99" in logs[0] and all("Traceback" not in log for log in logs)
