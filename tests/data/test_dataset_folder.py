"""Folders in COCO's, VOC's and YOLO's layouts are recognised and read as their parts, or divided."""

import json

import pytest

from ppdet_ext.data.dataset_folder import hold_out, read_folder, recognise

from .small_sets import VOC_OBJECT, instances, write_picture, write_roboflow_voc, write_text

LINE = "0 0.5 0.5 0.2 0.2"


def coco(root, files, pictures, boxes=1):
    """COCO files of three pictures each, and the folders that these lie in."""
    for file in files:
        write_text(root / file, json.dumps(instances([[(0, 10, 10, 20, 20)] * boxes] * 3)))
    for folder in pictures:
        for number in (1, 2, 3):
            write_picture(root / folder / f"{number:03d}.png", 100, 80, seed=number)
    return root


def voc(root, lists=()):
    for number, name in enumerate(("dog", "cat", "cat"), 1):
        write_picture(root / f"JPEGImages/{number}.jpg", 20, 16, seed=number)
        write_text(root / f"Annotations/{number}.xml", f"<annotation>{VOC_OBJECT % name}</annotation>")
    for name, stems in lists:
        write_text(root / f"ImageSets/Main/{name}.txt", "\n".join(stems))
    return root


def yolo(root, parts, settings="", line=LINE):
    for part in parts:
        for number in (1, 2, 3):
            write_picture(root / "images" / part / f"{number}.png", 100, 80, seed=number)
            write_text(root / "labels" / part / f"{number}.txt", line)
    if settings:
        write_text(root / "data.yaml", settings)
    return root


def read(root, *arguments):
    return read_folder(root, *arguments, progress=False)


def classes(part):
    return [category["name"] for category in part.dataset["categories"]]


@pytest.mark.parametrize(
    "files, pictures",
    [
        (
            ("annotations/instances_train2017.json", "annotations/instances_val2017.json"),
            ("train2017", "val2017"),
        ),
        (("annotations/train.json", "annotations/val.json"), ("images/train", "images/val")),
        (("train.json", "val.json"), ("train", "val")),
        (("train/_annotations.coco.json", "valid/_annotations.coco.json"), ("train", "valid")),
    ],
)
def test_cocos_layouts(tmp_path, files, pictures):
    coco(tmp_path, [*files, "annotations/captions_train2017.json", "test/_annotations.coco.json"], pictures)
    if "instances" not in files[0]:  # which captions stand beside in COCO alone
        (tmp_path / "annotations/captions_train2017.json").unlink()
    assert recognise(tmp_path) == "coco"
    found = read(tmp_path)
    for part, file, folder in zip((found.train, found.val), files, pictures):
        assert (part.anno, part.image_dir) == (str(tmp_path / file), str(tmp_path / folder))


def test_one_coco_file_is_all_and_beside_named_parts_nothing(tmp_path):
    coco(tmp_path, ["annotations/all.json"], ["images"])
    found = read(tmp_path)
    assert found.train.anno.endswith("all.json") and found.val is None
    coco(tmp_path, ["annotations/train.json"], [])
    assert read(tmp_path).train.anno.endswith("train.json")


def test_names_of_pictures_may_hold_folders(tmp_path):
    coco(tmp_path, [], ["images/a", "images/b"])
    data = instances([[(0, 10, 10, 20, 20)]] * 2)
    for image, folder in zip(data["images"], "ab"):
        image["file_name"] = f"{folder}/001.png"
    write_text(tmp_path / "train.json", json.dumps(data))
    assert read(tmp_path).train.image_dir == str(tmp_path / "images")


def test_vocs_lists_are_its_parts_with_the_classes_of_both(tmp_path):
    found = read(voc(tmp_path, [("train", "1"), ("val", "23"), ("test", "3")]))
    assert [len(part.dataset["images"]) for part in (found.train, found.val)] == [1, 2]
    assert classes(found.train) == classes(found.val) == ["cat", "dog"]
    assert [a["category_id"] for a in found.train.dataset["annotations"]] == [2]
    assert found.train.anno is None and found.train.image_dir == str(tmp_path / "JPEGImages")


@pytest.mark.parametrize("lists, images", [((), 3), ([("trainval", "12"), ("test", "3")], 2)])
def test_voc_without_a_validation_list(tmp_path, lists, images):
    found = read(voc(tmp_path, lists))
    assert found.kind == "voc" and len(found.train.dataset["images"]) == images and found.val is None


