"""Pascal VOC folders: read as they are, and each fault named."""

import json

import pytest

import ppdet_ext
from ppdet_ext.data.voc import read_voc

from .small_sets import write_picture, write_roboflow_voc, write_text

OBJECT = (
    "<object><name>{0}</name><bndbox><xmin>{1}</xmin><ymin>{2}</ymin><xmax>{3}</xmax><ymax>{4}</ymax>"
    "</bndbox></object>"
)
# Ten levels of ten entities each.
BOMB = "<!DOCTYPE x [<!ENTITY a0 'ha'>" + "".join(
    f"<!ENTITY a{n} '{f'&a{n - 1};' * 10}'>" for n in range(1, 10)
)
BOMB += "]><annotation>&a9;</annotation>"


def annotation(*objects, size="<size><width>40</width><height>30</height></size>"):
    return f"<annotation>{size}{''.join(OBJECT.format(*o) for o in objects)}</annotation>"


@pytest.fixture
def voc(tmp_path):
    """A folder of two images, the second without objects."""
    for folder in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (tmp_path / folder).mkdir(parents=True)
    for name, xml in (("a", annotation(("cat", 1, 2, 11, 22), ("dog", 5, 5, 9, 25))), ("b", annotation())):
        (tmp_path / "Annotations" / f"{name}.xml").write_text(xml)
        write_picture(tmp_path / "JPEGImages" / f"{name}.jpg", 40, 30)
    (tmp_path / "ImageSets" / "Main" / "train.txt").write_text("a\nb\n")
    return tmp_path


def test_boxes_become_coco_records(voc):
    dataset, image_dir, dropped, notes = read_voc(str(voc), "train", ["cat", "dog"])
    assert not dropped and not notes and image_dir == str(voc / "JPEGImages")
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
    converted = read_voc(str(voc), "train", ["cat"])
    (line,) = converted.dropped
    assert [a["bbox"] for a in converted.dataset["annotations"]] == [[1, 1, 2, 2]]
    assert "a.xml: object 1 (cat)" in line and "has no area" in line


@pytest.mark.parametrize(
    "file, content, message",
    [
        ("Annotations/a.xml", annotation(("cow", 1, 1, 3, 3)), "a.xml: object 1 is of class 'cow'"),
        ("Annotations/a.xml", "<annotation><obj", "a.xml: malformed XML"),
        ("Annotations/a.xml", '<!DOCTYPE x [<!ENTITY a "aa">]><annotation/>', "a.xml: defines entities"),
        ("Annotations/a.xml", BOMB, "a.xml: defines entities"),
        ("Annotations/a.xml", '<?xml version="1.0" encoding="gb2312"?><a/>', "a.xml: malformed XML"),
        ("Annotations/a.xml", annotation(("cat", "left", 1, 3, 3)), "object 1: bndbox needs"),
        ("Annotations/a.xml", annotation(("cat", "nan", 1, 3, 3)), "box nan 1 3 3 is not finite"),
        ("ImageSets/Main/train.txt", "", "train.txt: the list is empty"),
        ("ImageSets/Main/train.txt", "zzz\n", "train.txt: lists 'zzz', but JPEGImages has no such image"),
        ("ImageSets/Main/train.txt", "c\n", "c.xml: the annotation is missing"),
    ],
)
def test_faults_are_named(voc, file, content, message):
    write_picture(voc / "JPEGImages/c.jpg", 8, 8)
    (voc / file).write_text(content)
    with pytest.raises(ValueError, match=message):
        read_voc(str(voc), "train", ["cat", "dog"])


def test_missing_list_and_image_are_named(voc):
    with pytest.raises(ValueError, match="val.txt: no such list"):
        read_voc(str(voc), "val", ["cat", "dog"])
    (voc / "JPEGImages" / "b.jpg").unlink()
    with pytest.raises(ValueError, match="lists 'b', but JPEGImages has no such image"):
        read_voc(str(voc), "train", ["cat", "dog"])


def test_an_entity_bomb_in_another_encoding(voc):
    (voc / "Annotations" / "a.xml").write_bytes(BOMB.encode("utf-16"))
    with pytest.raises(ValueError, match="a.xml: defines entities"):
        read_voc(str(voc), "train", ["cat", "dog"])


def test_without_a_list_all_annotations_and_classes_found(voc):
    write_picture(voc / "JPEGImages" / "lonely.jpg", 8, 8)
    (voc / "Annotations" / "._a.xml").write_text("what macOS leaves")
    dataset, _, _, notes = read_voc(str(voc))
    assert [i["file_name"] for i in dataset["images"]] == ["a.jpg", "b.jpg"]
    assert [c["name"] for c in dataset["categories"]] == ["cat", "dog"]
    assert notes == ["1 pictures have no annotation and are left out: lonely.jpg"]


