"""Reports of a benchmark as text."""

from ..text_table import align
from .rounds import MEASURED

# The share of the cores above which other processes disturb.
BUSY = 0.1
NOTE = [
    "Median (quartiles), ms a batch; images/s and ratio from the decoded image to its boxes.",
    "Ratio: how many times as fast an image is through as in the first row, round by round.",
]


def bench_table(report):
    """The report of `run_benchmark` as a table, machine and settings above it.

    What is the same in every row (batch, size, precision) stands above it, too.

    Args:
        report (dict): as `run_benchmark` gives it, or read from its JSON.

    Returns:
        str: lines without a newline at the end.
    """
    rows = report["rows"]
    columns = [
        ("batch", "", lambda row: str(row["batch"])),
        ("size", "", lambda row: size_text(row.get("size"))),
        ("precision", "", lambda row: row.get("precision", "-")),
    ]
    same, shown = [], []
    for column in columns:
        values = {column[2](row) for row in rows if row["status"] == MEASURED}
        if len(values) == 1:
            same.append(f"{column[0]} {values.pop()}")
        else:
            shown.append(column)
    shown += [
        ("decode", "ms", lambda row: number(row["decode_ms"]["median"])),
        ("pre", "ms", lambda row: number(row["pre_ms"]["median"])),
        ("network", "ms", lambda row: spread(row["network_ms"])),
        ("post", "ms", lambda row: number(row["post_ms"]["median"])),
        ("found", "boxes", lambda row: f"{row['detections']:.0f}"),
        ("images", "/s", lambda row: number(row["images_per_s"])),
        ("peak", "MiB", lambda row: "-" if row["peak_mib"] is None else f"{row['peak_mib']:.0f}"),
        ("model", "MiB", lambda row: number(row["model_mib"])),
        ("ratio", "all", lambda row: spread(row["ratio"])),
        ("ratio", "network", lambda row: number(row["network_ratio"]["median"])),
    ]
    lines = [*heading(report), *([", ".join(same)] if same else []), ""]
    key = "backend" if len({row["backend"] for row in rows}) == len(rows) else "name"
    body = []
    for row in rows:
        if row["status"] == MEASURED:
            body.append([row["backend"], *(cell(row) for _, _, cell in shown)])
        else:
            body.append([row[key], reason(row)])
    heads = [["", *(head for head, _, _ in shown)], ["backend", *(unit for _, unit, _ in shown)]]
    return "\n".join([*lines, *align(heads, body), "", *NOTE, *warnings(report)])


def heading(report):
    """The lines that say what was measured, where, and how."""
    machine, settings = report["machine"], report["settings"]
    isa = f" ({', '.join(machine['isa'])})" if machine["isa"] else ""
    return [
        f"{report['model']} on {machine['cpu']}{isa}",
        f"{settings['threads']} threads of {machine['cores']} cores, {settings['rounds']} rounds of "
        f"{settings['steps']} in turn; {report['images']['source']}; NMS {settings['nms']}",
    ]


def warnings(report):
    """Lines on what may have spoiled the figures: other processes, engines that do not rest; mostly none."""
    lines, others = [], report["settings"]["others_cpu"]
    if others is not None and others > BUSY:
        lines.append(
            f"Others took {others:.0%} of this machine's cores meanwhile: measure again when it is idle."
        )
    names = [row["name"] for row in report["rows"] if row["status"] == MEASURED and not row["rests"]]
    if names:
        lines.append(f"Not idle between its turns, which slows the other rows: {'; '.join(names)}.")
    return lines


def reason(row):
    """Why a row has no figures."""
    return f"{row['status']}: {row['reason']}"


def number(value):
    """A figure with three digits, '-' for None."""
    if value is None:
        return "-"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def spread(figure):
    """Median and quartiles of a figure, '-' for None."""
    if figure is None:
        return "-"
    return f"{number(figure['median'])} ({number(figure['q1'])}-{number(figure['q3'])})"


def size_text(size):
    """[H, W] as '640' where it is square, else '480x640'."""
    if not size:
        return "-"
    return str(size[0]) if size[0] == size[1] else "x".join(map(str, size))
