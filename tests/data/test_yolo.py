"""YOLO datasets: exact conversion, every layout, and each fault named."""

import json

import numpy as np
import pytest

from ppdet_ext.data.yolo import read_yolo

from .small_sets import write_picture, write_text


@pytest.fixture
def yolo(tmp_path):
    """images/ and labels/ with train and val below; a picture without label file, one with an empty one."""
    write_text(tmp_path / "data.yaml", "path: .\ntrain: images/train\nval: images/val\nnames: [cat, no]\n")
    write_picture(tmp_path / "images/train/a 1.jpg", 200, 100)
    write_text(tmp_path / "labels/train/a 1.txt", "0 0.5 0.5 0.25 0.5\n\n1 0.1 0.2 0.1 0.2\n")
    write_picture(tmp_path / "images/train/b.PNG", 50, 40)
    write_text(tmp_path / "labels/train/b.txt", "")
    write_picture(tmp_path / "images/val/ü.jpg", 64, 64)
    return tmp_path


def test_exact_records(yolo):
    dataset, image_dir, dropped, notes = read_yolo(str(yolo))
    assert image_dir == str(yolo / "images") and not dropped
    assert dataset == {
        "images": [
            {"id": 1, "file_name": "train/a 1.jpg", "width": 200, "height": 100},
            {"id": 2, "file_name": "train/b.PNG", "width": 50, "height": 40},
            {"id": 3, "file_name": "val/ü.jpg", "width": 64, "height": 64},
        ],
        "annotations": [
            {
                "id": 1, "image_id": 1, "category_id": 1, "bbox": [75.0, 25.0, 50.0, 50.0], "area": 2500.0,
                "iscrowd": 0,
            },
            {
                "id": 2, "image_id": 1, "category_id": 2, "bbox": [10.0, 10.0, 20.0, 20.0], "area": 400.0,
                "iscrowd": 0,
            },
        ],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "no"}],
    }  # fmt: skip
    assert notes == ["1 pictures have no label file and count as images without boxes: images/val/ü.jpg"]


def test_pictures_without_labels_can_be_left_out(yolo):
    converted = read_yolo(str(yolo), unlabelled="skip")
    assert [i["file_name"] for i in converted.dataset["images"]] == ["train/a 1.jpg", "train/b.PNG"]
    assert converted.notes == ["1 pictures have no label file and are left out: images/val/ü.jpg"]


def test_numbers_survive_the_round_trip(tmp_path):
    random = np.random.RandomState(0)
    write_text(tmp_path / "classes.txt", "".join(f"c{n}\n" for n in range(5)))
    truth = []
    for number in range(20):
        width, height = (int(side) for side in random.randint(50, 900, 2))
        write_picture(tmp_path / f"images/{number:02d}.png", width, height)
        lines = []
        for _ in range(6):
            w, h = random.uniform(1, width), random.uniform(1, height)
            x, y = random.uniform(0, width - w), random.uniform(0, height - h)
            label = random.randint(5)
            truth.append((number + 1, label + 1, [x, y, w, h]))
            numbers = ((x + w / 2) / width, (y + h / 2) / height, w / width, h / height)
            lines.append(f"{label} " + " ".join(f"{value:.6f}" for value in numbers))
        write_text(tmp_path / f"labels/{number:02d}.txt", "\n".join(lines))
    dataset = read_yolo(str(tmp_path)).dataset
    found, images = dataset["annotations"], {image["id"]: image for image in dataset["images"]}
    assert [(a["image_id"], a["category_id"]) for a in found] == [entry[:2] for entry in truth]
    # six digits of a side of 900 pixels, twice, and the rounding to a thousandth
    np.testing.assert_allclose([a["bbox"] for a in found], [entry[2] for entry in truth], atol=0.003)
    for annotation in found:
        image = images[annotation["image_id"]]
        x, y, w, h = annotation["bbox"]
        assert x >= 0 and y >= 0 and x + w <= image["width"] + 1e-9 and y + h <= image["height"] + 1e-9


@pytest.mark.parametrize(
    "picture, label",
    [
        ("images/a.jpg", "labels/a.txt"),
        ("images/train/deep/a.jpg", "labels/train/deep/a.txt"),
        ("train/images/a.JPG", "train/labels/a.txt"),
        ("images/images/a.jpg", "images/labels/a.txt"),
        ("a.jpg", "a.txt"),
        ("obj_train_data/a.jpg", "obj_train_data/a.txt"),
        ("images/a.jpg", "images/a.txt"),
    ],
)
def test_every_layout(tmp_path, picture, label):
    write_text(tmp_path / "obj.names", "cat\n")
    write_picture(tmp_path / picture, 10, 10)
    write_text(tmp_path / label, "0 0.5 0.5 0.2 0.2")
    converted = read_yolo(str(tmp_path))
    (image,), (box,) = converted.dataset["images"], converted.dataset["annotations"]
    assert box["bbox"] == [4, 4, 2, 2] and not converted.notes
    assert f"{converted.image_dir}/{image['file_name']}" == str(tmp_path / picture)


def test_splits_by_data_yaml_by_list_and_by_folder(yolo):
    assert len(read_yolo(str(yolo), "train").dataset["images"]) == 2
    write_text(yolo / "data.yaml", "train: ../train.txt\nnames: {0: cat, 1: dog}\n")
    write_text(yolo / "train.txt", "./images/train/a 1.jpg\n")
    dataset = read_yolo(str(yolo), "train").dataset
    assert [i["file_name"] for i in dataset["images"]] == ["train/a 1.jpg"]
    write_text(yolo / "labels/val/ü.txt", "1 0.5 0.5 0.5 0.5")
    assert [i["file_name"] for i in read_yolo(str(yolo), "val").dataset["images"]] == ["val/ü.jpg"]
    with pytest.raises(ValueError, match="no split 'test'; its folders are train, val"):
        read_yolo(str(yolo), "test")


