"""The plot of what a dataset consists of: classes, sizes and numbers of boxes."""

import numpy as np

from .fonts import plot_families, readable_names
from .save import save_figure
from .style import BLUE, GREY, PALE_TO_DARK, RED, shortened, style_axes

# COCO's limits between small, medium and large, and what lies between them.
LIMITS = (32, 96)
SIZE_NAMES = ("small", "medium", "large")
# More classes than this can't be read at one glance: those with the most boxes and the fewest are shown.
MOST_CLASSES = 60
# More images than this with one number of boxes more, and the bars become bins.
MOST_BARS = 40


def plot_dataset(statistics, sides, path, title=""):
    """Draw classes, sizes of boxes, widths against heights, and boxes an image, as a PNG.

    Args:
        statistics (dict): of :func:`ppdet_ext.data.statistics.dataset_statistics`.
        sides (ndarray): [N, 2] widths and heights of boxes, pixels of the detector's input.
        path (str | Path): the PNG; its folder is made.
        title (str): over the plots.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = min(len(statistics["classes"]), MOST_CLASSES + 1)
    figure = Figure(figsize=(13, max(7.5, 1.5 + 0.17 * rows)), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(2, 3)
    _draw_classes(figure.add_subplot(grid[:, 0]), statistics["classes"])
    _draw_sizes(figure.add_subplot(grid[0, 1:]), statistics["box_sizes_at_input"], sides)
    _draw_sides(figure.add_subplot(grid[1, 1]), sides)
    _draw_numbers(figure.add_subplot(grid[1, 2]), statistics["boxes_per_image"])
    figure.suptitle(title, fontsize=12, fontweight="bold")
    save_figure(path, figure)


def _draw_classes(axes, classes):
    """A bar a class, the most frequent on top: boxes, and within it images."""
    families = plot_families()
    names = readable_names([entry["name"] for entry in classes], families)
    rows = [(shortened(name), entry["boxes"], entry["images"]) for name, entry in zip(names, classes)]
    rows.sort(key=lambda row: -row[1])
    half = MOST_CLASSES // 2
    if len(rows) > MOST_CLASSES:
        rows[half:-half] = [(f"({len(rows) - MOST_CLASSES} more)", None, 0)]
    style_axes(axes, f"{len(classes)} classes", "boxes (pale), images (dark)", "")
    places = range(len(rows))
    axes.barh(places, [boxes or 0 for _, boxes, _ in rows], color=BLUE, alpha=0.45, height=0.8)
    axes.barh(places, [images for _, _, images in rows], color=BLUE, height=0.4)
    axes.set_yticks(places, [name for name, _, _ in rows], fontsize=8, fontfamily=families)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    for place, (_, boxes, _) in enumerate(rows):
        if boxes is not None:
            axes.annotate(
                f"{boxes}", (boxes, place), xytext=(3, 0), textcoords="offset points", va="center",
                fontsize=7, color=GREY,
            )  # fmt: skip
    axes.set_xlim(0, 1.12 * max([1, *(boxes or 0 for _, boxes, _ in rows)]))
    axes.grid(axis="x", color="#e8e8e8")


def _draw_sizes(axes, sizes, sides):
    """Square roots of areas, on a logarithmic axis, with COCO's limits."""
    side = sizes["input_size"]
    style_axes(axes, "Size of boxes", f"square root of the area, pixels of a {side}x{side} input", "boxes")
    if not len(sides):
        return _say_none(axes)
    values = np.sqrt(sides.prod(1))
    low, high = max(values.min() / 1.1, 0.5), max(values.max() * 1.1, 110)
    low = min(low, 24)
    axes.hist(np.clip(values, low, high), bins=np.geomspace(low, high, 50), color=BLUE)
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    for limit in LIMITS:
        axes.axvline(limit, color=RED, linewidth=1, linestyle="--")
    edges = (low, *LIMITS, high)
    for name, left, right in zip(SIZE_NAMES, edges, edges[1:]):
        axes.text(
            np.sqrt(left * right), 0.97, f"{name}\n{100 * sizes[name] / len(values):.0f} %", ha="center",
            va="top", fontsize=9, color=RED, transform=axes.get_xaxis_transform(),
        )  # fmt: skip
    axes.set_ylim(0, axes.get_ylim()[1] * 1.2)
    _plain_ticks(axes.xaxis)


def _draw_sides(axes, sides):
    """Width against height, both logarithmic; the diagonals are ratios of 1:3, 1:1 and 3:1."""
    from matplotlib.colors import LinearSegmentedColormap

    style_axes(axes, "Width and height", "width, pixels of the input", "height, pixels of the input")
    if not len(sides):
        return _say_none(axes)
    low, high = max(sides.min() / 1.2, 0.5), sides.max() * 1.2
    axes.set(xscale="log", yscale="log", xlim=(low, high), ylim=(low, high))
    density = LinearSegmentedColormap.from_list("density", PALE_TO_DARK)
    axes.hexbin(
        *np.maximum(sides, low).T, gridsize=40, xscale="log", yscale="log", bins="log", mincnt=1,
        cmap=density, extent=(np.log10(low), np.log10(high)) * 2, linewidths=0.1,
    )  # fmt: skip
    for ratio in (1 / 3, 1, 3):
        axes.plot((low, high), (low * ratio, high * ratio), color=GREY, linewidth=0.7, linestyle=":")
    _plain_ticks(axes.xaxis)
    _plain_ticks(axes.yaxis)


def _draw_numbers(axes, numbers):
    style_axes(axes, "Boxes an image", "boxes", "images")
    counts = {int(boxes): images for boxes, images in numbers["images_by_boxes"].items()}
    if not counts:
        return _say_none(axes)
    step = -(-(max(counts) + 1) // MOST_BARS)
    binned = {}
    for boxes, images in counts.items():
        binned[boxes // step] = binned.get(boxes // step, 0) + images
    axes.bar(
        [(place + 0.5) * step - 0.5 for place in binned], list(binned.values()), width=0.9 * step, color=BLUE
    )
    axes.axvline(numbers["mean"], color=RED, linewidth=1, linestyle="--")
    axes.annotate(
        f"mean {numbers['mean']:.1f}", (numbers["mean"], 1), xycoords=("data", "axes fraction"),
        xytext=(4, -10), textcoords="offset points", fontsize=8, color=RED,
    )  # fmt: skip
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.yaxis.get_major_locator().set_params(integer=True)


def _plain_ticks(axis):
    """Powers of two as numbers, not as powers of ten."""
    from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

    axis.set_major_locator(LogLocator(base=2))
    axis.set_major_formatter(ScalarFormatter())
    axis.set_minor_formatter(NullFormatter())


def _say_none(axes):
    axes.text(0.5, 0.5, "none", ha="center", color=GREY, transform=axes.transAxes)
