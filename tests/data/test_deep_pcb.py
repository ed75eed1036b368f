"""DeepPCB's text format: exact conversion, and each fault named."""

import pytest

from ppdet_ext.data.deep_pcb import CLASSES, read_deep_pcb

from .small_sets import write_picture, write_text


@pytest.fixture
def boards(tmp_path):
    write_text(tmp_path / "trainval.txt", "g/1/1.jpg g/1_not/1.txt\ng/1/2_test.jpg g/1_not/2.txt\n")
    write_picture(tmp_path / "g/1/1_test.jpg", 64, 48)  # listed as 1.jpg
    write_picture(tmp_path / "g/1/2_test.jpg", 64, 48)
    write_text(tmp_path / "g/1_not/1.txt", "1 2 11 22 3\n30,30,40,41,6\n")
    write_text(tmp_path / "g/1_not/2.txt", "5 5 5 9 1\n")
    return tmp_path


def test_exact_records(boards):
    dataset, image_dir, (line,), notes = read_deep_pcb(str(boards))
    assert image_dir == str(boards) and not notes
    assert dataset["images"] == [
        {"id": 1, "file_name": "g/1/1_test.jpg", "width": 64, "height": 48},
        {"id": 2, "file_name": "g/1/2_test.jpg", "width": 64, "height": 48},
    ]
    assert dataset["annotations"] == [
        {"id": 1, "image_id": 1, "category_id": 3, "bbox": [1, 2, 10, 20], "area": 200, "iscrowd": 0},
        {"id": 2, "image_id": 1, "category_id": 6, "bbox": [30, 30, 10, 11], "area": 110, "iscrowd": 0},
    ]
    assert [c["name"] for c in dataset["categories"]] == list(CLASSES)
    assert "2.txt:1 (open): box 5 5 5 9 has no area" in line


@pytest.mark.parametrize(
    "file, content, message",
    [
        ("trainval.txt", "", "trainval.txt: lists no images"),
        ("trainval.txt", "g/1/1.jpg\n", "trainval.txt:1: 'g/1/1.jpg' does not name an image and a text file"),
        (
            "trainval.txt",
            "g/9.jpg g/9.txt",
            "trainval.txt:1: lists the image 'g/9.jpg', which does not exist",
        ),
        ("trainval.txt", "g/1/1.jpg g/9.txt", "g/9.txt: the text file is missing"),
        ("g/1_not/1.txt", "1 2 3 4", "1.txt:1: '1 2 3 4' is no 'x1 y1 x2 y2 class'"),
        ("g/1_not/1.txt", "1 2 3 4 7", "with a class from 1 to 6"),
        ("g/1_not/1.txt", "1 2 3 four 5", "is no 'x1 y1 x2 y2 class'"),
        ("g/1_not/1.txt", "1 2 inf 4 5", "box 1 2 inf 4 is not finite"),
    ],
)
def test_faults_are_named(boards, file, content, message):
    write_text(boards / file, content)
    with pytest.raises(ValueError, match=message):
        read_deep_pcb(str(boards))


def test_another_list(boards):
    write_text(boards / "few.txt", "g/1/1.jpg g/1_not/1.txt\n")
    assert len(read_deep_pcb(str(boards), "few").dataset["images"]) == 1
    with pytest.raises(ValueError, match="gone.txt: no such list"):
        read_deep_pcb(str(boards), "gone")
