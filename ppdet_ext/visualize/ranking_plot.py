"""The plot of a ranking of layers by what quantising them costs."""

from .save import save_figure
from .style import new_figure

FLOAT, QUANTIZED, GREY = "#d55e00", "#3a7fbd", "#6b6b6b"
# More rows than this can't be read at one glance; the tail of a ranking is flat.
MOST_ROWS = 40
ROW_INCHES = 0.22


def plot_ranking(ranking, float_layers, path, drop=None, budget=None):
    """Draw a bar a layer, the most sensitive on top, those kept float in another colour.

    Args:
        ranking (list[tuple[str, float]]): layer and error of the outputs, the largest first.
        float_layers (iterable[str]): those that stay float.
        path (str | Path): the PNG; its folder is made.
        drop (float | None): AP lost, in points of 100.
        budget (float | None): AP that might be lost.
    """
    from matplotlib.patches import Patch

    shown = ranking[:MOST_ROWS]
    kept = set(float_layers)
    figure = new_figure((9.5, 1.6 + ROW_INCHES * len(shown)), dpi=130)
    axes = figure.subplots()
    rows = range(len(shown))
    colours = [FLOAT if layer in kept else QUANTIZED for layer, _ in shown]
    axes.barh(rows, [error for _, error in shown], color=colours, height=0.72)
    axes.set_yticks(rows, [layer for layer, _ in shown], fontsize=7.5)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.set_xlabel("error of the outputs when this layer alone is quantised", fontsize=9)
    axes.grid(axis="x", color="#e4e4e4")
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(axis="y", length=0)
    more = f" (the first {len(shown)} of {len(ranking)})" if len(shown) < len(ranking) else ""
    axes.set_title(
        f"What quantisation costs, layer by layer{more}", loc="left", fontweight="bold", fontsize=11
    )
    if drop is not None:
        said = f"AP {-drop:+.2f} points with {len(kept)} kept float"
        said += f", {-budget:+.2f} allowed" if budget is not None else ""
        axes.annotate(
            said, (1, 0), xycoords="axes fraction", xytext=(-6, 44), textcoords="offset points", ha="right",
            color=GREY, fontsize=9,
        )  # fmt: skip
    axes.legend(
        handles=[Patch(color=FLOAT, label="stays float"), Patch(color=QUANTIZED, label="quantised")],
        loc="lower right",
        frameon=False,
        fontsize=9,
    )
    save_figure(path, figure)