def test_vocs_folders_of_parts_are_its_parts(tmp_path):
    """Roboflow's export; the test part is left alone, and so is a picture without annotation."""
    write_roboflow_voc(tmp_path, {"train": ["dog", "dog", ""], "valid": ["cat"], "test": ["cow"]})
    write_picture(tmp_path / "valid/lonely.jpg", 20, 16)
    found = read(tmp_path)
    assert (found.kind, found.train.image_dir, found.val.image_dir) == ("voc", str(tmp_path), str(tmp_path))
    names = [[image["file_name"] for image in part.dataset["images"]] for part in (found.train, found.val)]
    assert names == [["train/1.jpg", "train/2.jpg", "train/3.jpg"], ["valid/1.jpg"]]
    assert classes(found.train) == classes(found.val) == ["cat", "dog"]
    assert [len(part.dataset["annotations"]) for part in (found.train, found.val)] == [2, 1]
    assert found.notes == ["1 pictures have no annotation and are left out: valid/lonely.jpg"]


def test_vocs_folders_of_parts_without_a_validation_part(tmp_path):
    found = read(write_roboflow_voc(tmp_path, {"train": ["dog", "dog"], "test": ["dog"]}))
    assert len(found.train.dataset["images"]) == 2 and found.val is None


@pytest.mark.parametrize(
    "parts, settings, divided",
    [
        (("train", "val"), "names: [cat]", True),
        (("train", "valid"), "train: ../train/images\nval: ../valid/images\nnames: [cat]", None),
        (("train", "val"), "train: images/train\nval: images/val\nnames: [cat]", True),
        (("train2017",), "train: images/train2017\nval: images/train2017\nnames: [cat]", False),
        (("",), "names: [cat]", False),
    ],
)
def test_yolos_layouts(tmp_path, parts, settings, divided):
    yolo(tmp_path, parts, settings)
    if divided is None:  # Roboflow's: train/images/ in the place of images/train/, the paths one level off
        for part in parts:
            for kind in ("images", "labels"):
                (tmp_path / part).mkdir(exist_ok=True)
                (tmp_path / kind / part).rename(tmp_path / part / kind)
    found = read(tmp_path)
    assert found.kind == "yolo" and len(found.train.dataset["images"]) == 3
    assert (found.val is None) == (divided is False) and classes(found.train) == ["cat"]


def test_yolos_classes_without_names_are_numbered(tmp_path):
    found = read(yolo(tmp_path, ["train", "val"], line=f"2{LINE[1:]}"))
    assert classes(found.train) == ["class_0", "class_1", "class_2"]
    assert "--labels FILE names them" in found.notes[0]
    named = read(tmp_path, "auto", ["a", "b", "c"])
    assert classes(named.train) == ["a", "b", "c"] and not named.notes


def test_the_held_out_share_is_seeded_and_keeps_twins_together(tmp_path):
    for number in range(20):  # each picture twice
        write_picture(tmp_path / f"images/{number + 1:03d}.png", 100, 80, seed=number // 2)
    write_text(tmp_path / "all.json", json.dumps(instances([[(n % 2, 10, 10, 20, 20)] for n in range(20)])))
    part = read(tmp_path).train
    held = [hold_out(part, seed=seed, progress=False) for seed in (0, 0, 1, 2, 3)]
    names = [tuple(image["file_name"] for image in val.dataset["images"]) for _, val in held]
    assert names[0] == names[1] and len(set(names)) > 1
    train, val = held[0]
    assert (len(train.dataset["images"]), len(val.dataset["images"])) == (16, 4)
    assert val.anno is None and val.image_dir == part.image_dir
    numbers = sorted(int(name[:3]) - 1 for name in names[0])
    assert numbers[0] // 2 == numbers[1] // 2 and numbers[2] // 2 == numbers[3] // 2


def test_what_is_no_dataset_is_said_in_one_line(tmp_path):
    def refused(make, *words):
        root = tmp_path / f"set{len(list(tmp_path.iterdir()))}"
        root.mkdir()
        make(root)
        with pytest.raises(ValueError) as caught:
            read(root)
        said = str(caught.value)
        assert "\n" not in said and all(word in said for word in (root.name, *words)), said

    refused(lambda root: None, "the folder is empty", "Annotations/*.xml")
    refused(lambda root: root.rmdir(), "no such folder")
    refused(lambda root: write_text(root / "a.txt", "a"), "no layout", "looked for COCO: annotations/*.json")
    refused(
        lambda root: (voc(root), yolo(root, ["train"])), "VOC or a YOLO folder", "--from voc or --from yolo"
    )
    refused(lambda root: coco(root, ["train.json"], ["train"], boxes=0), "train.json", "none of the 3 images")
    refused(lambda root: yolo(root, ["train"], line=""), "without a box")
    refused(lambda root: yolo(root, ["train"], "names: [cat]", ""), "none of the 3 images", "labels/*.txt")
    refused(
        lambda root: coco(root, ["a_train.json", "b_train.json"], []), "several", "a_train.json, b_train.json"
    )
    refused(lambda root: coco(root, ["val.json"], ["val"]), "no COCO file to train on, only val.json")
    refused(lambda root: coco(root, ["train.json"], []), "001.png, which is nowhere in")
