import numpy as np
import pytest

from ppdet_ext.runtime import Detections
from ppdet_ext.visualize.annotation_sheet import (
    CAPTION_HEIGHT,
    LEGEND_ROW,
    MOST_LABELS,
    OTHERS,
    annotation_sheet,
)
from ppdet_ext.visualize.draw import class_colour
from ppdet_ext.visualize.grid import GAP, PAPER

NAMES = ["cat", "dog", "螺丝"]


def grey(height, width):
    return np.full((height, width, 3), 100, np.uint8)


def truth(boxes, labels, source="a.jpg", names=NAMES):
    return Detections(boxes, np.ones(len(boxes)), labels, names, source)


def test_boxes_have_the_colours_of_their_classes_and_a_legend():
    sheet = annotation_sheet([(grey(100, 200), truth([[20, 40, 60, 80]], [1]))], tile=200)
    assert sheet.shape == (LEGEND_ROW + 2 * GAP + 100 + CAPTION_HEIGHT, 2 * GAP + 200, 3)
    assert tuple(sheet[GAP + 5, GAP + 5]) == class_colour(1)
    picture = sheet[LEGEND_ROW + GAP : LEGEND_ROW + GAP + 100, GAP : GAP + 200]
    for y, x in ((80, 40), (60, 20), (60, 60)):
        assert tuple(picture[y, x]) == class_colour(1)
    caption = sheet[-GAP - CAPTION_HEIGHT : -GAP]
    assert (caption != PAPER).any()


def test_pictures_of_different_shapes_and_none_annotated():
    images = [grey(4000, 3000), grey(3, 2000), grey(12, 16)]
    sheet = annotation_sheet([(image, truth([], [])) for image in images], columns=2, tile=120)
    assert sheet.shape == (GAP + 2 * (120 + CAPTION_HEIGHT + GAP), GAP + 2 * (120 + GAP), 3)
    rows, columns = (GAP + 59, 2 * GAP + CAPTION_HEIGHT + 179), (GAP + 60, 2 * GAP + 180)
    middles = [(sheet[row, column] == 100).all() for row in rows for column in columns]
    assert middles == [True, True, True, False]  # each picture in the middle of its cell
    # As wide as their own shapes: the tall one and the flat one leave paper beside and above.
    assert (sheet[rows[0], GAP + 5] == PAPER).all() and (sheet[rows[0] - 5, columns[1]] == PAPER).all()


def test_one_class_in_colour_the_others_grey():
    found = truth([[20, 40, 60, 80], [100, 40, 160, 80]], [0, 1])
    sheet = annotation_sheet([(grey(100, 200), found)], tile=200, only=0)
    picture = sheet[LEGEND_ROW + GAP : LEGEND_ROW + GAP + 100, GAP : GAP + 200]
    assert tuple(picture[80, 40]) == class_colour(0) and tuple(picture[80, 130]) == OTHERS
    assert not (sheet == class_colour(1)).all(2).any()


def test_labels_go_where_they_would_cover_the_picture():
    def covered(count):
        boxes = [[20 * (n % 9), 40, 20 * (n % 9) + 10, 60] for n in range(count)]
        sheet = annotation_sheet([(grey(200, 200), truth(boxes, [0] * count))], tile=200)
        return (sheet[LEGEND_ROW + GAP :][:200, GAP : GAP + 200] != 100).any(2).mean()

    assert covered(MOST_LABELS + 1) < covered(MOST_LABELS) / 2


def test_eighty_classes_with_long_names_fit(tmp_path):
    names = [f"class {n} with a name longer than any box" for n in range(80)]
    boxes = [[5, 5, 50, 50]] * 80
    source = "folder/" * 30 + "ü.jpg"
    sheet = annotation_sheet([(grey(64, 64), truth(boxes, list(range(80)), source, names))], tile=300)
    assert sheet.shape[1] == 2 * GAP + 300
    legend = sheet[: -(2 * GAP + 300 + CAPTION_HEIGHT)]
    assert len(legend) % LEGEND_ROW == 0 and len(legend) >= 40 * LEGEND_ROW
    for row in range(GAP, len(legend), LEGEND_ROW):
        assert (legend[row : row + 12, GAP : GAP + 12] != PAPER).any()


def test_nothing_to_draw_is_said():
    with pytest.raises(ValueError, match="no pictures to show"):
        annotation_sheet([])
