"""LabelMe folders: shapes become boxes, and each fault is named."""

import json

import pytest

from ppdet_ext.data.labelme import read_labelme

from .small_sets import write_picture, write_text


def shape(label, points, kind="rectangle", **more):
    return {"label": label, "points": points, "shape_type": kind, **more}


def write_annotation(path, *shapes, **more):
    content = {"version": "5.2.1", "shapes": list(shapes), "imageData": "A" * 1000, **more}
    return write_text(path, json.dumps(content))


@pytest.fixture
def labelme(tmp_path):
    write_picture(tmp_path / "photo 1.JPG", 60, 40)
    write_annotation(
        tmp_path / "photo 1.json",
        shape("dog", [[30, 20], [10, 5]]),
        shape("cat", [[1, 2], [11, 2], [6, 12]], "polygon"),
        imagePath="photo 1.JPG",
        imageWidth=60,
        imageHeight=40,
    )
    write_picture(tmp_path / "ü/b.png", 20, 20)
    write_annotation(
        tmp_path / "ü/b.json", shape("cat", [[10, 10], [10, 15]], "circle"), imagePath="gone.png"
    )
    write_picture(tmp_path / "c.png", 20, 20)
    return tmp_path


def boxes(converted):
    names = {c["id"]: c["name"] for c in converted.dataset["categories"]}
    return [(a["image_id"], names[a["category_id"]], a["bbox"]) for a in converted.dataset["annotations"]]


def test_exact_records(labelme):
    converted = read_labelme(str(labelme))
    assert converted.image_dir == str(labelme)
    assert converted.dataset["images"] == [
        {"id": 1, "file_name": "photo 1.JPG", "width": 60, "height": 40},
        {"id": 2, "file_name": "ü/b.png", "width": 20, "height": 20},
        {"id": 3, "file_name": "c.png", "width": 20, "height": 20},
    ]
    assert boxes(converted) == [
        (1, "dog", [10, 5, 20, 15]),
        (1, "cat", [1, 2, 10, 10]),
        (2, "cat", [5, 5, 10, 10]),
    ]
    assert converted.dataset["categories"] == [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    assert converted.notes == ["1 pictures have no JSON file and count as images without boxes: c.png"]
    skipped = read_labelme(str(labelme), unlabelled="skip")
    assert len(skipped.dataset["images"]) == 2 and "are left out: c.png" in skipped.notes[0]


def test_groups_are_one_object_and_other_shapes_none(labelme):
    write_annotation(
        labelme / "c.json",
        shape("cat", [[1, 1], [4, 4]], group_id=7),
        shape("dog", [[2, 2], [4, 4]], group_id=7),
        shape("cat", [[8, 3], [12, 9]], group_id=7),
        shape("cat", [[1, 1], [9, 9]], "line"),
        shape("cat", [[1, 1]], "point"),
        shape("__ignore__", [[1, 1], [9, 9]]),
        shape("dog", [[3, 3], [3, 9]]),
    )
    converted = read_labelme(str(labelme), names=["__ignore__", "_background_", "cat", "dog"])
    assert [(n, box) for image, n, box in boxes(converted) if image == 1] == [
        ("cat", [1, 1, 11, 8]),
        ("dog", [2, 2, 2, 2]),
    ]
    assert len(converted.dropped) == 1 and "c.json: shape 7 (dog): box 3 3 3 9" in converted.dropped[0]
    (note,) = [note for note in converted.notes if "shapes have no area" in note]
    assert note.startswith("2 ") and "shape 4 (cat, line)" in note


def test_pictures_in_another_folder_with_backslashes(tmp_path):
    write_picture(tmp_path / "images/a.png", 20, 10)
    write_annotation(tmp_path / "json/x.json", shape("cat", [[1, 1], [4, 4]]), imagePath="..\\images\\a.png")
    assert read_labelme(str(tmp_path)).dataset["images"][0]["file_name"] == "images/a.png"
    with pytest.raises(ValueError, match="x.json: its picture .* is outside"):
        read_labelme(str(tmp_path / "json"))


def test_sizes_and_doubles_and_foreign_files_are_noted(labelme):
    write_annotation(labelme / "d.json", imagePath="c.png", imageWidth=30, imageHeight=20)
    write_annotation(labelme / "e.json", imagePath="c.png")
    write_text(labelme / "coco.json", '{"images": []}')
    notes = "\n".join(read_labelme(str(labelme)).notes)
    assert "another size than the picture has, check their boxes: d.json 30x20, not 20x20" in notes
    assert "had one already, and are left out: e.json" in notes
    assert "1 JSON files have no shapes and are left out: coco.json" in notes


@pytest.mark.parametrize(
    "content, message",
    [
        ("{", "c.json: is truncated"),
        ('{"shapes": 3}', "c.json: 'shapes' is no list"),
        ('{"shapes": [{"points": [[1, 2]]}]}', "c.json: shape 1: needs a label"),
        ('{"shapes": [{"label": "cat", "points": [1, 2]}]}', "c.json: shape 1: needs a label, and points"),
        (
            '{"shapes": [{"label": "cow", "points": [[1,2],[3,2],[3,9]]}]}',
            "c.json: shape 1 is of class 'cow'",
        ),
    ],
)
def test_faults_are_named(labelme, content, message):
    write_text(labelme / "c.json", content)
    with pytest.raises(ValueError, match=message):
        read_labelme(str(labelme), names=["cat", "dog"])


def test_missing_pictures_and_annotations_are_named(tmp_path):
    with pytest.raises(ValueError, match="holds no JSON files of LabelMe"):
        read_labelme(str(tmp_path))
    write_annotation(tmp_path / "a.json", imagePath="a.jpg")
    with pytest.raises(ValueError, match="a.json: its picture 'a.jpg' does not exist"):
        read_labelme(str(tmp_path))
    write_picture(tmp_path / "a.jpg", 8, 8)
    with pytest.raises(ValueError, match="has no boxes to take the classes from"):
        read_labelme(str(tmp_path))
