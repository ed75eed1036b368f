"""The profile of a network, and the fusion weights of its neck, as text."""

from .network_profile import FORMS
from .text_table import align

MODULES = ("backbone", "neck", "head")
NOTE = "MACs: multiply-accumulates of the convolutions, for one image; FLOPs = 2 x MACs."


def network_table(profile, name):
    """A profile as a table: each part, the modules, the whole.

    Cells of a neck have a row a level, for all cells together.

    Args:
        profile (dict): of :func:`profile_network`.
        name (str): what was profiled.

    Returns:
        str: lines without a newline at the end.
    """
    modules = ", ".join(profile["modules"].values())
    size = "x".join(map(str, profile["input"][2:]))
    rows = _rows(profile["parts"])
    heads = [
        ["", "", "", "as trained", "", "deployed", "", ""],
        ["part", "stride", "output", "parameters", "MACs, M", "parameters", "MACs, M", "share"],
    ]
    whole = profile["total"]["deployed"]["macs"]
    body = [
        [title, stride, output, *_figures(costs, whole)]
        for title, stride, output, costs in [*rows, *_sums(profile)]
    ]
    lines = align(heads, body)
    lines.insert(len(heads) + len(rows), "")
    trained, deployed = (profile["total"][form]["macs"] * 2 / 1e9 for form in FORMS)
    return "\n".join(
        [
            f"{name}: {modules}; {profile['classes']} classes, image {size}",
            "",
            *lines,
            "",
            f"{NOTE} Here {trained:.2f} GFLOPs as trained, {deployed:.2f} deployed.",
        ]
    )


def _rows(parts):
    """(title, stride, output, costs of both forms) of each row."""
    rows = {}
    # Cells by level, the finest first; all else in its order.
    parts = sorted(
        parts, key=lambda part: (MODULES.index(part["module"]), part["level"] if part["group"] else 0)
    )
    for part in parts:
        title = f"{part['module']} {_title(part)}"
        stride = output = ""
        if "level" in part:
            stride = str(2 ** part["level"])
            channels = str(part["shape"][1])
            if "box_shape" in part:
                channels = f"{channels}+{part['box_shape'][1]}"
            output = f"[{', '.join([str(part['shape'][0]), channels, *map(str, part['shape'][2:])])}]"
        row = rows.setdefault((title, stride, output), [])
        row.append(part)
    return [(*key, _cost(parts)) for key, parts in rows.items()]


def _title(part):
    if part["group"]:
        return f"P{part['level']}, all cells"
    if part["module"] == "neck":
        return f"P{part['level']} {part['name']}"
    return f"P{part['level']}" if part["name"] == "level" else part["name"]


def _sums(profile):
    rows = [
        (module, "", "", _cost([part for part in profile["parts"] if part["module"] == module]))
        for module in MODULES
    ]
    return [*rows, ("total", "", "", profile["total"])]


def _cost(parts):
    """Of each form the sum of parameters and MACs; None where no part is in the form."""
    costs = {}
    for form in FORMS:
        found = [part[form] for part in parts if part[form]]
        costs[form] = {key: sum(cost[key] for cost in found) for key in found[0]} if found else None
    return costs


def _figures(costs, whole):
    cells = []
    for form in FORMS:
        cost = costs[form]
        cells += [f"{cost['parameters']:,}", f"{cost['macs'] / 1e6:,.1f}"] if cost else ["-", "-"]
    deployed = costs["deployed"]
    return [*cells, f"{deployed['macs'] / whole:.1%}" if deployed else "-"]


def fusion_table(cells):
    """Fusion weights as a table: an edge a row, a cell a column.

    Args:
        cells (list[list[dict]]): of :meth:`WeightedBiFPN.fusion_weights`.

    Returns:
        str: lines without a newline at the end.
    """
    body = []
    for nodes in zip(*cells):
        for place, edge in enumerate(nodes[0]["edges"]):
            name = nodes[0]["name"] if place == 0 else ""
            body.append([name, edge, *(f"{node['weights'][place]:.3f}" for node in nodes)])
    heads = [["fusion node", "reads", *(f"cell {number + 1}" for number in range(len(cells)))]]
    return "\n".join(align(heads, body))
