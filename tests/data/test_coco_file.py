"""COCO files: what can't be worked with is named, and nothing half or foreign is written."""

import copy
import json
import os

import pytest

from ppdet_ext.data.coco_file import check_free, read_coco, write_json

from .small_sets import instances

SOUND = instances([[(0, 1, 2, 3, 4)], [(1, 5, 6, 7, 8)]])


def test_a_sound_file_comes_back_as_it_is(tmp_path):
    write_json(tmp_path / "new" / "a.json", SOUND)
    assert read_coco(tmp_path / "new" / "a.json") == SOUND
    assert os.listdir(tmp_path / "new") == ["a.json"]


def broken(*keys, value=None):
    """SOUND with one value replaced, or removed."""
    dataset = copy.deepcopy(SOUND)
    place = dataset
    for key in keys[:-1]:
        place = place[key]
    if value is None:
        del place[keys[-1]]
    else:
        place[keys[-1]] = value
    return dataset


@pytest.mark.parametrize(
    "content, message",
    [
        ([], "has no list 'images'"),
        (broken("categories"), "has no list 'categories'"),
        (broken("annotations", value={}), "has no list 'annotations'"),
        (broken("images", 1, "width"), r"images\[1\] has no 'width'"),
        (broken("images", 0, "height", value=0), r"images\[0\] has the height 0"),
        (broken("images", 1, "id", value=1), r"images\[1\] has the id 1 of another one"),
        (broken("images", 1, "id", value=[1]), r"images\[1\] has the id \[1\], which is no number"),
        (broken("categories", 1, "id", value=1), r"categories\[1\] has the id 1 of another one"),
        (broken("annotations", 0, "image_id", value=9), r"annotations\[0\] has image_id 9, which"),
        (broken("annotations", 1, "category_id", value=9), r"annotations\[1\] has category_id 9, which"),
        (broken("annotations", 1, "bbox", value=[1, 2, 3]), r"annotations\[1\] has the bbox \[1, 2, 3\]"),
        (broken("annotations", 0, "bbox", 0, value=float("nan")), r"annotations\[0\] has the bbox \[nan"),
    ],
)
def test_faults_are_named(tmp_path, content, message):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=f"a.json: {message}"):
        read_coco(path)


def test_files_are_free_or_forced(tmp_path):
    check_free([tmp_path / "a.json"])
    (tmp_path / "a.json").write_text("mine")
    with pytest.raises(ValueError, match="a.json: is already there.*--force"):
        check_free([tmp_path / "b.json", tmp_path / "a.json"])
    check_free([tmp_path / "a.json"], force=True)
    with pytest.raises(ValueError, match="only from files named '.json'"):
        check_free([tmp_path / "a.txt"])
    (tmp_path / "c.json").mkdir()
    with pytest.raises(ValueError, match="c.json: is already there"):
        check_free([tmp_path / "c.json"], force=True)


def test_a_failed_write_leaves_the_old_file(tmp_path):
    write_json(tmp_path / "a.json", [1])
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", [2, object()])
    assert json.loads((tmp_path / "a.json").read_text()) == [1]
    assert os.listdir(tmp_path) == ["a.json"]
