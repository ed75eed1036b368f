"""What must stay together: equal files, pictures alike, names alike, and whatever these chain up."""

import cv2
import numpy as np
import pytest

from ppdet_ext.data.grouping import group_images
from ppdet_ext.data.similarity import similar_pairs, thumbnails
from ppdet_ext.data.split import split_dataset

from .small_sets import instances, write_picture


@pytest.fixture
def pictures(tmp_path):
    """12 pictures: 1 and 2 alike up to brightness, 4 and 5 the same bytes, the others different."""
    dataset = instances([[(0, 1, 1, 5, 5)]] * 12)
    for number, image in enumerate(dataset["images"]):
        path = write_picture(tmp_path / image["file_name"], 100, 80, seed=number)
        if number == 1:
            picture = cv2.imread(str(tmp_path / "001.png"))
            cv2.imwrite(str(path), np.clip(picture * 0.7 + 20, 0, 255).astype(np.uint8))
        if number == 4:
            path.write_bytes((tmp_path / "004.png").read_bytes())
    return dataset, str(tmp_path)


def test_pictures_alike_stay_together(pictures):
    groups = group_images(*pictures, threshold=0.9, progress=False)
    assert groups.keys == [0, 0, 2, 3, 3, *range(5, 12)]
    assert groups.similar == 4 and groups.sizes == [2, 2] and not groups.unmatched
    assert group_images(*pictures).sizes == []


def test_correlations_are_those_of_the_thumbnails(pictures):
    dataset, folder = pictures
    rows = thumbnails([f"{folder}/{i['file_name']}" for i in dataset["images"]], progress=False)
    small = [
        cv2.resize(cv2.imread(f"{folder}/{i['file_name']}", 0), (48, 48), interpolation=cv2.INTER_AREA)
        for i in dataset["images"]
    ]
    expected = np.corrcoef(np.reshape(small, [12, -1]))
    np.testing.assert_allclose(rows @ rows.T, expected, atol=1e-5)
    found = {pair[:2]: pair[2] for pair in similar_pairs(rows, 0.3)}
    assert found.keys() == {(a, b) for a, b in np.argwhere(expected >= 0.3).tolist() if a < b}


def test_names_and_likeness_and_files_chain_up(pictures):
    dataset, folder = pictures
    dataset["images"][11]["file_name"] = "006.png"  # one file under two ids
    groups = group_images(dataset, folder, 0.9, r"^0(1)\d", progress=False)
    assert groups.keys == [0, 0, 2, 3, 3, 5, 6, 7, 8, 9, 9, 5]
    assert groups.unmatched[:2] == ["001.png", "002.png"] and len(groups.unmatched) == 10
    groups = group_images(dataset, folder, 0.9, r"^00([25])", progress=False)
    assert groups.keys[:5] == [0, 0, 2, 3, 3]
    dataset["images"][2]["file_name"] = "2_b.png"
    groups = group_images(dataset, None, None, r"^0*(2)")
    assert groups.keys[:4] == [0, 1, 1, 3]


def test_no_split_has_a_picture_alike_in_two_parts(pictures):
    dataset, folder = pictures
    keys = group_images(dataset, folder, 0.9, progress=False).keys
    for seed in range(10):
        parts = split_dataset(dataset, {"train": None, "val": 0.4}, keys, seed)
        inside = {name: {i["id"] for i in part["images"]} for name, part in parts.items()}
        for pair in ({1, 2}, {4, 5}):
            assert pair <= inside["train"] or pair <= inside["val"]


@pytest.mark.parametrize(
    "options, message",
    [
        ({"threshold": 0}, "a similarity of 0: give a correlation"),
        ({"threshold": 1.5}, "a similarity of 1.5"),
        ({"threshold": float("nan")}, "a similarity of nan"),
        ({"pattern": "("}, "is no regular expression"),
        ({"pattern": "0"}, "has no parentheses"),
        ({"pattern": "(x)"}, "fits none of the names .the first is '001.png'"),
    ],
)
def test_faults_are_named(pictures, options, message):
    with pytest.raises(ValueError, match=message):
        group_images(*pictures, progress=False, **options)


def test_missing_and_broken_pictures_are_named(pictures, tmp_path):
    (tmp_path / "003.png").write_bytes(b"")
    with pytest.raises(ValueError, match="003.png: not a picture"):
        group_images(*pictures, threshold=0.9, progress=False)
    for number in range(1, 6):
        (tmp_path / f"00{number}.png").unlink()
    with pytest.raises(ValueError, match="lacks 5 of 12 images .001.png, 002.png, 003.png and 2 more."):
        group_images(*pictures, threshold=0.9, progress=False)
