"""The picture of a network: backbone, neck and head, what each part makes and what it reads."""

from .save import save_figure
from .style import new_figure
from .topology_layout import IMAGE, STAND_IN, lay_out

# Fill and edge of a box, by kind.
BOXES = {
    IMAGE: ("#ffffff", "#6b6b6b"),
    "backbone": ("#e3eefa", "#3a7fbd"),
    "neck": ("#e4f3ec", "#2f8f6b"),
    "head": ("#f1e8f6", "#8a5aa5"),
}
# What an arrow is to the part that reads, and its colour: told apart by the colour-blind, too.
SAME, COARSER, FINER = (
    ("same level", "#3a7fbd"),
    ("from coarser, down", "#e69f00"),
    ("from finer, up", "#d55e00"),
)
DARK, GREY, BAND = "#222222", "#6b6b6b", "#f6f7f9"
# Inches.
WIDTH, HEIGHT, COLUMN, ROW, LINE = 1.3, 0.62, 1.86, 0.98, 0.175
LEFT, RIGHT, TOP, BOTTOM = 0.95, 0.3, 1.2, 0.95
LEAST_WIDTH = 8.0


def readable(count):
    """A count in three digits: '7.92 M', '752 k', '96'."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= 0.9995 * size:
            value = count / size
            return f"{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f} {unit}"
    return str(count)


def draw_topology(profile, path, title=""):
    """Draw the network of a profile: a row a stride, the coarsest on top; figures are the deployed form's.

    Args:
        profile (dict): 'input' [1, 3, H, W], 'modules' (names by 'backbone', 'neck', 'head'), 'total' and
            'parts', as :func:`ppdet_ext.evaluation.network_profile.profile_network` gives them.
        path (str | Path): the PNG; its folder is made.
        title (str): over the picture.

    Raises:
        ValueError: matplotlib is not installed.
    """
    layout = lay_out(profile["parts"])
    columns = 1 + max(place.column for place in layout.places)
    rows = 1 + max(place.row for place in layout.places)
    spare = max(0.0, LEAST_WIDTH - LEFT - RIGHT - COLUMN * columns) / 2
    width = LEFT + RIGHT + COLUMN * columns + 2 * spare
    height = TOP + BOTTOM + ROW * rows
    figure = new_figure((width, height), dpi=130, layout=None, what="the picture of a network needs")
    axes = figure.add_axes([0, 0, 1, 1])
    axes.set(xlim=(0, width), ylim=(0, height))
    axes.axis("off")
    centres = [
        (LEFT + spare + COLUMN * (place.column + 0.5), BOTTOM + ROW * (place.row + 0.5))
        for place in layout.places
    ]
    _draw_levels(axes, layout, width)
    _draw_cells(axes, layout, centres)
    for arrow in layout.arrows:
        _draw_arrow(axes, layout.places, centres, arrow)
    for place, centre in zip(layout.places, centres):
        _draw_place(axes, place, centre, profile, layout.hidden)
    _draw_heads(axes, layout, centres, profile, height)
    axes.text(0.25, height - 0.3, title, fontsize=13, fontweight="bold", color=DARK, va="center")
    _draw_foot(axes, profile)
    save_figure(path, figure)


def _draw_levels(axes, layout, width):
    """A band a stride, with its name at the left."""
    below = 1
    for level, row in layout.rows.items():
        bottom, top = BOTTOM + ROW * below, BOTTOM + ROW * (row + 1)
        if level % 2:
            axes.axhspan(bottom, top, color=BAND, zorder=0)
        middle = (bottom + top) / 2
        axes.text(0.25, middle + 0.09, f"P{level}", fontsize=11, fontweight="bold", color=GREY, va="center")
        axes.text(0.25, middle - 0.12, f"stride {2**level}", fontsize=7.5, color=GREY, va="center")
        below = row + 1


def _draw_cells(axes, layout, centres):
    """A frame around each cell, with its cost."""
    from matplotlib.patches import FancyBboxPatch

    groups = {}
    for place, centre in zip(layout.places, centres):
        if place.part and place.part["group"]:
            groups.setdefault(place.part["group"], []).append((place.part, centre))
    for name, members in groups.items():
        xs, ys = zip(*(centre for _, centre in members))
        low = min(xs) - WIDTH / 2 - 0.13, min(ys) - HEIGHT / 2 - 0.1
        high = max(xs) + WIDTH / 2 + 0.13, max(ys) + HEIGHT / 2 + 0.24
        axes.add_patch(
            FancyBboxPatch(
                low, high[0] - low[0], high[1] - low[1], boxstyle="round,pad=0,rounding_size=0.12",
                facecolor="none", edgecolor=BOXES["neck"][1], linewidth=0.9, linestyle=(0, (4, 3)), zorder=1,
            )
        )  # fmt: skip
        text = f"{name}   {_cost([part for part, _ in members])}"
        axes.text(low[0] + 0.1, high[1] - 0.06, text, fontsize=7.5, color=BOXES["neck"][1], va="top")


def _cost(parts):
    """Parameters and multiply-accumulates of parts, deployed."""
    deployed = [part["deployed"] for part in parts if part["deployed"]]
    parameters, macs = (sum(cost[what] for cost in deployed) for what in ("parameters", "macs"))
    return f"{readable(parameters)}  ·  {readable(macs)}"


def _draw_place(axes, place, centre, profile, hidden):
    from matplotlib.patches import FancyBboxPatch

    x, y = centre
    if place.kind == STAND_IN:
        axes.text(x, y, "· · ·", fontsize=15, fontweight="bold", color=GREY, ha="center", va="center")
        return
    face, edge = BOXES[place.kind]
    axes.add_patch(
        FancyBboxPatch(
            (x - WIDTH / 2, y - HEIGHT / 2), WIDTH, HEIGHT, boxstyle="round,pad=0,rounding_size=0.08",
            facecolor=face, edgecolor=edge, linewidth=1.1, zorder=4,
        )
    )  # fmt: skip
    name, *lines = _texts(place, profile)
    top = y + LINE / 2 * len(lines)
    style = {"ha": "center", "va": "center", "zorder": 5}
    axes.text(x, top, name, fontsize=8.5, fontweight="bold", color=DARK, **style)
    for line, (text, colour) in enumerate(zip(lines, (DARK, GREY))):
        axes.text(x, top - LINE * (line + 1), text, fontsize=7.3, color=colour, **style)


def _texts(place, profile):
    """The lines of a box."""
    part = place.part
    if part is None:
        return ["image", _size(profile["input"])]
    cost = _cost([part]) if part["deployed"]["macs"] else "no convolution"
    if place.kind == "head":
        channels = f"({part['shape'][1]} + {part['box_shape'][1]})"
        size = " × ".join([channels, *map(str, part["shape"][2:])])
        return [f"P{place.level} class + box", size, cost]
    name = part["name"] if place.kind == "backbone" else f"P{place.level} {part['name']}"
    return [name, _size(part["shape"]), cost]


def _size(shape):
    return " × ".join(map(str, shape[1:]))


def _draw_arrow(axes, places, centres, arrow):
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path

    source, target = places[arrow.source], places[arrow.target]
    (x0, y0), (x1, y1) = centres[arrow.source], centres[arrow.target]
    _, colour = SAME if source.level == target.level else COARSER if source.level > target.level else FINER
    if target.kind == "backbone":
        colour = GREY
    half = [0.3 if place.kind == STAND_IN else WIDTH / 2 for place in (source, target)]
    if source.column == target.column:
        up = 1 if y1 > y0 else -1
        points = [(x0, y0 + up * HEIGHT / 2), (x1, y1 - up * HEIGHT / 2)]
    elif source.row == target.row and _passes(places, source, target):
        # Over the boxes between.
        top, high = y0 + HEIGHT / 2, y0 + HEIGHT / 2 + 0.2
        start = (x0, y0 + 0.1) if source.kind == STAND_IN else (x0 + half[0] - 0.3, top)
        points = [start, (x0 + half[0], high), (x1 - half[1], high), (x1 - half[1] + 0.3, top)]
    else:
        # Maps of other levels enter above and below that of the same level.
        aside = 0.17 * ((source.row > target.row) - (source.row < target.row))
        start, end = (x0 + half[0], y0 - aside / 2), (x1 - half[1], y1 + aside)
        middle = (start[0] + end[0]) / 2
        points = [start, end] if not aside else [start, (middle, start[1]), (middle, end[1]), end]
    codes = [Path.MOVETO] + [Path.CURVE4 if len(points) == 4 else Path.LINETO] * (len(points) - 1)
    axes.add_patch(
        FancyArrowPatch(
            path=Path(points, codes), arrowstyle="-|>", mutation_scale=9, color=colour, linewidth=1.3,
            joinstyle="round", zorder=3, shrinkA=0, shrinkB=0,
        )
    )  # fmt: skip


def _passes(places, source, target):
    """Whether a box stands between two of a row."""
    between = range(source.column + 1, target.column)
    return any(place.row == source.row and place.column in between for place in places)


def _draw_heads(axes, layout, centres, profile, height):
    """Over the columns: each module's name and cost; over stand-ins, how many cells they are."""
    for module, name in profile["modules"].items():
        xs = [x for place, (x, _) in zip(layout.places, centres) if place.kind == module]
        colour, x = BOXES[module][1], (min(xs) + max(xs)) / 2
        parts = [part for part in profile["parts"] if part["module"] == module]
        style = {"ha": "center", "va": "center"}
        axes.text(x, height - 0.72, name, fontsize=10.5, fontweight="bold", color=colour, **style)
        axes.text(x, height - 0.93, _cost(parts), fontsize=8, color=colour, **style)
    stand_ins = [centre for place, centre in zip(layout.places, centres) if place.kind == STAND_IN]
    if stand_ins:
        x, y = max(stand_ins)
        text = f"{layout.hidden} more cells,\nwired alike"
        axes.text(x, y + 0.33, text, fontsize=7.5, color=BOXES["neck"][1], ha="center", va="center")


def _draw_foot(axes, profile):
    """The legend of the arrows, and what the figures are."""
    x = 0.25
    for name, colour in (SAME, COARSER, FINER):
        axes.annotate(
            "",
            (x + 0.4, 0.62),
            xytext=(x, 0.62),
            arrowprops={"arrowstyle": "-|>", "color": colour, "lw": 1.3},
        )
        axes.text(x + 0.48, 0.62, name, fontsize=8, color=DARK, va="center")
        x += 1.85
    deployed, trained = (profile["total"][form] for form in ("deployed", "training"))
    text = (
        f"in boxes: channels × height × width; parameters · MACs, deployed. In all "
        f"{readable(deployed['parameters'])} · {readable(deployed['macs'])}; "
        f"as trained {readable(trained['parameters'])} · {readable(trained['macs'])}"
    )
    axes.text(0.25, 0.28, text, fontsize=8, color=GREY, va="center")
