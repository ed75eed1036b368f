"""The plots of docs/benchmarks/: a bar a row of a benchmark's figures, or the picture of an ablation."""

from ablation_plot import plot_study
from suite import SUITE

from ppdet_ext.visualize.style import new_figure

BLUE, GREY = "#3a7fbd", "#6b6b6b"
STUDIES = {
    "ablation_bifpn": "From FPN to the weighted BiFPN",
    "ablation_components": "From ATSS alone to PP-YOLOE",
}


def plotted(name, figures):
    """Whether a benchmark's figures make a picture."""
    if name in STUDIES:
        return all(row.get("macs") and row.get("time") for row in figures.values())
    return bool(SUITE[name].plot) and bool(_bars(name, figures))


def draw_plots(results, folder):
    """Draws `NAME.png` of each benchmark whose figures make one, and removes those of others.

    Args:
        results (dict): as in docs/benchmarks.json.
        folder (Path): docs/benchmarks.
    """
    drawn = set()
    for name in SUITE:
        figures = results["benchmarks"].get(name, {}).get("figures")
        if figures and plotted(name, figures):
            path = folder / f"{name}.png"
            drawn.add(path)
            if name in STUDIES:
                _plot_ablation(STUDIES[name], figures, path)
            else:
                plot_bars(_bars(name, figures), *SUITE[name].plot[1:], path)
    for path in folder.glob("*.png"):
        if path not in drawn:
            path.unlink()


def _bars(name, figures):
    key = SUITE[name].plot[0]
    return {row: found[key] for row, found in figures.items() if found.get(key) is not None}


def _plot_ablation(title, figures, path):
    forms = {
        form: {"ap": row["ap"], "macs": row["macs"], "ratio": {"median": row["time"]}}
        for form, row in figures.items()
    }
    seeds = range(len(next(iter(forms.values()))["ap"]))
    plot_study({"title": title, "seeds": seeds, "forms": forms}, path)


def plot_bars(bars, title, one, path):
    """Draws horizontal bars with their values, as a PNG.

    Args:
        bars (dict): {name: value}, from top to bottom.
        title (str): over the picture.
        one (float | None): where a line stands, what the bars are compared with.
        path (Path): the picture.
    """

    from ppdet_ext.visualize.save import save_figure

    rows = list(range(len(bars)))
    figure = new_figure((9, 0.9 + 0.3 * len(bars)))
    axes = figure.subplots()
    values = list(bars.values())
    axes.barh(rows, values, color=BLUE, height=0.62)
    for row, value in zip(rows, values):
        axes.annotate(
            f"{value:.3g}",
            (value, row),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8.5,
            color=GREY,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},  # over the line
        )
    if one is not None:
        axes.axvline(one, color=GREY, linewidth=1)
    axes.set_xlim(0, max(values) * 1.1)
    axes.set_ylim(len(bars) - 0.5, -0.5)
    axes.set_yticks(rows, list(bars), fontsize=9)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="#e4e4e4")
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=11)
    save_figure(path, figure)
