import cv2
import numpy as np
import pytest

from ppdet_ext.visualize import draw_fusion_weights

INPUT, DOWN, COARSER, FINER = "3a7fbd", "56b4e9", "e69f00", "d55e00"
LEGEND = 45  # pixels at the bottom


def cell(*weights):
    """P3 to P5, of a list of weights a node."""
    nodes = [
        ("P4 td", ["P4 in", "P5 in"]),
        ("P3 out", ["P3 in", "P4 td"]),
        ("P4 out", ["P4 in", "P4 td", "P3 out"]),
        ("P5 out", ["P5 in", "P4 out"]),
    ]
    return [
        {"name": name, "edges": edges, "weights": values} for (name, edges), values in zip(nodes, weights)
    ]


FIRST = cell([0.5, 0.5], [0.9, 0.1], [0.2, 0.5, 0.3], [0.25, 0.75])
SECOND = cell([0.1, 0.9], [0.4, 0.6], [0.6, 0.3, 0.1], [1.0, 0.0])


def drawn(path, cells):
    draw_fusion_weights(cells, path)
    return cv2.imread(str(path))


def bars(image, colour):
    """Lengths in pixels of the bars of a colour (RRGGBB), from top to bottom, in a part of a picture."""
    bgr = [int(colour[i : i + 2], 16) for i in (4, 2, 0)]
    same = np.abs(image[:-LEGEND].astype(int) - bgr).max(2) < 3
    starts = np.flatnonzero(same.any(1) & ~np.roll(same.any(1), 1))
    columns = [np.flatnonzero(same[start + 5]) for start in starts]
    return [int(np.ptp(c)) + 1 for c in columns]


def test_bars_are_as_long_as_the_weights_and_coloured_by_kind(tmp_path):
    path = tmp_path / "new" / "weights.png"
    image = drawn(path, [SECOND])
    (whole,) = [bar for bar in bars(image, INPUT) if bar == max(bars(image, INPUT))]
    expected = {INPUT: [0.1, 0.4, 0.6, 1.0], DOWN: [0.3], COARSER: [0.9, 0.6], FINER: [0.1]}
    for colour, weights in expected.items():
        assert bars(image, colour) == pytest.approx([weight * whole for weight in weights], abs=3)
    assert [file.name for file in path.parent.iterdir()] == ["weights.png"]


def test_cells_stand_beside_each_other_on_one_scale(tmp_path):
    image = drawn(tmp_path / "weights.png", [FIRST, SECOND])
    middle = image.shape[1] * 55 // 100  # the names of the rows stand left
    left, right = bars(image[:, :middle], DOWN), bars(image[:, middle:], DOWN)
    assert len(left) == len(right) == 1 and left[0] / right[0] == pytest.approx(0.5 / 0.3, rel=0.03)


def test_weights_below_zero_go_to_the_left(tmp_path):
    image = drawn(tmp_path / "weights.png", [cell([1, 1], [1, 1], [1, -0.5, 1], [1, 2])])
    (below,), above = bars(image, DOWN), bars(image, FINER)
    assert [bar / below for bar in above] == pytest.approx([2, 4], rel=0.03)


@pytest.mark.parametrize("count", [1, 3, 8])
def test_nothing_is_cut_off(tmp_path, count):
    image = drawn(tmp_path / "weights.png", [FIRST] * count)
    assert (image[:, :3] == 255).all() and (image[:, -3:] == 255).all() and (image[-3:] == 255).all()
    assert image.shape[1] > 220 * count and image.shape[0] < 600


@pytest.mark.parametrize(
    "cells, message",
    [
        ([], "there are no cells with nodes to draw"),
        ([[]], "there are no cells with nodes to draw"),
        ([FIRST, SECOND[:3]], "cell 1 has other nodes or edges than cell 0"),
        ([[{"name": "top", "edges": ["P4 in"], "weights": [1.0]}]], "'top' is no name of a map; write it as"),
    ],
)
def test_refusals(tmp_path, cells, message):
    with pytest.raises(ValueError, match=message):
        draw_fusion_weights(cells, tmp_path / "weights.png")
    assert not list(tmp_path.iterdir())
