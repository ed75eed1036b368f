"""Pascal VOC folders: read as they are, and each fault named."""

import json

import cv2
import numpy as np
import pytest

import ppdet_ext
from ppdet_ext.data.voc import read_voc

OBJECT = (
    "<object><name>{0}</name><bndbox><xmin>{1}</xmin><ymin>{2}</ymin><xmax>{3}</xmax><ymax>{4}</ymax>"
    "</bndbox></object>"
)


def annotation(*objects, size="<size><width>40</width><height>30</height></size>"):
    return f"<annotation>{size}{''.join(OBJECT.format(*o) for o in objects)}</annotation>"


@pytest.fixture
def voc(tmp_path):
    """A folder of two images, the second without objects."""
    for folder in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (tmp_path / folder).mkdir(parents=True)
    for name, xml in (("a", annotation(("cat", 1, 2, 11, 22), ("dog", 5, 5, 9, 25))), ("b", annotation())):
        (tmp_path / "Annotations" / f"{name}.xml").write_text(xml)
        cv2.imwrite(str(tmp_path / "JPEGImages" / f"{name}.jpg"), np.zeros([30, 40, 3], np.uint8))
    (tmp_path / "ImageSets" / "Main" / "train.txt").write_text("a\nb\n")
    return tmp_path


def test_boxes_become_coco_records(voc):
    dataset, dropped = read_voc(str(voc), "train", ["cat", "dog"])
    assert not dropped
    assert dataset["categories"] == [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    assert dataset["images"] == [
        {"id": 1, "file_name": "a.jpg", "width": 40, "height": 30},
        {"id": 2, "file_name": "b.jpg", "width": 40, "height": 30},
    ]
    first, second = dataset["annotations"]
    assert first["bbox"] == [1, 2, 10, 20] and first["area"] == 200 and first["category_id"] == 1
    assert second["bbox"] == [5, 5, 4, 20] and second["id"] == 2 and second["image_id"] == 1


def test_boxes_without_area_are_left_out_and_named(voc):
    (voc / "Annotations" / "a.xml").write_text(annotation(("cat", 5, 5, 5, 9), ("cat", 1, 1, 3, 3)))
    dataset, (line,) = read_voc(str(voc), "train", ["cat"])
    assert [a["bbox"] for a in dataset["annotations"]] == [[1, 1, 2, 2]]
    assert "a.xml: object 1 (cat)" in line and "has no area" in line


@pytest.mark.parametrize(
    "file, content, message",
    [
        ("Annotations/a.xml", annotation(("cow", 1, 1, 3, 3)), "a.xml: object 1 is of class 'cow'"),
        ("Annotations/a.xml", "<annotation><obj", "a.xml: malformed XML"),
        ("Annotations/a.xml", '<!DOCTYPE x [<!ENTITY a "aa">]><annotation/>', "a.xml: defines entities"),
        ("Annotations/a.xml", annotation(("cat", "left", 1, 3, 3)), "object 1: bndbox needs"),
        ("Annotations/a.xml", annotation(size=""), "a.xml: no size"),
        ("ImageSets/Main/train.txt", "", "train.txt: the list is empty"),
        ("ImageSets/Main/train.txt", "zzz\n", "zzz.xml: the annotation is missing"),
    ],
)
def test_faults_are_named(voc, file, content, message):
    (voc / file).write_text(content)
    with pytest.raises(ValueError, match=message):
        read_voc(str(voc), "train", ["cat", "dog"])


def test_missing_list_and_image_are_named(voc):
    with pytest.raises(ValueError, match="val.txt: no such list"):
        read_voc(str(voc), "val", ["cat", "dog"])
    (voc / "JPEGImages" / "b.jpg").unlink()
    with pytest.raises(ValueError, match="lists 'b', but JPEGImages has no such image"):
        read_voc(str(voc), "train", ["cat", "dog"])


def test_ppdet_reads_the_folder(voc, tmp_path):
    ppdet_ext.setup()
    from ppdet.core.workspace import create, global_config

    labels = tmp_path / "labels.txt"
    labels.write_text("cat\ndog\n")
    before = sorted(p.relative_to(voc) for p in voc.rglob("*"))
    global_config["TrainDataset"].clear()
    global_config["TrainDataset"].update(
        name="VOCFolderDataSet",
        dataset_dir=str(voc),
        label_list=str(labels),
        cache_dir=str(tmp_path / "out" / "cache"),
        data_fields=["image", "gt_bbox", "gt_class"],
    )
    dataset = create("TrainDataset")()
    dataset.check_or_download_dataset()
    dataset.parse_dataset()
    assert len(dataset.roidbs) == 2 and dataset.roidbs[0]["gt_bbox"].tolist() == [
        [1, 2, 11, 22],
        [5, 5, 9, 25],
    ]
    assert json.load(open(dataset.get_anno()))["categories"][1]["name"] == "dog"
    after = sorted(p.relative_to(voc) for p in voc.rglob("*") if "out" not in p.parts)
    assert before == after, "the user's folder was written to"
