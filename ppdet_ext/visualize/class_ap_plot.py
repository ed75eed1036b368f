"""AP of every class, and of small, medium and large boxes, as bars."""

import numpy as np

from .fonts import plot_families, readable_names
from .save import save_figure
from .style import BLUE, GREY, PALE_TO_DARK, new_figure, shortened, style_axes

# More classes than this can't be read at one glance: the best and the worst are shown.
MOST_CLASSES = 60
SIZES_INCHES = 3.4  # height of the plot of sizes, however long that of the classes is


def plot_class_ap(classes, sizes, path):
    """Draw a bar a class, the best on top (AP50 pale, AP dark), beside those of the sizes.

    Args:
        classes (list[dict]): 'name', 'boxes', 'ap' and 'ap50', 0..1; None for a class that is not annotated.
        sizes (list[dict]): 'size', 'boxes' and 'ap'.
        path (str | Path): the PNG; its folder is made.

    Raises:
        ValueError: matplotlib is not installed.
    """
    shown = min(len(classes), MOST_CLASSES + 1)
    height = max(SIZES_INCHES, 1.2 + 0.18 * shown)
    figure = new_figure((11, height))
    families = plot_families()
    names = readable_names([row["name"] for row in classes], families)
    rows = [{**row, "name": shortened(name)} for row, name in zip(classes, names)]
    rows.sort(key=lambda row: -1 if row["ap"] is None else row["ap"], reverse=True)
    if len(rows) > MOST_CLASSES:
        half = MOST_CLASSES // 2
        more = {"name": f"({len(rows) - MOST_CLASSES} more)", "boxes": None, "ap": None, "ap50": None}
        rows[half:-half] = [more]
    rest = max(height - SIZES_INCHES, 0.01)
    grid = figure.add_gridspec(2, 2, width_ratios=(3, 1.1), height_ratios=(SIZES_INCHES, rest))
    left, right = figure.add_subplot(grid[:, 0]), figure.add_subplot(grid[0, 1])
    style_axes(left, "AP of each class", "AP50 (pale), AP (dark)", "")
    _draw_rows(left, rows, families)
    style_axes(right, "AP by size of box", "", "")
    _draw_sizes(right, sizes)
    save_figure(path, figure)


def _draw_rows(axes, rows, families):
    places = np.arange(len(rows))
    axes.barh(places, [100 * (row["ap50"] or 0) for row in rows], color=PALE_TO_DARK[0], height=0.8)
    axes.barh(places, [100 * (row["ap"] or 0) for row in rows], color=BLUE, height=0.42)
    axes.set_yticks(places, [row["name"] for row in rows], fontsize=8, fontfamily=families)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(0, 118)
    axes.set_xticks(range(0, 101, 20))
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="#e8e8e8")
    for place, row in enumerate(rows):
        if row["boxes"] is None:
            continue
        text = "not annotated" if row["ap"] is None else f"{100 * row['ap']:.1f}  ({row['boxes']} boxes)"
        end = 100 * max(row["ap50"] or 0, row["ap"] or 0)
        axes.annotate(
            text, (end, place), xytext=(4, 0), textcoords="offset points", va="center", fontsize=7, color=GREY
        )


def _draw_sizes(axes, sizes):
    places = range(len(sizes))
    axes.bar(places, [100 * (row["ap"] or 0) for row in sizes], color=BLUE, width=0.6)
    axes.set_xticks(places, [f"{row['size']}\n{row['boxes']} boxes" for row in sizes], fontsize=8)
    axes.set_ylim(0, 105)
    axes.grid(axis="y", color="#e8e8e8")
    for place, row in enumerate(sizes):
        text = "none" if row["ap"] is None else f"{100 * row['ap']:.1f}"
        axes.annotate(
            text, (place, 100 * (row["ap"] or 0)), xytext=(0, 3), textcoords="offset points", ha="center",
            fontsize=8, color=GREY,
        )  # fmt: skip
