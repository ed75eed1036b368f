"""The plot of a feature pyramid's fusion weights: which maps each node listens to."""

import re

from .save import save_figure
from .style import new_figure

# What an edge is to its node, and its colour: told apart by the colour-blind, too.
KINDS = (
    ("the level's input", "#3a7fbd"),
    ("same level, way down", "#56b4e9"),
    ("coarser level", "#e69f00"),
    ("finer level", "#d55e00"),
)
GREY, BAND = "#6b6b6b", "#f4f5f7"
MEAN = {"color": "black", "linewidth": 1, "linestyle": (0, (1, 1.5))}
ROW_INCHES, GAP = 0.2, 0.7  # of an edge; rows between nodes
LEAST_INCHES, CELL_INCHES, LABEL_INCHES = 7.5, 1.75, 1.7


def draw_fusion_weights(cells, path, title="Fusion weights"):
    """Draw a bar an edge, one column a cell; a dotted line marks the mean of a node's weights.

    Args:
        cells (list[list[dict]]): as `WeightedBiFPN.fusion_weights` gives them: for each cell its nodes, with
            'name' ('P4 td': l of the level, then 'td' or 'out'), 'edges' (list[str], 'P4 in' or a node's
            name) and 'weights' (list[float], one an edge). Every cell has the same nodes.
        path (str | Path): the PNG; its folder is made.
        title (str): over the picture.

    Raises:
        ValueError: there are no cells, they differ in their nodes, a name has no level, or matplotlib is not
            installed.
    """
    places = _places(cells, path)
    rows = places[-1][-1] + 1
    size = max(LEAST_INCHES, LABEL_INCHES + CELL_INCHES * len(cells)), 1.5 + ROW_INCHES * rows
    figure = new_figure(size, dpi=130, what="the plot of fusion weights needs")
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch
    from matplotlib.ticker import MaxNLocator

    figure.get_layout_engine().set(w_pad=0.1)
    columns = figure.subplots(1, len(cells), sharex=True, sharey=True, squeeze=False)[0]
    for number, (axes, nodes) in enumerate(zip(columns, cells)):
        _draw_cell(axes, nodes, places)
        axes.set_title(f"cell {number + 1}", fontsize=9.5, color=GREY)
    values = [weight for nodes in cells for node in nodes for weight in node["weights"]]
    low, high = min(0.0, *values), max(1.0, *values)
    margin = (high - low) / 50 if low < 0 else 0
    columns[0].set_xlim(low - margin, high + 0.28 * (high - low))  # the figures stand behind the longest bar
    columns[0].xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    columns[0].set_ylim(rows - 0.5 + GAP / 2, -0.5 - GAP / 2)
    _label_rows(columns[0], cells[0], places)
    figure.suptitle(title, x=0.012, ha="left", fontweight="bold", fontsize=11)
    shown = {_kind(node["name"], edge) for node in cells[0] for edge in node["edges"]}
    handles = [Patch(color=colour, label=name) for kind, (name, colour) in enumerate(KINDS) if kind in shown]
    handles.append(Line2D([], [], label="mean of the node", **MEAN))
    figure.legend(
        handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, fontsize=8.5
    )
    save_figure(path, figure)


def _places(cells, path):
    """Rows of the bars of each node (list[list[float]])."""
    if not cells or not cells[0]:
        raise ValueError(f"{path}: there are no cells with nodes to draw")
    described = [[(node["name"], node["edges"]) for node in nodes] for nodes in cells]
    for number, cell in enumerate(described):
        if cell != described[0]:
            raise ValueError(f"{path}: cell {number} has other nodes or edges than cell 0")
    places, row = [], 0.0
    for _, edges in described[0]:
        places.append([row + i for i in range(len(edges))])
        row += len(edges) + GAP
    return places


def _level(name):
    found = re.match(r"P(\d+) ", name)
    if not found:
        raise ValueError(f"'{name}' is no name of a map; write it as 'P4 in', 'P4 td' or 'P4 out'")
    return int(found.group(1))


def _kind(node, edge):
    """Place in KINDS."""
    difference = _level(edge) - _level(node)
    if difference:
        return 2 if difference > 0 else 3
    return 0 if edge.endswith(" in") else 1


def _draw_cell(axes, nodes, places):
    for number, (node, rows) in enumerate(zip(nodes, places)):
        if number % 2 == 0:
            axes.axhspan(rows[0] - 0.5 - GAP / 2, rows[-1] + 0.5 + GAP / 2, color=BAND, zorder=0)
        colours = [KINDS[_kind(node["name"], edge)][1] for edge in node["edges"]]
        axes.barh(rows, node["weights"], color=colours, height=0.74, zorder=2)
        mean = sum(node["weights"]) / len(rows)
        if len(rows) > 1:
            ends = [rows[0] - 0.55, rows[-1] + 0.55]
            axes.plot([mean, mean], ends, zorder=3, **MEAN)
        for row, weight in zip(rows, node["weights"]):
            axes.annotate(
                f"{weight:.2f}", (1, row), xycoords=("axes fraction", "data"), xytext=(-5, 0),
                textcoords="offset points", ha="right", va="center", fontsize=7.5, color=GREY,
            )  # fmt: skip
    axes.axvline(0, color=GREY, linewidth=0.8, zorder=3)
    axes.tick_params(axis="x", labelsize=7.5, color=GREY, labelcolor=GREY)
    axes.tick_params(axis="y", length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


def _label_rows(axes, nodes, places):
    """The edges' names beside their bars, and left of them the node's."""
    edges = [edge for node in nodes for edge in node["edges"]]
    axes.set_yticks([row for rows in places for row in rows], edges, fontsize=7.5)
    for node, rows in zip(nodes, places):
        axes.annotate(
            node["name"], (0, sum(rows) / len(rows)), xycoords=("axes fraction", "data"), xytext=(-46, 0),
            textcoords="offset points", ha="right", va="center", fontsize=9, fontweight="bold",
        )  # fmt: skip
