"""Formats are told apart, and options that mean nothing are refused."""

import json

import pytest

from ppdet_ext.data.convert import convert_dataset, find_format

from .small_sets import write_picture, write_roboflow_voc, write_text

VOC = "<annotation><object><name>cat</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>4</xmax><ymax>4</ymax>"
VOC += "</bndbox></object></annotation>"


def make(root, kind):
    write_picture(root / {"voc": "JPEGImages/a.jpg", "yolo": "images/a.jpg"}.get(kind, "a.jpg"), 10, 10)
    if kind == "voc":
        write_text(root / "Annotations/a.xml", VOC)
    elif kind == "yolo":
        write_text(root / "my.yaml", "names: [cat]")
        write_text(root / "labels/a.txt", "0 0.25 0.25 0.3 0.3")
    elif kind == "labelme":
        shape = {"label": "cat", "points": [[1, 1], [4, 4]], "shape_type": "rectangle"}
        write_text(root / "a.json", json.dumps({"shapes": [shape]}))
    else:
        write_text(root / "trainval.txt", "a.jpg a.txt")
        write_text(root / "a.txt", "1 1 4 4 1")


@pytest.mark.parametrize("kind", ["voc", "yolo", "labelme", "deeppcb"])
def test_formats_are_told_apart_and_agree(tmp_path, kind):
    make(tmp_path, kind)
    assert find_format(tmp_path) == kind
    converted, found = convert_dataset(tmp_path, progress=False)
    assert found == kind and [a["bbox"] for a in converted.dataset["annotations"]] == [[1, 1, 3, 3]]


def test_vocs_folders_of_parts_are_recognised(tmp_path):
    write_roboflow_voc(tmp_path, {"train": ["cat"], "test": ["dog"]})
    assert find_format(tmp_path) == "voc"
    converted, _ = convert_dataset(tmp_path, progress=False)
    assert len(converted.dataset["annotations"]) == 2
    converted, _ = convert_dataset(tmp_path, split="test", progress=False)
    assert [image["file_name"] for image in converted.dataset["images"]] == ["test/1.jpg"]


def test_no_format_or_two_are_said(tmp_path):
    with pytest.raises(ValueError, match="looks like none of voc, yolo, labelme, deeppcb"):
        find_format(tmp_path)
    make(tmp_path, "voc")
    make(tmp_path, "labelme")
    with pytest.raises(ValueError, match="could be voc or labelme; say with --from"):
        convert_dataset(tmp_path)
    assert convert_dataset(tmp_path, "voc", progress=False)[1] == "voc"


def test_options_of_other_formats_are_refused(tmp_path):
    make(tmp_path, "deeppcb")
    with pytest.raises(ValueError, match="--labels means nothing for DeepPCB"):
        convert_dataset(tmp_path, names=["cat"])
    with pytest.raises(ValueError, match="no format 'yol'; did you mean 'yolo'"):
        convert_dataset(tmp_path, "yol")
    with pytest.raises(ValueError, match="gone: no such folder"):
        convert_dataset(tmp_path / "gone")


def test_the_source_stays_as_it_is(tmp_path):
    for kind in ("voc", "yolo", "labelme", "deeppcb"):
        root = tmp_path / kind
        make(root, kind)
        before = {p: p.stat().st_mtime_ns for p in root.rglob("*")}
        convert_dataset(root, progress=False)
        assert {p: p.stat().st_mtime_ns for p in root.rglob("*")} == before
