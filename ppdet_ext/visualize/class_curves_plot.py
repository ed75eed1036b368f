"""Precision over recall, and F1 over the score threshold, of every class."""

import numpy as np

from .fonts import plot_families, readable_names
from .save import save_figure
from .style import GREY, new_figure, shortened, style_axes

# So many classes have a colour and a name each; of more, the best and the worst.
MOST_COLOURS = 20
NAMED = 5
ALL_WIDTH = 2.6


def plot_class_curves(names, ap50, precision, f_scores, path, threshold=None):
    """Draw both plots side by side, classes in the legend by falling AP50, all classes together in black.

    Args:
        names (list[str]): of the C classes.
        ap50 (list[float | None]): C; None for a class that is not annotated, which is left out.
        precision (ndarray): [C, R], at IoU 0.5, at R recalls from 0 to 1 evenly.
        f_scores (ndarray): [C + 1, T], at T thresholds from 0 to 1 evenly; the last row is of all together.
        path (str | Path): the PNG; its folder is made.
        threshold (float | None): of the detector at work.

    Raises:
        ValueError: matplotlib is not installed.
    """
    figure = new_figure((11, 4.6))
    left, right = figure.subplots(1, 2)
    style_axes(left, "Precision and recall, IoU 0.5", "recall", "precision")
    style_axes(right, "F1 by threshold, IoU 0.5", "score threshold", "F1")
    order = sorted((c for c, ap in enumerate(ap50) if ap is not None), key=lambda c: -ap50[c])
    families = plot_families()
    texts = readable_names(names, families)
    recall, thresholds = np.linspace(0, 1, precision.shape[1]), np.linspace(0, 1, f_scores.shape[1])
    named = order if len(order) <= MOST_COLOURS else [*order[:NAMED], *order[-NAMED:]]
    colours = dict(zip(named, _colours(len(named))))
    for c in order:
        look = {"color": colours.get(c, "0.8"), "linewidth": 1.3 if c in colours else 0.7}
        look["zorder"] = 2 if c in colours else 1
        label = f"{shortened(texts[c])}  {100 * ap50[c]:.1f}" if c in colours else None
        left.plot(recall, precision[c], label=label, **look)
        right.plot(thresholds, f_scores[c], **look)
    if order:
        mean = 100 * np.mean([ap50[c] for c in order])
        look = {"color": "black", "linewidth": ALL_WIDTH, "zorder": 3}
        left.plot(recall, precision[order].mean(0), label=f"all  {mean:.1f}", **look)
        right.plot(thresholds, f_scores[-1], **look)
    if threshold is not None:
        right.axvline(threshold, color=GREY, linewidth=1, linestyle="--")
        _name_threshold(right, threshold)
    for axes in (left, right):
        axes.set(xlim=(0, 1), ylim=(0, 1.02))
        axes.grid(color="#e8e8e8")
    if order:
        legend = figure.legend(
            loc="outside right upper", fontsize=8, frameon=False, title=_legend_title(order, named),
            title_fontsize=8, prop={"family": families, "size": 8},
        )  # fmt: skip
        legend.get_title().set_color(GREY)
    save_figure(path, figure)


def _colours(count):
    from matplotlib import colormaps

    return colormaps["tab10" if count <= 10 else "tab20"].colors[:count]


def _name_threshold(axes, threshold):
    """The threshold's number beside its line, on the side with more room."""
    before = threshold > 0.5
    axes.annotate(
        f"at work {threshold:.2f}", (threshold, 1), xycoords=("data", "axes fraction"),
        xytext=(-4 if before else 4, -2), textcoords="offset points", ha="right" if before else "left",
        va="top", fontsize=8, color=GREY,
    )  # fmt: skip


def _legend_title(order, named):
    if len(named) == len(order):
        return "AP50"
    return f"AP50, the {NAMED} best and\n{NAMED} worst of {len(order)}"
