"""docs/benchmarks.md, its plots, and every table and figure of READMEs and docs that stands between markers.

.venv/bin/python benchmarks/page.py            # writes them from docs/benchmarks.json
.venv/bin/python benchmarks/page.py --check    # exit status 1 if one is not in step
"""

import argparse
import sys
from pathlib import Path

from common import ROOT, read_json
from markers import fill
from plots import draw_plots, plotted
from suite import DATA, SUITE, shown
from tables import entry_of, lines_of, markdown

RESULTS = ROOT / "docs" / "benchmarks.json"
PAGE = ROOT / "docs" / "benchmarks.md"
PLOTS = "benchmarks"
SHOWN_VERSIONS = ("python", "paddle", "ppdet", "onnxruntime", "openvino", "paddlelite")


def documents(root=ROOT):
    """The files that may have markers."""
    readmes = [root / "README.md", root / "README.zh-CN.md"]
    return [*readmes, *sorted(p for p in (root / "docs").glob("*.md") if p.name != PAGE.name)]


def page(results):
    """The text of docs/benchmarks.md."""
    machine = results["machine"]
    lines = [
        "# Benchmarks",
        "",
        "Made by `benchmarks/page.py` from `benchmarks.json`; do not edit it by hand.",
        "",
        "```bash",
        "bash scripts/benchmarks.sh --list            # what there is, and what it needs",
        "bash scripts/benchmarks.sh train_step tta    # runs these; without names, all",
        "bash scripts/benchmarks.sh --quick           # short runs, to see that they work: output/benchmarks",
        "```",
        "",
        "A run takes the place of the benchmark's entry in `benchmarks.json` and brings this page, its plots "
        "and the tables of READMEs and docs into step. What cannot run keeps the figures it has, or is not "
        "measured. *Recorded earlier*: figures that the docs had before this file, from the commit named.",
        "",
        f"The last run: {results['date']}, {machine['cpu']}, {machine['cores']} cores "
        f"({', '.join(machine['isa'])}), {machine['memory_gib']:.0f} GiB, {_versions(results['versions'])}. "
        "An entry that was measured has its own machine in the file. Absolute numbers are one machine's, "
        "ratios carry.",
        "",
    ]
    body = []
    for name, benchmark in SUITE.items():
        entry = entry_of(results, name)
        minutes = entry["seconds"] / 60 if entry.get("seconds") else benchmark.minutes
        body.append([f"[{name}](#{name})", benchmark.gives, f"{minutes:.0f}", _status(entry)])
    lines += markdown(["", "figures", "minutes", "status"], body)
    lines += ["", "## The figures that the README tells of", "", *lines_of(results, "measured")]
    lines += ["", "In the commands: " + "; ".join(f"`{n.upper()}` is {s}" for n, s in DATA.items()) + "."]
    for name in SUITE:
        lines += ["", *section(results, name)]
    return "\n".join(lines) + "\n"


def _versions(versions):
    return ", ".join(f"{name} {versions[name]}" for name in SHOWN_VERSIONS if versions.get(name))


def _status(entry):
    reason = entry.get("reason")
    return f"{entry['status']} ({reason})" if reason else entry["status"]


def section(results, name):
    """The lines about one benchmark."""
    benchmark, entry = SUITE[name], entry_of(results, name)
    lines = [f"## {name}", "", f"{benchmark.gives[0].upper()}{benchmark.gives[1:]}: `{shown(benchmark)}`"]
    lines += ["", f"Status: {_status(entry)}."]
    figures = entry.get("figures")
    if figures and plotted(name, figures):
        lines += ["", f"![{benchmark.gives}]({PLOTS}/{name}.png)"]
    if figures:
        tables = [lines_of(results, table) for table in benchmark.tables] or [everything(figures)]
        for table in tables:
            lines += ["", *table]
    return lines


def everything(figures):
    """The lines of a table of all figures."""
    keys = list(dict.fromkeys(key for row in figures.values() for key in row))
    body = [[name, *(_cell(row.get(key)) for key in keys)] for name, row in figures.items()]
    return markdown(["", *keys], body)


def _cell(value):
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(_cell, value))
    return f"{value:.4g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else value


def make(results):
    """{path: text} of every file that the results fill."""
    texts = {PAGE: page(results)}
    for path in documents():
        texts[path] = fill(path.read_text(encoding="utf-8"), results, path.relative_to(ROOT))
    return texts


def write(results):
    """Writes the page, the plots and what stands between markers; files that are in step are left alone."""
    for path, content in make(results).items():
        if not path.is_file() or path.read_text(encoding="utf-8") != content:
            path.write_text(content, encoding="utf-8")
            print(f"wrote {path.relative_to(ROOT)}")
    draw_plots(results, PAGE.parent / PLOTS)


def stale(results):
    """Files that are not in step with the results."""
    return [
        path
        for path, content in make(results).items()
        if not path.is_file() or path.read_text(encoding="utf-8") != content
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit status 1 if not in step")
    args = parser.parse_args()
    try:
        results = read_json(RESULTS)
        if not args.check:
            write(results)
            return 0
        files = stale(results)
    except ValueError as error:
        print(f"page.py: {error}", file=sys.stderr)
        return 2
    for path in files:
        print(f"{Path(path).relative_to(ROOT)}: not in step; run benchmarks/page.py")
    return 1 if files else 0


if __name__ == "__main__":
    sys.exit(main())
