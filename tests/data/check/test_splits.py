"""Two splits against each other, and a split against a config."""

import json
import shutil

import cv2
import numpy as np
import pytest

from tests.data.check.sets import check, found, make_set, picture, write


@pytest.fixture
def splits(tmp_path):
    """train.json and val.json over one folder of pictures; the content of the latter."""
    folder = tmp_path / "set"
    make_set(folder)
    return folder, make_set(folder, "val", seed=1)


def against(folder, *options):
    return check(folder, "--other", folder / "val.json", *options)


def test_sound_splits_have_no_findings(splits):
    status, report = against(splits[0], "--num-classes", 2)
    assert status == 0 and report["findings"] == [] and len(report["datasets"]) == 2


@pytest.mark.parametrize(
    "categories, words",
    [
        ([(2, "dog"), (1, "cat")], "in another order"),
        ([(1, "cat")], "only the other has dog (2)"),
        ([(1, "cat"), (2, "dog"), (3, "owl")], "it alone has owl (3)"),
        ([(1, "dog"), (2, "cat")], "it alone has dog (1), cat (2) and only the other has cat (1), dog (2)"),
    ],
)
def test_categories_must_agree(splits, categories, words):
    folder, content = splits
    content["categories"] = [{"id": number, "name": name} for number, name in categories]
    for record in content["annotations"]:
        record["category_id"] = 1
    write(folder, content, "val")
    status, report = against(folder, "--quick")
    (finding,) = found(report, "split-categories")
    assert status == 1 and finding["file"] == str(folder / "val.json")
    assert words in finding["message"] and str(folder / "train.json") in finding["message"]


def test_num_classes_must_be_that_of_the_file(splits):
    folder, _ = splits
    for given, more in ((1, ""), (80, "; evaluation dies when it meets one without a category")):
        status, report = check(folder, "--quick", "--num-classes", given)
        (finding,) = found(report, "num-classes")
        assert status == 1 and finding["mend"] == "set num_classes: 2"
        assert finding["message"] == f"has 2 classes, but num_classes is {given}{more}"


def leak(folder, content, how):
    target = folder / "images" / "val_3.jpg"
    if how == "same file":
        content["images"][2]["file_name"] = "../images/train_5.jpg"
    elif how == "same bytes":
        shutil.copy(folder / "images" / "train_5.jpg", target)
    else:
        noise = np.random.RandomState(0).normal(10, 9, picture(5).shape)
        cv2.imwrite(str(target), np.clip(0.9 * picture(5) + noise, 0, 255), [cv2.IMWRITE_JPEG_QUALITY, 60])
    write(folder, content, "val")


@pytest.mark.parametrize(
    "how, kind, words, status",
    [
        ("same file", "split-leak", "is the file of image 3 (../images/train_5.jpg)", 1),
        ("same bytes", "split-leak", "is, byte for byte, image 3 (val_3.jpg)", 1),
        ("alike", "split-similar", "looks like image 3 (val_3.jpg)", 0),
    ],
)
def test_a_leaked_picture_is_found(splits, tmp_path, how, kind, words, status):
    folder, content = splits
    leak(folder, content, how)
    code, report = against(folder, "--write", tmp_path / "cleaned.json")
    (finding,) = [f for f in report["findings"] if f["kind"].startswith("split")]
    assert code == status and finding["kind"] == kind
    assert finding["record"] == "image 5 (train_5.jpg)" and words in finding["message"]
    assert str(folder / "val.json") in finding["message"]
    names = [image["file_name"] for image in json.loads((tmp_path / "cleaned.json").read_text())["images"]]
    assert ("train_5.jpg" in names) == (kind != "split-leak")
    if how == "alike":
        pair = [cv2.imread(str(folder / "images" / name), 0) for name in ("train_5.jpg", "val_3.jpg")]
        small = [cv2.resize(gray, (48, 48), interpolation=cv2.INTER_AREA).ravel() for gray in pair]
        correlation = np.corrcoef(small)[0, 1]
        assert finding["message"].endswith(f"(correlation {correlation:.3f})")
        assert not found(against(folder, "--similarity", correlation + 1e-3)[1], "split-similar")


def test_the_same_name_in_two_folders_is_no_leak(tmp_path):
    folder = tmp_path / "set"
    make_set(folder)
    other = tmp_path / "other"
    make_set(other, "train", seed=1)
    status, report = check(folder, "--other", other / "train.json", "--other-images", other / "images")
    assert status == 0 and report["findings"] == []


def test_quick_finds_a_leak_by_its_path_alone(splits):
    folder, content = splits
    leak(folder, content, "same file")
    assert found(against(folder, "--quick")[1], "split-leak")
    content["images"][2]["file_name"] = "val_3.jpg"
    leak(folder, content, "same bytes")
    assert not found(against(folder, "--quick")[1], "split-leak")
