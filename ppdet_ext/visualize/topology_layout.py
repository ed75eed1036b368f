"""Where the parts of a network stand in its picture: a row a stride, a column a step of the fusion."""

from typing import NamedTuple

# Of more cells than these, the first and the last are drawn.
MOST_CELLS = 4
IMAGE = "image"
STAND_IN = "stand-in"


class Place(NamedTuple):
    """A box of the picture.

    Attributes:
        part (dict | None): of a profile; None for the image and for what stands in for a row of cells.
        kind (str): 'image', 'stand-in', or the part's module.
        level (int): l of the stride 2**l.
        column (int): from 0, the backbone's.
        row (int): from 0, the image's, upwards.
    """

    part: dict
    kind: str
    level: int
    column: int
    row: int


class Arrow(NamedTuple):
    """From one place to another, by their numbers."""

    source: int
    target: int


class Layout(NamedTuple):
    """Places, arrows, the row of each level, and how many cells stand-ins stand for."""

    places: list
    arrows: list
    rows: dict
    hidden: int


def lay_out(parts):
    """Places the parts of a network.

    The backbone is a column of its own. A part of the neck stands one column right of what it reads on its
    own level, and not left of anything else that it reads: so a way down is one column and the way up the
    next, however the neck is wired. The head is the last column.

    Args:
        parts (list[dict]): of a profile, see :func:`draw_topology`.

    Returns:
        Layout
    """
    hidden = _hidden_cells(parts)
    rows, row_of = _rows(parts)
    columns = _columns(parts, hidden)
    places, number = [Place(None, IMAGE, 0, 0, 0)], {}
    stand_ins = {}
    for i, column in columns.items():
        part = parts[i]
        level = part["level"]
        if part["group"] in hidden:
            # All that are hidden on a level have one place.
            if level not in stand_ins:
                stand_ins[level] = len(places)
                places.append(Place(None, STAND_IN, level, column, rows[level]))
            number[i] = stand_ins[level]
        else:
            number[i] = len(places)
            places.append(Place(part, part["module"], level, column, row_of.get(i, rows[level])))
    return Layout(places, _arrows(parts, places, number), rows, len(hidden))


def _hidden_cells(parts):
    """Groups that are not drawn."""
    groups = list(dict.fromkeys(part["group"] for part in parts if part["group"]))
    return groups[1:-1] if len(groups) > MOST_CELLS else []


def _rows(parts):
    """The row of each level, from below; and of the backbone's parts, of which several may share a level."""
    rows, row_of, row = {}, {}, 0
    backbone = [i for i, part in enumerate(parts) if part["module"] == "backbone"]
    for level in sorted({part["level"] for part in parts if "level" in part}):
        same = [i for i in backbone if parts[i]["level"] == level]
        row_of.update({i: row + 1 + place for place, i in enumerate(same)})
        row += max(1, len(same))
        rows[level] = row
    return rows, row_of


def _columns(parts, hidden):
    """The column of each part that is on a level, by its number; hidden ones have one together."""
    columns, last = {}, 0
    for i, part in enumerate(parts):
        if "level" not in part:
            continue
        if part["module"] == "backbone":
            columns[i] = 0
        elif part["module"] == "head" or part["group"] in hidden:
            columns[i] = last + 1
        else:
            steps = [columns[read] + (parts[read]["level"] == part["level"]) for read in part["reads"]]
            columns[i] = max(steps)
            last = max(last, columns[i])
    return columns


def _arrows(parts, places, number):
    """Who reads whom; of what stands in for others, the way along a level alone."""
    arrows = [Arrow(0, number[0])]
    for i in number:
        for read in parts[i]["reads"]:
            arrow = Arrow(number[read], number[i])
            source, target = places[arrow.source], places[arrow.target]
            inside = target.kind == STAND_IN and (source.kind == STAND_IN or source.level != target.level)
            if not inside and arrow not in arrows:
                arrows.append(arrow)
    return arrows
