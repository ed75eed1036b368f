"""Sizes without decoding are those that decoding gives, for every format and EXIF orientation."""

import os

import numpy as np
import pytest
from PIL import Image

from ppdet_ext.data import pictures
from ppdet_ext.data.pictures import find_pictures, picture_size, pictures_by_stem
from ppdet_ext.runtime.image import read_image

from .small_sets import write_picture, write_text


@pytest.mark.parametrize("orientation", [None, 1, 2, 3, 6, 8])
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".bmp"])
def test_size_is_that_of_the_decoded_picture(tmp_path, suffix, orientation):
    path = tmp_path / f"a{suffix}"
    exif = Image.Exif()
    if orientation:
        exif[pictures.ORIENTATION] = orientation
    options = {} if suffix == ".bmp" else {"exif": exif}
    Image.fromarray(np.zeros([30, 40, 3], np.uint8)).save(path, **options)
    assert picture_size(path) == read_image(path).shape[1::-1]
    if suffix == ".jpg":
        assert picture_size(path) == ((30, 40) if orientation in (6, 8) else (40, 30))


def test_upright_pictures_are_not_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "read_image", None)
    for name in ("a.jpg", "B.PNG", "c.bmp", "d.webp"):
        assert picture_size(write_picture(tmp_path / name, 40, 30)) == (40, 30)


@pytest.mark.parametrize("mode", ["L", "CMYK", "I;16", "RGBA", "P", "1"])
def test_any_kind_of_pixels(tmp_path, mode):
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    Image.new(mode, (40, 30)).save(path)
    assert picture_size(path) == (40, 30)


@pytest.mark.parametrize(
    "content, message", [(b"", "empty"), (b"no picture", "not an image"), (None, "read")]
)
def test_what_is_no_picture_is_named(tmp_path, content, message):
    path = tmp_path / "a.jpg"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=f"a.jpg: .*{message}"):
        picture_size(path)


def test_pictures_are_found_through_links_without_hidden_ones(tmp_path):
    for name in ("b/ü 1.JPG", "a.png", ".hidden.png", "__MACOSX/a.png", "elsewhere/c.webp"):
        write_picture(tmp_path / "set" / name, 8, 8)
    os.replace(tmp_path / "set" / "elsewhere", tmp_path / "elsewhere")
    os.symlink(tmp_path / "elsewhere", tmp_path / "set" / "linked")
    os.symlink(tmp_path / "set", tmp_path / "set" / "b" / "loop")
    write_text(tmp_path / "set" / "notes.txt", "")
    assert find_pictures(tmp_path / "set") == ["a.png", "b/ü 1.JPG", "linked/c.webp"]


def test_stems_match_in_either_spelling_of_an_accent(tmp_path):
    write_picture(tmp_path / "cafe\u0301.jpg", 8, 8)  # as macOS spells it
    write_picture(tmp_path / "x.png", 8, 8)
    write_picture(tmp_path / "x.jpg", 8, 8)
    found = pictures_by_stem(tmp_path)
    assert set(found) == {"caf\u00e9", "x"} and found["x"] == "x.jpg"
