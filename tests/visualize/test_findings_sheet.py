import cv2
import numpy as np
import pytest

from ppdet_ext.visualize.findings_sheet import SIGNAL, Tile, findings_sheet
from ppdet_ext.visualize.grid import GAP

TILE = 200


@pytest.fixture
def picture(tmp_path):
    """A black picture of 400 x 200 pixels, halved on a sheet: rows 50 to 150 of its tile."""
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), np.zeros([200, 400, 3], np.uint8))
    return str(path)


def where(sheet, colour):
    """x1, y1, x2, y2 of what has this colour."""
    rows, columns = np.nonzero((sheet == colour).all(2))
    return [columns.min() - GAP, rows.min() - GAP, columns.max() - GAP, rows.max() - GAP]


def test_the_box_is_outlined_where_it_is(picture):
    sheet = findings_sheet([Tile(picture, ["annotation 1", "is wrong"], (100, 40, 120, 60))], tile=TILE)
    assert where(sheet, SIGNAL) == [50, 70, 110, 100]
    assert (sheet[GAP + TILE :] < 128).any(), "no caption"


def test_a_tiny_box_is_ringed(picture):
    x1, y1, x2, y2 = where(findings_sheet([Tile(picture, [], (200, 100, 2, 2))], tile=TILE), SIGNAL)
    assert x1 < 90 and x2 > 110 and y1 < 90 and y2 > 110 and abs((x1 + x2) / 2 - 100.5) < 1


def test_what_a_box_covers_beyond_its_picture_is_shown(picture):
    sheet = findings_sheet([Tile(picture, [], (300, 40, 200, 60))], tile=TILE)
    # 500 x 200 pixels on 200 x 80, around the middle row: the box from 120 to 200, cut at the frame.
    x1, y1, x2, _ = where(sheet, SIGNAL)
    assert (x1, y1, x2) == (120, 60 + 16, 199)
    assert (sheet[GAP + 65, GAP + 190] == 128).all() and (sheet[GAP + 65, GAP + 100] == 0).all()


def test_a_pair_stands_side_by_side_and_no_picture_is_an_empty_frame(picture, tmp_path):
    other = tmp_path / "ü.png"
    cv2.imwrite(str(other), np.full([100, 100, 3], 255, np.uint8))
    (tmp_path / "text.png").write_text("hello")
    sheet = findings_sheet(
        [Tile(picture, ["größe"], twin=str(other)), Tile(str(tmp_path / "text.png"), [])], tile=TILE
    )
    assert sheet.shape[1] == GAP + 2 * (TILE + GAP)
    assert (sheet[GAP + 49, GAP + 49] == 0).all() and (sheet[GAP + 49, GAP + 151] == 255).all()
    frame = sheet[GAP : GAP + TILE, 2 * GAP + TILE : -GAP]
    assert frame.std() > 1 and 200 < frame.mean() < 250
    with pytest.raises(ValueError, match="there are none"):
        findings_sheet([])