def test_outlines_become_boxes_and_keypoints_are_left_out(yolo):
    write_text(
        yolo / "labels/train/a 1.txt", "0 0.1 0.2 0.3 0.2 0.25 0.8\n1 0.1 0.1 0.2 0.1 0.2 0.2 0.1 0.2\n"
    )
    converted = read_yolo(str(yolo))
    assert [a["bbox"] for a in converted.dataset["annotations"]] == [[20, 20, 40, 60], [20, 10, 20, 10]]
    assert "2 outlines became the boxes around them" in converted.notes
    write_text(yolo / "data.yaml", "names: [cat, dog]\nkpt_shape: [2, 3]\n")
    write_text(yolo / "labels/train/a 1.txt", "0 0.5 0.5 0.5 0.5 0.1 0.1 2 0.2 0.2 0\n")
    converted = read_yolo(str(yolo))
    assert [a["bbox"] for a in converted.dataset["annotations"]] == [[50, 25, 100, 50]]


def test_boxes_without_area_and_lonely_labels_are_named(yolo):
    write_text(yolo / "labels/train/a 1.txt", "0 0.5 0.5 0 0.5\n")
    write_text(yolo / "labels/train/gone.txt", "0 0.5 0.5 0.5 0.5\n")
    write_text(yolo / "labels/classes.txt", "cat\ndog\n")
    converted = read_yolo(str(yolo))
    (line,) = converted.dropped
    assert "a 1.txt:1 (cat): box 100 25 100 75 has no area" in line
    assert "1 label files have no picture: labels/train/gone.txt" in converted.notes


@pytest.mark.parametrize(
    "line, message",
    [
        ("0 0.5 0.5 0.2", "a 1.txt:2: 4 columns; a box has 5"),
        ("0 0.5 0.5 0.2 0.2 0.99", "a 1.txt:2: 6 columns; a box has 5"),
        ("0", "a 1.txt:2: 1 columns"),
        ("cat 0.5 0.5 0.2 0.2", "a 1.txt:2: 'cat 0.5 0.5 0.2 0.2' are not all numbers"),
        ("0 100 50 20 20", "a 1.txt:2: 100 is no share of the picture's side"),
        ("0 0.5 -0.5 0.2 0.2", "a 1.txt:2: -0.5 is no share"),
        ("0 0.5 nan 0.2 0.2", "a 1.txt:2: nan is no share"),
        ("2 0.5 0.5 0.2 0.2", "a 1.txt:2: class 2, but .*data.yaml names 2, from 0 to 1"),
        ("-1 0.5 0.5 0.2 0.2", "a 1.txt:2: class -1, but"),
        ("0.5 0.5 0.5 0.2 0.2", "a 1.txt:2: class 0.5, but"),
        ("nan 0.5 0.5 0.2 0.2", "a 1.txt:2: class nan, but"),
    ],
)
def test_faults_of_lines_are_named(yolo, line, message):
    write_text(yolo / "labels/train/a 1.txt", f"0 0.5 0.5 0.25 0.5\n{line}\n")
    with pytest.raises(ValueError, match=message):
        read_yolo(str(yolo))


@pytest.mark.parametrize(
    "content, message",
    [
        ("names: [cat, dog]\nnc: 3", "data.yaml: nc is 3, but names has 2"),
        ("names: {0: cat, 2: dog}", "data.yaml: 'names' must number the classes 0, 1, 2"),
        ("names: [cat, cat]", "data.yaml: names the class 'cat' twice"),
        ("names: [cat", "data.yaml: is no YAML"),
        ("cat", "data.yaml: has no keys"),
        ("nc: 2", "no data.yaml, classes.txt, .* names the classes"),
        ("names: [cat, dog]\ntrain: gone/images", "gone/images: data.yaml names this for the split 'train'"),
        ("names: [cat, dog]\nkpt_shape: 17", "data.yaml: kpt_shape is 17"),
    ],
)
def test_faults_of_the_settings_are_named(yolo, content, message):
    write_text(yolo / "data.yaml", content)
    with pytest.raises(ValueError, match=message):
        read_yolo(str(yolo), "train")


def test_a_folder_without_pictures_or_labels_is_named(tmp_path):
    write_text(tmp_path / "classes.txt", "cat\n")
    with pytest.raises(ValueError, match="holds no pictures"):
        read_yolo(str(tmp_path))
    write_picture(tmp_path / "images/a.jpg", 8, 8)
    with pytest.raises(ValueError, match="none of 1 pictures has a label file.*labels/a.txt"):
        read_yolo(str(tmp_path))


def test_a_label_file_in_another_encoding_is_named(yolo):
    (yolo / "labels/train/b.txt").write_bytes("0 0.5 0.5 0.2 0.2 # Größe".encode("latin-1"))
    with pytest.raises(ValueError, match="b.txt: is not UTF-8 text"):
        read_yolo(str(yolo))


def test_a_byte_order_mark_does_no_harm(yolo):
    label = yolo / "labels/train/b.txt"
    label.write_text("1 0.5 0.5 0.2 0.2", encoding="utf-8")
    expected = read_yolo(str(yolo)).dataset
    label.write_text("1 0.5 0.5 0.2 0.2", encoding="utf-8-sig")
    assert read_yolo(str(yolo)).dataset == expected and len(expected["annotations"]) == 3


def test_given_labels_replace_the_datasets_own(yolo):
    dataset = read_yolo(str(yolo), names=["x", "y", "z"]).dataset
    assert json.dumps(dataset["categories"]) == json.dumps(
        [{"id": n, "name": name} for n, name in enumerate("xyz", 1)]
    )
