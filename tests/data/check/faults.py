"""Faults of datasets, by the numbers of the list of bad inputs that must end in a clear message."""

import shutil
from typing import Callable, NamedTuple

import cv2
import numpy as np
from PIL import Image

from tests.data.check.sets import HEIGHT, WIDTH, image_path, picture


class Fault(NamedTuple):
    """
    Args:
        case (int): its number in the list.
        make (callable): (folder, content) -> None: puts it into a set of `sets.make_set`.
        kind (str): of the finding that it must lead to.
        record (str): what the finding must name.
        words (str): what it must say.
        status (int): of the command.
        cleaned (bool): a cleaned copy is rid of it.
    """

    case: int
    make: Callable
    kind: str
    record: str
    words: str
    status: int = 1
    cleaned: bool = True


def change(list_name, row, **fields):
    """Sets fields of a record; None takes one out."""

    def make(folder, content):
        for key, value in fields.items():
            if value is None:
                del content[list_name][row][key]
            else:
                content[list_name][row][key] = value

    return make


def box(*values):
    return change("annotations", 4, bbox=list(values))


def bytes_of(number, edit):
    """Changes the bytes of a picture."""

    def make(folder, content):
        path = image_path(folder, number)
        path.write_bytes(edit(path.read_bytes()))

    return make


def replaced(write, suffix=".png"):
    """Another file in the place of picture 3, which `write(path)` makes."""

    def make(folder, content):
        path = folder / "images" / f"odd{suffix}"
        write(path)
        content["images"][2]["file_name"] = path.name

    return make


def png_truncated(path):
    cv2.imwrite(str(path), picture(3))
    path.write_bytes(path.read_bytes()[:-40])


def sixteen_bits(path):
    cv2.imwrite(str(path), picture(3).astype(np.uint16) * 257)


def nearly_black(path):
    cv2.imwrite(str(path), picture(3)[..., 0].astype(np.uint16) * 4)


def in_mode(mode):
    return lambda path: Image.fromarray(picture(3)).convert(mode).save(path)


def oriented(orientation, size=(WIDTH, HEIGHT)):
    """A JPEG that says how its picture is to be turned."""

    def write(path):
        exif = Image.Exif()
        exif[0x0112] = orientation
        Image.fromarray(picture(3)).resize(size).save(path, exif=exif, quality=95)

    return write


