"""The picture of a network, and where its parts stand."""

import cv2
import numpy as np
import pytest

from ppdet_ext.visualize import draw_topology
from ppdet_ext.visualize.topology_layout import lay_out
from ppdet_ext.visualize.topology_plot import BOXES, readable

SIDE = 256


def part(module, name, level, *reads, group=""):
    shape = [1, 8, SIDE >> level, SIDE >> level]
    cost = {"parameters": 1234, "macs": 5_678_000}
    both = {"training": cost, "deployed": cost}
    boxes = {"box_shape": [1, 4, *shape[2:]]} if module == "head" else {}
    return dict(
        module=module, name=name, level=level, shape=shape, reads=list(reads), group=group, **both, **boxes
    )


BACKBONE = [part("backbone", f"stage {i}", i + 1, *([i - 1] if i else [])) for i in range(5)]


def pan():
    """A way down and a way up over P3 to P5."""
    neck = [
        part("neck", "down", 5, 4),
        part("neck", "down", 4, 3, 5),
        part("neck", "down", 3, 2, 6),
        part("neck", "up", 4, 6, 7),
        part("neck", "up", 5, 5, 8),
    ]
    heads = [part("head", "level", level, read) for level, read in ((5, 9), (4, 8), (3, 7))]
    rest = {"module": "head", "name": "distances", "group": "", "training": None, "deployed": None}
    return [*BACKBONE, *neck, *heads, rest]


def bifpn(cells):
    """Cells over P3 to P5, after a level P6 of its own."""
    parts = [*BACKBONE, part("neck", "in", 6, 4)]
    maps = {3: 2, 4: 3, 5: 4, 6: 5}
    for number in range(cells):
        group, first = f"cell {number + 1}", len(parts)
        parts += [
            part("neck", "td", 5, maps[5], maps[6], group=group),
            part("neck", "td", 4, maps[4], first, group=group),
            part("neck", "out", 3, maps[3], first + 1, group=group),
            part("neck", "out", 4, maps[4], first + 1, first + 2, group=group),
            part("neck", "out", 5, maps[5], first, first + 3, group=group),
            part("neck", "out", 6, maps[6], first + 4, group=group),
        ]
        maps = {3: first + 2, 4: first + 3, 5: first + 4, 6: first + 5}
    return [*parts, *(part("head", "level", level, maps[level]) for level in (3, 4, 5, 6))]


def profile(parts):
    total = {"parameters": 1_000_000, "macs": 2_000_000_000}
    return {
        "input": [1, 3, SIDE, SIDE],
        "modules": {"backbone": "Bone", "neck": "Neck", "head": "Head"},
        "classes": 8,
        "total": {"training": total, "deployed": total},
        "parts": parts,
    }


def where(layout, kind):
    return [(place.level, place.column) for place in layout.places if place.kind == kind]


def test_ways_down_and_up_are_columns():
    layout = lay_out(pan())
    assert where(layout, "backbone") == [(level, 0) for level in (1, 2, 3, 4, 5)]
    assert where(layout, "neck") == [(5, 1), (4, 1), (3, 1), (4, 2), (5, 2)]
    assert where(layout, "head") == [(5, 3), (4, 3), (3, 3)]
    assert len(layout.arrows) == 1 + sum(len(part.get("reads", ())) for part in pan())


def test_cells_follow_each_other_and_a_new_level_stands_on_the_backbone():
    layout = lay_out(bifpn(2))
    assert where(layout, "neck") == [
        (6, 0),
        *[(5, 1), (4, 1), (3, 1), (4, 2), (5, 2), (6, 2)],
        *[(5, 3), (4, 3), (3, 3), (4, 4), (5, 4), (6, 4)],
    ]
    assert where(layout, "head") == [(level, 5) for level in (3, 4, 5, 6)]


def test_of_many_cells_the_first_and_the_last_are_drawn():
    layout = lay_out(bifpn(8))
    groups = {place.part["group"] for place in layout.places if place.part}
    assert groups == {"", "cell 1", "cell 8"} and layout.hidden == 6
    assert where(layout, "stand-in") == [(5, 3), (4, 3), (3, 3), (6, 3)]
    assert max(place.column for place in layout.places) == 6
    stand_ins = {i for i, place in enumerate(layout.places) if place.kind == "stand-in"}
    into = [arrow for arrow in layout.arrows if arrow.target in stand_ins]
    assert len(into) == 4, "a level each, from the first cell"
    # The last cell reads as any other does.
    assert sum(arrow.source in stand_ins for arrow in layout.arrows) == 7
    assert lay_out(bifpn(4)).hidden == 0


@pytest.mark.parametrize("parts", [pan(), bifpn(1), bifpn(4), bifpn(8)])
def test_no_two_stand_in_one_place(parts):
    layout = lay_out(parts)
    places = [(place.column, place.row) for place in layout.places]
    assert len(set(places)) == len(places)


def test_stages_of_one_stride_stand_above_each_other():
    parts = [
        part("backbone", "stem", 1),
        part("backbone", "stage 0", 1, 0),
        part("backbone", "stage 1", 2, 1),
    ]
    layout = lay_out(parts)
    assert [place.row for place in layout.places] == [0, 1, 2, 3] and layout.rows == {1: 2, 2: 3}


def boxes(image, kind):
    """How many boxes of a kind are in a picture: regions of its fill."""
    fill = BOXES[kind][0]
    bgr = [int(fill[i : i + 2], 16) for i in (5, 3, 1)]
    same = (np.abs(image.astype(int) - bgr).max(2) < 2).astype("uint8")
    _, _, stats, _ = cv2.connectedComponentsWithStats(same)
    return int((stats[1:, cv2.CC_STAT_AREA] > 3000).sum())


@pytest.mark.parametrize("parts, necks, heads", [(pan(), 5, 3), (bifpn(3), 19, 4), (bifpn(6), 13, 4)])
def test_every_part_has_its_box_and_nothing_is_cut_off(tmp_path, parts, necks, heads):
    path = tmp_path / "new" / "net.png"
    draw_topology(profile(parts), path, "a title")
    image = cv2.imread(str(path))
    assert [boxes(image, kind) for kind in ("backbone", "neck", "head")] == [5, necks, heads]
    assert [file.name for file in path.parent.iterdir()] == ["net.png"]
    edges = np.concatenate([image[:3].reshape(-1, 3), image[-3:].reshape(-1, 3)])
    assert (edges == 255).all()
    for column in (image[:, :3], image[:, -3:]):
        assert (column.min(axis=(1, 2)) >= 246).all(), "bands alone reach the sides"


@pytest.mark.parametrize(
    "count, text",
    [
        (0, "0"),
        (448, "448"),
        (999, "999"),
        (1000, "1.00 k"),
        (91_008, "91.0 k"),
        (999_499, "999 k"),
        (999_500, "1.00 M"),
        (7_918_060, "7.92 M"),
        (8_634_088_512, "8.63 G"),
        (325_473_789_367, "325 G"),
    ],
)
def test_counts_have_three_digits(count, text):
    assert readable(count) == text
