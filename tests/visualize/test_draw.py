import numpy as np
import pytest

from ppdet_ext.runtime import Detections
from ppdet_ext.visualize import draw_boxes, draw_detections
from ppdet_ext.visualize.draw import class_colour

NAMES = ["cat", "dog"]


def grey(height, width):
    return np.full((height, width, 3), 100, np.uint8)


def test_lines_lie_on_the_box_and_the_input_stays():
    image = grey(240, 320)
    found = Detections([[40, 60, 200, 180]], [0.9], [1], NAMES)
    drawn = draw_detections(image, found)
    assert (image == 100).all() and drawn.shape == image.shape
    colour = class_colour(1)
    for y, x in ((60, 150), (180, 100), (100, 40), (100, 200)):
        assert tuple(drawn[y, x]) == colour
    assert (drawn[62:179, 42:199] == 100).all()  # the label stands outside
    assert (drawn[40:59, 40:80] != 100).any()


def test_only_what_scores_enough_is_drawn():
    found = Detections([[10, 30, 50, 60]], [0.4], [0], NAMES)
    assert (draw_detections(grey(100, 100), found, 0.5) == 100).all()
    assert (draw_detections(grey(100, 100), found, 0.4) != 100).any()


@pytest.mark.parametrize(
    "box, on_its_lines",
    [
        ([-50, -50, 500, 500], []),
        ([-1e9, 60, 1e9, 80], [(60, 0), (80, 99)]),
        ([95, 95, 99, 99], [(97, 95), (99, 97)]),
        ([-20, -20, -5, -5], []),
    ],
)
def test_boxes_anywhere(box, on_its_lines):
    found = Detections([box], [0.9], [0], ["a very long name, longer than the image is wide"])
    drawn = draw_detections(grey(100, 100), found)
    assert drawn.shape == (100, 100, 3)
    for y, x in on_its_lines:
        assert tuple(drawn[y, x]) == class_colour(0)
    assert (drawn[30:45] == 100).all()  # neither on a line nor under a label
    assert (drawn != 100).any()  # the label is seen even if the box is not


def test_small_images_are_enlarged_by_whole_factors():
    found = Detections([[10, 40, 30, 60]], [0.9], [0], NAMES)
    drawn = draw_detections(grey(80, 100), found, min_side=320)
    assert drawn.shape == (320, 400, 3)
    assert tuple(drawn[200, 40]) == class_colour(0)
    assert draw_detections(grey(80, 400), found, min_side=320).shape == (80, 400, 3)


def test_lines_grow_with_the_image():
    def width(side):
        drawn = draw_boxes(
            grey(side, side), np.array([[side // 4] * 2 + [side // 2] * 2]), [""], [(255, 0, 0)]
        )
        return (drawn[side * 3 // 8, :, 0] == 255).sum() / 2

    assert width(200) == 1 and 6 <= width(4000) <= 10


def test_dashes_leave_gaps():
    drawn = draw_boxes(grey(100, 100), np.array([[10, 10, 90, 90]]), [""], [(255, 255, 255)], dashed=True)
    painted = (drawn[10, 10:90, 0] == 255).mean()
    assert 0.5 < painted < 0.9


def test_names_outside_ascii_become_numbers():
    box, score = [[10, 40, 30, 60]], [0.9]
    assert (
        draw_detections(grey(200, 200), Detections(box, score, [1], ["猫", "犬"]))
        == draw_detections(grey(200, 200), Detections(box, score, [1], ["", "class 1"]))
    ).all()


def test_colours_of_neighbouring_classes_differ():
    colours = np.array([class_colour(label) for label in range(80)], float)
    assert (np.abs(np.diff(colours, axis=0)).max(1) > 60).all()
