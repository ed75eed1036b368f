"""The plot of a confusion matrix."""

import numpy as np

from .fonts import plot_families, readable_names
from .save import save_figure
from .style import BLUE, GREY, new_figure, shortened, style_axes

WHITE_TO_DARK = ("#ffffff", "#bcd7ee", BLUE, "#0b2a4a")
# More classes than this, and the numbers in the cells can't be read; than that, nor can each name.
MOST_NUMBERS, MOST_NAMES = 20, 100
CELL_INCHES, LEAST_INCHES, MOST_INCHES = 0.42, 5.0, 13.0
# Above this share a cell is dark, and its number white.
DARK = 0.5


def plot_confusion(matrix, names, path, subtitle=""):
    """Draw what annotated boxes are taken for.

    A row is an annotated class, a cell the percentage of its boxes; the last column holds those that are
    missed, the last row the false alarms of each class, per 100 of its annotated boxes.

    Args:
        matrix (ndarray): [C + 1, C + 1] counts, row annotated, column detected, the last ones background.
        names (list[str]): of the C classes.
        path (str | Path): the PNG; its folder is made.
        subtitle (str): at which IoU and threshold.

    Raises:
        ValueError: matplotlib is not installed.
    """
    count = len(names) + 1
    side = min(max(CELL_INCHES * count, LEAST_INCHES), MOST_INCHES)
    figure = new_figure((side + 1.6, side + 1.2))
    from matplotlib.colors import LinearSegmentedColormap

    axes = figure.subplots()
    style_axes(axes, f"What is taken for what{subtitle and ': ' + subtitle}", "detected", "annotated")
    shares = confusion_shares(matrix)
    colours = LinearSegmentedColormap.from_list("shares", WHITE_TO_DARK)
    drawn = axes.imshow(100 * shares, cmap=colours, vmin=0, vmax=100, aspect="equal")
    _name_axes(axes, names, count, side)
    if len(names) <= MOST_NUMBERS:
        _write_numbers(axes, shares, side / count)
    if len(names) <= MOST_NAMES:
        axes.set_xticks(np.arange(count + 1) - 0.5, minor=True)
        axes.set_yticks(np.arange(count + 1) - 0.5, minor=True)
        axes.grid(which="minor", color="#e8e8e8", linewidth=0.6 if len(names) <= MOST_NUMBERS else 0.25)
    axes.tick_params(which="both", length=0)
    for where in (axes.axhline, axes.axvline):
        where(count - 1.5, color=GREY, linewidth=1 if len(names) <= MOST_NAMES else 0.4)
    for spine in axes.spines.values():
        spine.set(visible=True, color=GREY, linewidth=0.8)
    bar = figure.colorbar(drawn, ax=axes, shrink=0.6, aspect=30, pad=0.02)
    bar.set_label("% of the annotated boxes", fontsize=8, color=GREY)
    bar.ax.tick_params(labelsize=8)
    bar.outline.set_visible(False)
    save_figure(path, figure)


def confusion_shares(matrix):
    """[C + 1, C + 1]: rows over the annotated boxes of their class, the last row over those of the column's.

    0 where a class is not annotated.
    """
    annotated = matrix[:-1].sum(1)
    over = np.vstack([np.repeat(annotated[:, None], len(matrix), 1), np.append(annotated, 0)[None]])
    return np.divide(matrix, over, out=np.zeros(matrix.shape), where=over > 0)


def _name_axes(axes, names, count, side):
    """All names, or every n-th and the background, in letters as high as a cell allows."""
    families = plot_families()
    texts = [shortened(name) for name in readable_names(names, families)]
    step = -(-len(names) // MOST_NAMES)
    places = [*range(0, len(names), step), count - 1]
    if len(places) > 2 and places[-1] - places[-2] < step:
        del places[-2]
    size = min(9.0, 0.62 * 72 * side * step / count)
    look = {"fontsize": size, "fontfamily": families}
    axes.set_xticks(places, [*[texts[p] for p in places[:-1]], "missed"], rotation=90, **look)
    axes.set_yticks(places, [*[texts[p] for p in places[:-1]], "false alarm"], **look)


def _write_numbers(axes, shares, cell):
    for row, column in zip(*np.nonzero(shares >= 0.005)):
        share = shares[row, column]
        text = f"{100 * share:.0f}" if share < 10 else ">999"
        colour = "white" if share > DARK else "black"
        axes.text(column, row, text, ha="center", va="center", fontsize=min(8.5, 22 * cell), color=colour)
