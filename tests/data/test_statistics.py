"""Figures of a dataset against counts by hand; the choice of pictures to look at."""

import json

import numpy as np
import pytest

from ppdet_ext.data.sample import annotated_pictures, choose_images, label_of
from ppdet_ext.data.statistics import box_sides, dataset_statistics

from .small_sets import instances, write_picture


def test_figures_by_hand():
    dataset = instances(
        [[(0, 0, 0, 10, 10), (0, 0, 0, 40, 10)], [(1, 0, 0, 100, 80)], [], [(0, 5, 5, 0, 9)]], size=(100, 80)
    )
    found = dataset_statistics(dataset, 400)
    assert json.loads(json.dumps(found)) == found
    assert (found["images"], found["boxes"]) == (4, 4)
    assert (found["images_without_boxes"], found["boxes_without_area"]) == (1, 1)
    assert found["classes"] == [
        {"name": "cat", "boxes": 3, "images": 2}, {"name": "dog", "boxes": 1, "images": 1},
    ]  # fmt: skip
    assert found["boxes_per_image"] == {
        "mean": 1.0, "median": 1.0, "max": 2, "images_by_boxes": {"0": 1, "1": 2, "2": 1},
    }  # fmt: skip
    assert found["picture_sizes"] == [{"width": 100, "height": 80, "images": 4}]
    sizes = found["box_sizes"]
    assert (sizes["small"], sizes["medium"], sizes["large"]) == (2, 1, 0)
    assert sizes["max"] == pytest.approx(8000**0.5, abs=1e-3)
    # stretched to 400 x 400: 40 x 50, 160 x 50 and 400 x 400
    at_input = found["box_sizes_at_input"]
    assert (at_input["small"], at_input["medium"], at_input["large"]) == (0, 2, 1)
    np.testing.assert_allclose(box_sides(dataset, 400), [[40, 50], [160, 50], [400, 400]])
    assert found["width_to_height"]["max"] == 4


def test_nothing_to_count():
    found = dataset_statistics(instances([[]]), 640)
    assert found["boxes"] == 0 and found["box_sizes"]["median"] is None
    assert dataset_statistics({"images": [], "annotations": [], "categories": []}, 640)["images"] == 0


def test_every_class_is_chosen_if_there_is_room():
    dataset = instances([[(0, 1, 1, 2, 2)]] * 97 + [[(n, 1, 1, 2, 2)] for n in (1, 2, 2)], names="abc")
    for seed in range(10):
        chosen = [image["id"] for image in choose_images(dataset, 6, seed=seed)]
        assert len(chosen) == 6 and chosen == sorted(chosen)
        assert 98 in chosen and {99, 100} & set(chosen) and min(chosen) < 98
    assert choose_images(dataset, 6, seed=1) != choose_images(dataset, 6, seed=2)
    assert choose_images(dataset, 6, seed=1) == choose_images(dataset, 6, seed=1)
    assert len(choose_images(dataset, 1000)) == 100
    assert [i["id"] for i in choose_images(dataset, 6, label=2)] == [99, 100]


def test_classes_go_by_name():
    dataset = instances([[(0, 1, 1, 2, 2)]])
    assert label_of(dataset, "dog", "a.json") == 1
    with pytest.raises(ValueError, match="a.json: has no class 'dgo'; did you mean 'dog'"):
        label_of(dataset, "dgo", "a.json")
    with pytest.raises(ValueError, match="no image has a box of class 'dog'"):
        choose_images(dataset, 3, label=1)
    with pytest.raises(ValueError, match="has no images to show"):
        choose_images({"images": [], "annotations": [], "categories": []}, 3)


def test_pictures_come_with_their_boxes(tmp_path):
    dataset = instances([[(1, 10, 20, 30, 40)], []])
    dataset["categories"].reverse()
    for image in dataset["images"]:
        write_picture(tmp_path / image["file_name"], 100, 80)
    (picture, truth), (_, nothing) = annotated_pictures(dataset, dataset["images"], str(tmp_path), False)
    assert picture.shape == (80, 100, 3) and len(nothing) == 0
    assert truth.boxes.tolist() == [[10, 20, 40, 60]] and truth.names[truth.labels[0]] == "dog"
    assert truth.source == "001.png"
