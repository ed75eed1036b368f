"""What annotated frames show."""

import numpy as np

from ppdet_ext.runtime import Detections
from ppdet_ext.tracking import Tracked
from ppdet_ext.tracking.draw import Trails, draw_counts, draw_tracks
from ppdet_ext.visualize.draw import class_colour


def at(x, number=1):
    return Tracked(np.array([number]), Detections([[x, 40, x + 20, 60]], [0.9], [0], ["cat"]))


def test_boxes_and_trails_have_the_objects_colour():
    image, trails = np.zeros((120, 200, 3), np.uint8), Trails(50)
    for x in range(10, 110, 5):
        trails.add(at(x, number=4))
    drawn = draw_tracks(image, at(105, number=4), trails)
    assert (image == 0).all()
    assert drawn[50, 105].tolist() == list(class_colour(4))
    assert np.abs(drawn[60, 40] - np.array(class_colour(4))).max() < 60  # where it stood; its edge is soft
    assert (drawn[80:] == 0).all()


def test_trails_are_forgotten():
    trails = Trails(5)
    for x in range(8):
        trails.add(at(x))
    assert [point[0] for point in trails.points[1]] == [4, 5, 6, 7, 8]
    nobody = Tracked(np.zeros(0, int), Detections([], [], [], ["cat"]))
    for _ in range(5):
        trails.add(nobody)
    assert trails.points == {}


def test_counts_stay_in_the_corner():
    image = np.full((60, 200, 3), 200, np.uint8)
    draw_counts(image, ["cat 1/2", "dog 0/3"])
    assert image[:20, :30].mean() < 120 and (image[:, 150:] == 200).all() and (image[40:] == 200).all()
    draw_counts(np.full((8, 8, 3), 200, np.uint8), ["cat 1/2"] * 5)  # no room
    draw_counts(image, [])
