import numpy as np
import pytest

from ppdet_ext.runtime import Detections
from ppdet_ext.visualize import contact_sheet
from ppdet_ext.visualize.draw import class_colour
from ppdet_ext.visualize.grid import GAP, LEGEND_HEIGHT, PAPER

NAMES = ["cat", "dog"]


def test_pictures_lie_in_rows_scaled_and_centred():
    images = [np.full((50, 100, 3), 10 * number, np.uint8) for number in range(1, 6)]
    nothing = [Detections([], [], [], NAMES)] * 5
    sheet = contact_sheet(images, nothing, columns=3, tile=60)
    assert sheet.shape == (GAP + 2 * (60 + GAP), GAP + 3 * (60 + GAP), 3)
    for number in range(5):
        row, column = divmod(number, 3)
        y, x = GAP + row * (60 + GAP), GAP + column * (60 + GAP)
        assert (sheet[y + 15 : y + 45, x : x + 60] == 10 * (number + 1)).all()
        assert (sheet[y : y + 14, x : x + 60] == PAPER).all()


def test_predictions_and_truths_are_told_apart():
    image = np.full((100, 100, 3), 90, np.uint8)
    found = [Detections([[20, 30, 60, 80]], [0.9], [1], NAMES)]
    truth = [Detections([[40, 10, 90, 90]], [1.0], [0], NAMES)]
    sheet = contact_sheet([image], found, truth, tile=200)
    top, left = LEGEND_HEIGHT + GAP, GAP
    assert tuple(sheet[top + 110, left + 40]) == class_colour(1)  # solid: every point of the line
    line = sheet[top + 20, left + 80 : left + 180, 0]
    assert 0.5 < (line == 255).mean() < 0.9  # dashed and white
    assert found[0].boxes.tolist() == [[20, 30, 60, 80]]


def test_counts_have_to_agree():
    with pytest.raises(ValueError, match="no images"):
        contact_sheet([], [])
    with pytest.raises(ValueError, match="1 images, but 0 predictions"):
        contact_sheet([np.zeros((9, 9, 3), np.uint8)], [])