def test_names_with_blanks_accents_and_upper_case(voc):
    write_picture(voc / "JPEGImages" / "über uns.JPG", 16, 12)
    write_text(voc / "Annotations" / "über uns.xml", annotation(("cat", 1, 1, 3, 3)))
    write_text(voc / "ImageSets" / "Main" / "cat_train.txt", "a  1\nb -1\nüber uns\nüber uns  1\n")
    dataset = read_voc(str(voc), "cat_train", ["cat", "dog"]).dataset
    assert [i["file_name"] for i in dataset["images"]] == ["a.jpg", "b.jpg", "über uns.JPG"]
    assert dataset["images"][2]["width"] == 16 and dataset["annotations"][2]["image_id"] == 3


def test_pictures_and_annotations_side_by_side(voc, tmp_path):
    for file in [*(voc / "Annotations").iterdir(), *(voc / "JPEGImages").iterdir()]:
        write_text(tmp_path / "flat" / "x", "")
        (tmp_path / "flat" / file.name).write_bytes(file.read_bytes())
    write_text(tmp_path / "flat" / "annotations" / "all.json", "{}")
    converted = read_voc(str(tmp_path / "flat"))
    assert converted.dataset == read_voc(str(voc)).dataset
    assert len(converted.dataset["images"]) == 2 and converted.image_dir == str(tmp_path / "flat")


def test_folders_of_parts(tmp_path):
    """Roboflow's: all of them, or the one that is named; stems may repeat from part to part."""
    write_roboflow_voc(tmp_path, {"train": ["dog", "cat"], "valid": ["cat"], "test": [""]})
    write_picture(tmp_path / "other" / "1.jpg", 8, 8)
    write_text(tmp_path / "other" / "1.xml", annotation(("cow", 1, 1, 3, 3)))
    dataset, image_dir, _, notes = read_voc(str(tmp_path))
    names = [image["file_name"] for image in dataset["images"]]
    assert (sorted(names), image_dir) == (
        ["test/1.jpg", "train/1.jpg", "train/2.jpg", "valid/1.jpg"],
        str(tmp_path),
    )
    assert [c["name"] for c in dataset["categories"]] == ["cat", "dog"] and not notes
    for box in dataset["annotations"]:
        image = next(image for image in dataset["images"] if image["id"] == box["image_id"])
        assert dataset["categories"][box["category_id"] - 1]["name"] == (
            "dog" if image["file_name"] == "train/1.jpg" else "cat"
        )
    one = read_voc(str(tmp_path), "valid")
    assert [image["file_name"] for image in one.dataset["images"]] == ["valid/1.jpg"]
    with pytest.raises(ValueError, match="has no part 'vaild'; did you mean 'valid'"):
        read_voc(str(tmp_path), "vaild")
    (tmp_path / "train" / "2.jpg").unlink()
    with pytest.raises(ValueError, match="2.xml: lists '2', but train has no such image"):
        read_voc(str(tmp_path))


def test_the_annotations_of_the_root_come_before_folders_of_parts(voc):
    write_roboflow_voc(voc, {"train": ["cow"]})
    assert [i["file_name"] for i in read_voc(str(voc)).dataset["images"]] == ["a.jpg", "b.jpg"]
    assert len(read_voc(str(voc), "train").dataset["images"]) == 2


def test_lists_of_paddledetection(voc):
    write_text(voc / "few.txt", "JPEGImages/b.jpg Annotations/b.xml\nJPEGImages/a.jpg Annotations/a.xml\n")
    dataset, image_dir, _, _ = read_voc(str(voc), "few")
    assert [i["file_name"] for i in dataset["images"]] == ["JPEGImages/b.jpg", "JPEGImages/a.jpg"]
    assert image_dir == str(voc)
    for line, message in (
        ("JPEGImages/a.jpg", "does not name an image and an XML file"),
        ("gone.jpg Annotations/a.xml", "few.txt: lists the image 'gone.jpg', which does not exist"),
    ):
        write_text(voc / "few.txt", line)
        with pytest.raises(ValueError, match=message):
            read_voc(str(voc), "few")


def test_the_pictures_size_counts_and_difficult_objects_do(voc):
    xml = annotation(("cat", 1, 1, 3, 3), size="<size><width>30</width><height>40</height></size>")
    xml = xml.replace("</name>", "</name><difficult>1</difficult>")
    (voc / "Annotations" / "a.xml").write_text(xml)
    (voc / "Annotations" / "b.xml").write_text(annotation(size=""))
    dataset, _, _, notes = read_voc(str(voc), "train", ["cat"])
    assert {(i["width"], i["height"]) for i in dataset["images"]} == {(40, 30)}
    assert len(dataset["annotations"]) == 1
    assert notes[0] == "1 objects are marked 'difficult'; they count like the others"
    assert "1 annotations give another size" in notes[1] and "a.xml 30x40, not 40x30" in notes[1]


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
