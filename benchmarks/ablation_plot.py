"""The picture of an ablation: every seed a dot, the mean a bar, what it costs beside it."""

import statistics

from ppdet_ext.visualize.save import save_figure
from ppdet_ext.visualize.style import new_figure

BLUE, ORANGE, GREY = "#3a7fbd", "#d55e00", "#6b6b6b"


def plot_study(report, path):
    """Draws AP, multiply-accumulates and time of each form, in the order of the study.

    Args:
        report (dict): 'title', 'seeds' and 'forms' {name: {'ap' (one a seed), 'macs', 'ratio' of times}}.
        path (str | Path): the PNG.
    """

    forms = report["forms"]
    rows = list(range(len(forms)))
    figure = new_figure((11, 1.5 + 0.5 * len(forms)), dpi=130)
    accuracy, cost, time = figure.subplots(1, 3, sharey=True, width_ratios=[2, 1, 1])
    lowest = min(min(row["ap"]) for row in forms.values())
    highest = max(max(row["ap"]) for row in forms.values())
    margin = max(highest - lowest, 1.0) * 0.25
    for y, row in zip(rows, forms.values()):
        mean = statistics.mean(row["ap"])
        accuracy.plot([min(row["ap"]), max(row["ap"])], [y, y], color="#c9c9c9", linewidth=3, zorder=1)
        accuracy.scatter(row["ap"], [y] * len(row["ap"]), s=26, color=BLUE, zorder=2)
        accuracy.scatter([mean], [y], s=130, marker="|", color=ORANGE, linewidths=2.5, zorder=3)
        accuracy.annotate(f"{mean:.1f}", (highest + margin * 0.5, y), va="center", fontsize=9, color=GREY)
    accuracy.set_xlim(lowest - margin, highest + margin * 1.6)
    accuracy.set_xlabel(f"AP: a dot a seed ({len(report['seeds'])}), the mean a bar", fontsize=9)
    cost.barh(rows, [row["macs"] / 1e6 for row in forms.values()], color=BLUE, height=0.6)
    cost.set_xlabel("10$^6$ multiply-accumulates", fontsize=9)
    ratios = [row.get("ratio", {}).get("median", 0) for row in forms.values()]
    time.barh(rows, ratios, color=BLUE, height=0.6)
    time.set_xlabel("time, the first is 1", fontsize=9)
    accuracy.set_yticks(rows, list(forms), fontsize=9.5)
    accuracy.set_ylim(len(forms) - 0.5, -0.5)
    for axes in (accuracy, cost, time):
        axes.grid(axis="x", color="#e4e4e4")
        axes.set_axisbelow(True)
        axes.tick_params(axis="y", length=0)
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
    figure.suptitle(report["title"], x=0.01, ha="left", fontweight="bold", fontsize=12)
    save_figure(path, figure)
