"""Tables as text."""


def align(heads, body):
    """Lines of a table: the first column to the left, figures to the right.

    Args:
        heads (list): rows of cells that stand above.
        body (list): rows of as many cells; or of two, a name and a text that runs on to the end.

    Returns:
        list: lines.
    """
    full = [row for row in heads + body if len(row) == len(heads[0])]
    widths = [max(len(row[column]) for row in full) for column in range(len(heads[0]))]
    widths[0] = max(len(row[0]) for row in heads + body)
    lines = []
    for row in heads + body:
        cells = [row[0].ljust(widths[0])]
        if len(row) == len(heads[0]):
            cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
        else:
            cells += row[1:]
        lines.append("  ".join(cells).rstrip())
    return lines
