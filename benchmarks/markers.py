"""Tables and figures between markers in READMEs and docs, filled from the results.

Markers are comments of Markdown, which readers don't see. A table of `tables.py`:

    <!-- benchmarks:NAME -->
    <!-- /benchmarks -->

A figure in a sentence, and how it is written (Python's format; '*1000' before it scales):

    <!-- figure:BENCHMARK/ROW/FIGURE .2f -->1.05<!-- /figure -->

The difference of two figures and their ratio are written 'FIGURE minus FIGURE' and 'FIGURE over FIGURE'.
"""

import re

from tables import entry_of, lines_of, text

TABLE = re.compile(r"<!-- benchmarks:(\S+) -->\n(.*?)<!-- /benchmarks -->", re.S)
FIGURE = re.compile(r"<!-- figure:(\S[^>]*?) (?:\*(\S+) )?([^\s>]+) -->([^<]*)<!-- /figure -->")
OPERATION = re.compile(r" (minus|over) (?=[^/ ]+/)")
MARKER = re.compile(r"<!-- /?(?:benchmarks|figure)\b")


def fill(content, results, name):
    """A document with what belongs between its markers.

    Args:
        content (str): the document.
        results (dict): as in docs/benchmarks.json.
        name (str): of the document, for errors.

    Raises:
        ValueError: a marker without its end, or the name of a table or figure that there is not.
    """
    tables, figures = len(TABLE.findall(content)), len(FIGURE.findall(content))
    if len(MARKER.findall(content)) != 2 * (tables + figures):
        raise ValueError(f"{name}: a marker of benchmarks has no end or is misspelt; see benchmarks/page.py")

    def table(match):
        lines = "\n".join(lines_of(results, match[1]))
        return f"<!-- benchmarks:{match[1]} -->\n{lines}\n<!-- /benchmarks -->"

    def figure(match):
        path, scale, form, _ = match.groups()
        value = value_of(results, path)
        written = text(value, form, float(scale)) if scale else text(value, form, 1)
        start = match[0][: match[0].index("-->") + 3]
        return f"{start}{written}<!-- /figure -->"

    try:
        return FIGURE.sub(figure, TABLE.sub(table, content))
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def value_of(results, path):
    """The figure at a path, or what 'PATH minus PATH' and 'PATH over PATH' come to.

    None where one of them was not measured. Raises as :func:`figure_of`.
    """
    left, *operation = OPERATION.split(path, maxsplit=1)
    value = figure_of(results, left)
    if not operation:
        return value
    name, right = operation
    other = figure_of(results, right)
    if value is None or other is None:
        return None
    return value - other if name == "minus" else value / other


def figure_of(results, path):
    """The figure BENCHMARK/ROW/FIGURE, None where it, or the whole row, was not measured.

    Raises:
        ValueError: there is no such benchmark, or the row has no figure of this name.
    """
    parts = path.split("/")
    if len(parts) != 3:
        raise ValueError(f"'{path}' is not BENCHMARK/ROW/FIGURE")
    benchmark, row, name = parts
    found = entry_of(results, benchmark).get("figures") or {}
    if row not in found:  # where a part could not run, or all failed
        return None
    if name not in found[row]:
        raise ValueError(f"benchmarks.json has no figure '{path}', but {', '.join(found[row])}")
    return found[row][name]