def scaled_down(path):
    cv2.imwrite(str(path), cv2.resize(picture(3), (WIDTH // 2, HEIGHT // 2)))


def cropped(path):
    cv2.imwrite(str(path), picture(3)[:, :60])


def without(number):
    def make(folder, content):
        image_path(folder, number).unlink()

    return make


def renamed(old, new, in_file=None):
    def make(folder, content):
        (folder / "images" / old).rename(folder / "images" / new)
        if in_file:
            row = [image["file_name"] for image in content["images"]].index(old)
            content["images"][row]["file_name"] = in_file

    return make


def twin_ids(list_name, row, other):
    def make(folder, content):
        content[list_name][row]["id"] = content[list_name][other]["id"]

    return make


def listed_twice(folder, content):
    content["images"].append({**content["images"][2], "id": 99})
    content["annotations"][6]["image_id"] = 99


def all_boxes(function):
    def make(folder, content):
        for record in content["annotations"]:
            record["bbox"] = function(*record["bbox"])

    return make


def no_boxes(folder, content):
    content["annotations"] = []


def no_images(folder, content):
    content["images"] = content["annotations"] = []


def one_more(list_name, **fields):
    def make(folder, content):
        content[list_name].append({**content[list_name][-1], "id": 77, **fields})

    return make


def bare_image(folder, content):
    content["annotations"] = [a for a in content["annotations"] if a["image_id"] != 3]


def copied(folder, content):
    shutil.copy(image_path(folder, 1), image_path(folder, 3))


def few_of_a_category(folder, content):
    for record in content["annotations"][2:]:
        record["category_id"] = 1


A4 = "annotation 5 (train_2.jpg)"
I3 = "image 3 (train_3.jpg)"
ODD = "image 3 (odd"
FAULTS = {
    "zero bytes": Fault(1, bytes_of(3, lambda data: b""), "file-empty", I3, "has 0 bytes"),
    "truncated JPEG": Fault(2, bytes_of(3, lambda data: data[:-200]), "file-truncated", I3, "breaks off"),
    "truncated PNG": Fault(2, replaced(png_truncated), "file-truncated", ODD, "breaks off"),
    "text": Fault(3, bytes_of(3, lambda data: b"<html>404</html>"), "file-no-picture", I3, "no picture"),
    "16 bits": Fault(4, replaced(sixteen_bits), "picture-16-bit", ODD, "16 bits", 0, False),
    "16 bits, black": Fault(4, replaced(nearly_black), "picture-blank", ODD, "stretch the values", 0, False),
    "CMYK": Fault(4, replaced(in_mode("CMYK"), ".jpg"), "picture-cmyk", ODD, "CMYK", 0, False),
    "alpha": Fault(4, replaced(in_mode("RGBA")), "picture-alpha", ODD, "alpha channel", 0, False),
    "greyscale": Fault(4, replaced(in_mode("L")), "picture-grey", ODD, "greyscale", 0, False),
    "PNG as .jpg": Fault(
        4,
        replaced(lambda path: Image.fromarray(picture(3)).save(path, "PNG"), ".jpg"),
        "picture-suffix",
        ODD,
        "is PNG",
        0,
        False,
    ),
    "turned": Fault(
        5, replaced(oriented(6), ".jpg"), "picture-turned", ODD, "read as 48 x 64: EXIF orientation 6"
    ),
    "turned by half": Fault(
        5, replaced(oriented(3), ".jpg"), "picture-exif", ODD, "EXIF orientation 3", 0, False
    ),
    "scaled": Fault(
        5, replaced(scaled_down), "picture-size", ODD, "annotated as 64 x 48, and read as 32 x 24"
    ),
    "cropped": Fault(5, replaced(cropped), "picture-size", ODD, "annotated as 64 x 48, and read as 60 x 48"),
    "missing": Fault(6, without(3), "file-missing", I3, "is missing in"),
    "other case": Fault(7, renamed("train_3.jpg", "train_3.JPG"), "file-missing", I3, "is missing in"),
    "other accent": Fault(
        7,
        renamed("train_3.jpg", "e\u0301.jpg", "\u00e9.jpg"),
        "file-missing",
        "(\u00e9.jpg)",
        "is missing in",
    ),
    "backslash": Fault(
        7,
        change("images", 2, file_name="..\\images\\train_3.jpg"),
        "file-missing",
        "image 3",
        "is missing in",
    ),
    "no area": Fault(10, change("annotations", 4, area=None), "area-absent", A4, "has no area"),
    "area null": Fault(10, change("annotations", 4, area=float("nan")), "area-absent", A4, "has area nan"),
    "no iscrowd": Fault(10, change("annotations", 4, iscrowd=None), "iscrowd-absent", A4, "has no iscrowd"),
    "no width": Fault(10, change("images", 2, width=None), "size-absent", I3, "width 'missing'"),
    "height 0": Fault(10, change("images", 2, height=0), "size-absent", I3, "height 0"),
    "no file_name": Fault(
        10, change("images", 2, file_name=None), "image-fields", "image 3", "has no file_name"
    ),
    "no image_id": Fault(
        10, change("annotations", 4, image_id=None), "annotation-fields", "annotation 5", "has no image_id"
    ),
    "no id": Fault(10, change("annotations", 4, id=None), "annotation-fields", "position 5", "has no id"),
    "no bbox": Fault(10, change("annotations", 4, bbox=None), "box-absent", A4, "has no bbox"),
    "unknown category": Fault(
        11,
        change("annotations", 4, category_id=9),
        "category-unknown",
        A4,
        "is of category 9, which is not there",
    ),
    "unknown image": Fault(
        11,
        change("annotations", 4, image_id=99),
        "image-unknown",
        "annotation 5",
        "is of image 99, which is not there",
    ),
    "image id twice": Fault(
        12, twin_ids("images", 2, 0), "image-id-twice", "image 1 (train_3.jpg)", "has the id"
    ),
    "image twice": Fault(12, listed_twice, "image-twice", "image 99 (train_3.jpg)", "is the file of image 3"),
    "annotation id twice": Fault(
        12,
        twin_ids("annotations", 4, 0),
        "annotation-id-twice",
        "annotation 1 (train_2.jpg)",
        "at position 5 has",
    ),
    "category id twice": Fault(
        12,
        twin_ids("categories", 1, 0),
        "category-id-twice",
        "category 1 (dog)",
        "has the id of 'cat'",
        cleaned=False,
    ),
    "category name twice": Fault(
        12, change("categories", 1, name="cat"), "category-name-twice", "'cat'", "is there 2 times", 0, False
    ),
    "no category name": Fault(
        10, change("categories", 1, name=None), "category-fields", "category 2", "has no name", cleaned=False
    ),
    "annotation id 0": Fault(
        12, change("annotations", 4, id=0), "annotation-id-0", "annotation 0", "has the id 0", 0
    ),
    "sparse ids": Fault(
        12, change("annotations", 4, id=500), "ids-sparse", "annotations", "from 1 to 500", 0, False
    ),
    "id as text": Fault(12, change("annotations", 4, id="x5"), "id-type", "annotation x5", "has the id 'x5'"),
    "NaN": Fault(13, box(float("nan"), 5, 10, 10), "box-not-finite", A4, "has the bbox nan 5 10 10"),
    "infinite": Fault(13, box(4, 5, float("inf"), 10), "box-not-finite", A4, "has the bbox 4 5 inf 10"),
    "negative": Fault(13, box(4, 5, -3, 10), "box-no-area", A4, "has width -3"),
    "zero area": Fault(13, box(4, 5, 0, 10), "box-no-area", A4, "has width 0"),
    "beyond": Fault(13, box(50, 5, 30, 10), "box-beyond", A4, "16 pixels out of a picture of 64 x 48"),
    "beyond, negative": Fault(13, box(-8, 5, 30, 10), "box-beyond", A4, "8 pixels out of"),
    "outside": Fault(13, box(70, 5, 10, 10), "box-outside", A4, "outside a picture of 64 x 48"),
    "three numbers": Fault(13, box(4, 5, 10), "box-malformed", A4, "has the bbox [4, 5, 10]"),
    "text for a number": Fault(13, box("4", 5, 10, 10), "box-malformed", A4, "has the bbox ['4', 5, 10, 10]"),
    "area 0": Fault(13, change("annotations", 4, area=0), "area-zero", A4, "has area 0 and a box of 132"),
    "corners": Fault(
        13,
        all_boxes(lambda x, y, w, h: [x, y, x + w, y + h]),
        "boxes-corners",
        "",
        "x1, y1, x2, y2",
        cleaned=False,
    ),
    "shares": Fault(
        13,
        all_boxes(lambda x, y, w, h: [x / 64, y / 48, w / 64, h / 48]),
        "boxes-normalised",
        "",
        "between 0 and 1",
        cleaned=False,
    ),
    "no boxes": Fault(17, no_boxes, "empty", "", "none of its 8 images has a box", cleaned=False),
    "no images": Fault(17, no_images, "empty", "", "holds no images", cleaned=False),
    "image without boxes": Fault(17, bare_image, "image-bare", I3, "has no box", 0, False),
    "picture twice": Fault(18, copied, "picture-twice", I3, "is the same file as image 1", 0, False),
    # What may be right, and looks wrong.
    "box twice": Fault(0, one_more("annotations"), "box-twice", "annotation 77", "lies on annotation 24", 0),
    "two categories": Fault(
        0,
        one_more("annotations", category_id=1),
        "box-two-categories",
        "annotation 77",
        "lies on annotation 24",
        0,
        False,
    ),
    "tiny": Fault(
        0, change("annotations", 4, bbox=[4, 5, 1, 10], area=10), "box-tiny", A4, "1 x 10", 0, False
    ),
    "whole": Fault(
        0, change("annotations", 4, bbox=[0, 0, 64, 48], area=9), "box-whole", A4, "100 %", 0, False
    ),
    "narrow": Fault(
        0,
        change("annotations", 4, bbox=[4, 5, 2, 42], area=84),
        "box-narrow",
        A4,
        "21 times as long",
        0,
        False,
    ),
    "great area": Fault(0, change("annotations", 4, area=999), "area-greater", A4, "has area 999", 0),
    "crowd": Fault(0, change("annotations", 4, iscrowd=1), "crowd", A4, "is a crowd", 0, False),
    "rare": Fault(0, few_of_a_category, "category-rare", "category 2 (dog)", "has 1 box", 0, False),
    "no box of it": Fault(
        0, one_more("categories", name="owl"), "category-bare", "owl", "has no box", 0, False
    ),
}
