import csv
import json

import numpy as np
import pytest

from ppdet_ext.runtime import Detections
from ppdet_ext.runtime.records import COLUMNS, CocoWriter, CsvWriter, JsonWriter

NAMES = ["cat", "chien, grand"]
FOUND = Detections([[1, 2, 11, 22], [0, 0, 5.5, 5]], [0.75, 0.5], [1, 0], NAMES)
NOTHING = Detections([], [], [], NAMES)


def test_json(tmp_path):
    path = tmp_path / "new" / "ü.json"
    with JsonWriter(path, {"model": "m", "names": NAMES}) as writer:
        writer.write({"file": "ü 1.jpg"}, FOUND)
        writer.write({"file": "a.mp4", "frame": 3}, NOTHING)
        assert not path.exists()
    assert json.loads(path.read_text(encoding="utf-8")) == {
        "model": "m",
        "names": NAMES,
        "images": [
            {"file": "ü 1.jpg", "detections": FOUND.to_records()},
            {"file": "a.mp4", "frame": 3, "detections": []},
        ],
    }
    assert [file.name for file in path.parent.iterdir()] == ["ü.json"]


def test_coco(tmp_path):
    path = tmp_path / "a.json"
    with CocoWriter(path, [7, 90]) as writer:
        writer.write(5, FOUND)
        writer.write(6, NOTHING)
        writer.write(9, FOUND[:1])
    assert json.loads(path.read_text()) == FOUND.to_coco(5, [7, 90]) + FOUND[:1].to_coco(9, [7, 90])


def test_csv(tmp_path):
    path = tmp_path / "a.csv"
    with CsvWriter(path) as writer:
        writer.write("a, b.jpg", None, FOUND)
        writer.write("c.mp4", 0, FOUND[1:])
        writer.write("c.mp4", 1, NOTHING)
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert tuple(rows[0]) == COLUMNS
    assert [row[:4] for row in rows[1:]] == [
        ["a, b.jpg", "", "1", "chien, grand"],
        ["a, b.jpg", "", "0", "cat"],
        ["c.mp4", "0", "0", "cat"],
    ]
    np.testing.assert_array_equal(
        np.array(rows[1:])[:, 4:].astype(float),
        [[0.75, 1, 2, 11, 22], [0.5, 0, 0, 5.5, 5], [0.5, 0, 0, 5.5, 5]],
    )


@pytest.mark.parametrize("make", [lambda p: JsonWriter(p, {"a": 1}), lambda p: CocoWriter(p, [1]), CsvWriter])
def test_files_are_whole_with_nothing_in_them_and_after_an_exception(tmp_path, make):
    path = tmp_path / "a"
    path.write_text("older")
    with pytest.raises(KeyboardInterrupt), make(path):
        assert path.read_text() == "older"
        raise KeyboardInterrupt
    text = path.read_text()
    assert text == ",".join(COLUMNS) + "\n" or json.loads(text) in ({"a": 1, "images": []}, [])
    assert [file.name for file in tmp_path.iterdir()] == ["a"]
