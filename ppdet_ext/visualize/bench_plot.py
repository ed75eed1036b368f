"""The plot of a benchmark, drawn from its report."""

import textwrap

from .save import save_figure
from .style import new_figure

# (phase, its name, its colour): told apart by the colour-blind, too.
PHASES = (
    ("pre", "pre-processing", "#56b4e9"),
    ("network", "network", "#3a7fbd"),
    ("post", "post-processing", "#e69f00"),
)
GREY = "#6b6b6b"
ROW_INCHES = 0.42


def plot_bench(report, path):
    """Draw a stacked bar a row, milliseconds an image, with its ratio to the first row at the end.

    Args:
        report (dict): 'model', 'machine', 'settings' and 'rows', as `run_benchmark` gives them. A row has
            'name' and 'status'; a measured one 'batch', 'ratio', and the quartiles 'pre_ms', 'network_ms',
            'post_ms' and 'total_ms' a batch, those it has.
        path (str | Path): the PNG; its folder is made.

    Raises:
        ValueError: there are no rows, or matplotlib is not installed.
    """
    rows = report["rows"]
    if not rows:
        raise ValueError(f"{path}: the report has no rows; measure at least one")
    figure = new_figure((9.5, 1.7 + ROW_INCHES * len(rows)), dpi=130, what="the plot of a benchmark needs")
    axes = figure.subplots()
    _draw_bars(axes, rows)
    machine, settings = report["machine"], report["settings"]
    isa = f" ({', '.join(machine['isa'])})" if machine["isa"] else ""
    axes.set_title(_short(report["model"], 90), loc="left", fontweight="bold", fontsize=11, pad=22)
    axes.annotate(
        f"{machine['cpu']}{isa}, {settings['threads']} threads; medians of {settings['rounds']} rounds, "
        f"lines: quartiles",
        (0, 1),
        xycoords="axes fraction",
        xytext=(0, 6),
        textcoords="offset points",
        color=GREY,
        fontsize=8.5,
    )
    save_figure(path, figure)


def _draw_bars(axes, rows):
    """All rows from top to bottom, a legend, and room for the text at the bars' ends."""
    ends = []
    for place, row in enumerate(rows):
        if row["status"] != "measured":
            text = _short(f"{row['status']}: {row['reason']}", 88)
            look = {"va": "center", "color": GREY, "style": "italic", "fontsize": 8.5}
            axes.annotate(text, (0, place), xytext=(6, 0), textcoords="offset points", **look)
            continue
        end, batch = 0.0, row.get("batch", 1)
        for phase, _, colour in PHASES:
            if f"{phase}_ms" in row:
                width = row[f"{phase}_ms"]["median"] / batch
                axes.barh(place, width, left=end, color=colour, height=0.66)
                end += width
        if "total_ms" in row:
            spread = [row["total_ms"][quartile] / batch for quartile in ("q1", "q3")]
            axes.plot(spread, [place, place], color="black", linewidth=1)
            end = max(end, spread[1])
        text = f"{_figure(row['total_ms']['median'] / batch)} ms" if "total_ms" in row else ""
        if row.get("ratio"):
            text += f"   {row['ratio']['median']:.2f}x"
        axes.annotate(text, (end, place), xytext=(6, 0), textcoords="offset points", va="center", fontsize=9)
        ends.append(end)
    axes.set_yticks(range(len(rows)), [_short(row["name"], 60) for row in rows], fontsize=9)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(0, max(ends, default=1) * 1.22)  # the text behind the longest bar
    axes.set_xlabel("ms an image")
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", alpha=0.25)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    drawn = [p for p in PHASES if any(f"{p[0]}_ms" in row for row in rows)]
    handles = [axes.barh(0, 0, color=colour, label=name) for _, name, colour in drawn]
    if handles:
        axes.figure.legend(
            handles=handles, loc="outside lower right", ncols=len(handles), frameon=False, fontsize=9
        )


def _short(text, width):
    return textwrap.shorten(str(text), width, placeholder="...") if " " in str(text) else str(text)[-width:]


def _figure(value):
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
