"""The tables of a model card, as texts: for Markdown and HTML alike."""

from dataclasses import dataclass
from typing import List

from .card import NOT_MEASURED


@dataclass
class Table:
    """A table.

    Args:
        title (str)
        head (list[str]): a cell a column.
        rows (list[list[str]])
        note (str): a sentence under it, '' for none.
    """

    title: str
    head: List[str]
    rows: List[List[str]]
    note: str = ""


def percent(value, digits=1):
    """A share of 1 in percent, '-' for None."""
    return "-" if value is None else f"{100 * value:.{digits}f}"


def headline(card):
    """The figures that one looks for first.

    Returns:
        list[tuple[str, str]]: figure and what it is.
    """
    metrics, point = card["metrics"], card["metrics"]["at_work"]
    return [
        (percent(metrics["ap"]), "AP (IoU 0.50:0.95)"),
        (percent(metrics["ap50"]), "AP50"),
        (f"{percent(point['recall'], 0)} %", f"found at score {point['threshold']:.2f}"),
        (f"{percent(point['precision'], 0)} %", "of what it says is right there"),
        (f"{point['false_alarms_an_image']:.2f}", "false alarms an image"),
    ]


def tables(card):
    """All tables of a card, the figures first, then where they come from.

    Args:
        card (dict): of :func:`ppdet_ext.report.card.model_card`.

    Returns:
        list[Table]
    """
    return [
        *_metrics(card["metrics"]),
        *_speed(card["speed"]),
        *_parity(card["parity"]),
        _int8(card["int8"]),
        _data(card["data"]),
        _origin(card),
    ]


def _metrics(metrics):
    point = metrics["at_work"]
    figures = [[name.upper(), percent(metrics[name])] for name in ("ap", "ap50", "ap75", "ar100")]
    figures += [
        [f"threshold ({point['chosen_by']})", f"{point['threshold']:.3f}"],
        ["recall there", percent(point["recall"])],
        ["precision there", percent(point["precision"])],
        ["F1 there", percent(point["f_score"])],
        ["missed there", f"{point['missed']}"],
        ["false alarms there", f"{point['false_alarms']}"],
    ]
    sizes = [
        [row["size"], f"{row['boxes']}", percent(row["ap"]), percent(row["recall"])]
        for row in metrics["sizes"]
    ]
    classes = [
        [
            row["name"],
            f"{row['boxes']}",
            *(percent(row[key]) for key in ("ap", "ap50", "recall", "precision")),
        ]
        for row in metrics["classes"]
    ]
    threshold = f"{point['threshold']:.2f}"
    return [
        Table("Metrics", ["", ""], figures, "AP and shares in percent."),
        Table(
            "Classes",
            ["class", "boxes", "AP", "AP50", f"recall at {threshold}", f"precision at {threshold}"],
            classes,
        ),
        Table(
            "Sizes",
            ["size", "boxes", "AP", "AR"],
            sizes,
            "Areas under 32x32, under 96x96, and above, in pixels of the picture. AR: the most that 100 "
            "detections an image find.",
        ),
    ]


def _speed(speed):
    if not isinstance(speed, dict):
        return [Table("Speed", ["", ""], [["every engine", NOT_MEASURED]])]
    rows = []
    for row in speed["rows"]:
        size = "x".join(map(str, row["size"])) if row["size"] else "its own"
        if row["status"] == "measured":
            cells = [f"{row[key]:.4g}" if row.get(key) else "-" for key in ("network_ms", "total_ms")]
            cells.append(f"{row['images_per_s']:.4g}")
        else:
            cells = [NOT_MEASURED, row["reason"] or "", ""]
        rows.append([row["backend"], f"{row['batch']}", size, *cells])
    head = ["engine", "batch", "size", "network, ms", "in all, ms", "images a second"]
    return [Table("Speed", head, rows, f"{speed['cpu']}, {speed['threads']} threads.")]


def _parity(parity):
    if not isinstance(parity, dict):
        return [Table("Parity", ["", ""], [["every exported file", NOT_MEASURED]])]
    files = [
        [row["file"], row["precision"] or "-", _error(row["max_error"], row["not_measured"])]
        for row in parity["files"]
    ]
    head = ["file", "precision", "largest difference of raw outputs"]
    found = [Table("Parity: each file and the model as trained", head, files)]
    if parity["hops"]:
        hops = [
            [hop["hop"], hop["status"], _number(hop["ap"]), _number(hop["ap_drop"]), hop["reason"] or ""]
            for hop in parity["hops"]
        ]
        found.append(Table("Parity: ppdet-ext verify", ["hop", "", "AP", "lost", ""], hops))
    return found


def _error(value, reason):
    return f"{value:.1e}" if value is not None else f"{NOT_MEASURED} ({reason or 'no reason given'})"


def _number(value):
    return "-" if value is None else f"{value:.2f}"


def _int8(int8):
    if not isinstance(int8, dict):
        return Table("INT8", ["", ""], [["AP lost", NOT_MEASURED]])
    rows = [["files", ", ".join(int8["files"])]]
    for key in ("by", "method", "calibration_images"):
        if int8.get(key) is not None:
            rows.append([key.replace("_", " "), f"{int8[key]}"])
    layers = int8.get("float_layers") or []
    rows.append(["layers kept float", ", ".join(layers) or "none"])
    drop = int8.get("ap_drop")
    rows.append(["AP lost, points", NOT_MEASURED if drop is None else f"{drop:.2f}"])
    return Table("INT8", ["", ""], rows)


def _data(data):
    keys = ("annotations", "sha256", "image_folder", "images", "images_without_boxes", "boxes")
    rows = [
        [key.replace("_", " "), *(_fact(data[part], key) for part in ("TrainDataset", "EvalDataset"))]
        for key in keys
    ]
    names = {name: None for part in data.values() for name in part.get("classes", ())}
    rows += [
        [f"boxes of '{name}'", *(_class(data[part], name) for part in ("TrainDataset", "EvalDataset"))]
        for name in names
    ]
    return Table("Data", ["", "training", "evaluation"], rows)


def _fact(part, key):
    return f"{part.get(key, part.get('status', NOT_MEASURED))}"


def _class(part, name):
    return f"{part['classes'].get(name, 0)}" if "classes" in part else "-"


def _origin(card):
    weights, training = card["weights"], card["training"]
    rows = [
        ["weights", weights["file"]],
        ["their SHA-256", weights["sha256"]],
        ["their size", f"{weights['bytes'] / 2**20:.1f} MiB"],
        ["architecture", f"{card['architecture']}"],
        ["made", card["made"]],
    ]
    if isinstance(training, dict):
        rows.append(["epochs trained", f"{training['epochs']}"])
        rows.append(["best epoch", f"{training['best_epoch'] or NOT_MEASURED}"])
    rows += [[name, version] for name, version in card["versions"].items()]
    return Table("Origin and versions", ["", ""], rows)
