"""The tables of the docs: each out of the figures of one benchmark, as heads and rows of cells."""

from suite import SUITE
from tables_compatibility import reasons, steps
from tables_int8 import accuracy, families, speed
from tables_readme import measured, measured_zh
from tables_tracking import quality, streams

from ppdet_ext.evaluation.verify_table import verify_table

PPYOLOE, YOLOV6 = "ppyoloe_plus_{}_coco", "yolov6_{}_coco"
EXCHANGED = {
    "PP-YOLOE nano": "ppyoloe_nano_coco",
    **{f"PP-YOLOE+ {size}": PPYOLOE.format(size) for size in "smlx"},
    **{f"YOLOv6 {size}": YOLOV6.format(size) for size in "nsml"},
    "EfficientDet-D0": "efficientdet_d0_coco",
}
PLANNED = ("PP-YOLOE+ s", "PP-YOLOE+ l", "PP-YOLOE+ x", "YOLOv6 s")
# Recipes of which there is more to say.
READ_AS = {
    "YOLOv6, Mosaic, 640": "YOLOv6's Mosaic, 640 (other draws)",
    "demo, 128": "the demo's, 128, nothing to distort",
}
READING = ("PP-YOLOE+ s", "PP-YOLOE+ l", "YOLOv6 s")


def text(value, form, scale=1):
    """A cell: a number in a format, '-' where it was not measured."""
    return "-" if value is None else format(value * scale, form)


def sizes(family, names, *lines):
    """A column a size: {line: (figure, format, scale)}; sizes without figures are left out."""

    def make(figures):
        there = [name for name in names if f"{family}{name}" in figures]
        rows = [
            [head, *(text(figures[f"{family}{name}"].get(key), form, scale) for name in there)]
            for head, key, form, scale in lines
        ]
        return ["", *there], rows

    return make


def exchanged(figures):
    heads = ["", "parameters", "gradients", "buckets", "SyncBN layers", "their messages", "checkpoint"]
    rows = []
    for name, key in EXCHANGED.items():
        row = figures.get(key)
        if row:
            cells = [f"{row['parameters'] / 1e6:.2f} M", f"{row['gradient_bytes'] / 1e6:.1f} MB"]
            cells += [f"{row['buckets']}", f"{row['sync_bn_layers']}", f"{row['sync_bn_bytes'] / 1e3:.0f} kB"]
            rows.append([name, *cells, f"{row['checkpoint_bytes'] / 1e6:,.0f} MB"])
    return heads, rows


def exchange(figures):
    heads = ["", "GPUs", "a GPU moves", "exchange", "SyncBN", "compute", "share of time computing"]
    rows = []
    for name in PLANNED:
        for gpus in (8, 64, 512):
            row = figures.get(f"{EXCHANGED[name]}, {gpus} GPUs")
            if row:
                cells = [f"{gpus}", f"{row['moved_bytes'] / 1e6:.0f} MB", f"{row['exchange_s'] * 1e3:.1f} ms"]
                cells += [f"{row['sync_bn_s'] * 1e3:.1f} ms", f"{row['compute_s'] * 1e3:.0f} ms"]
                rows.append([name if gpus == 8 else "", *cells, f"{row['efficiency']:.0%}"])
    return heads, rows


def reading(figures):
    heads, rows = [""], []
    for gpus in (8, 64):
        heads += [f"{gpus} GPUs: images/s", "cores", "storage"]
    for name in READING:
        plans = [figures.get(f"{EXCHANGED[name]}, {gpus} GPUs") for gpus in (8, 64)]
        if all(plans):
            cells = []
            for row in plans:
                cells += [f"{row['images_per_s']:,.0f}", f"{row['reader_cores']:.0f}"]
                cells.append(f"{row['storage_bytes_per_s'] / 1e6:,.0f} MB/s")
            rows.append([name, *cells])
    return heads, rows


def train_step(figures):
    heads = ["", "PaddleDetection", "ppdet_ext", "times as fast", "operations", "PaddleDetection's"]
    rows = []
    for name, row in figures.items():
        seconds = [text(row.get(key), ".3f") for key in ("upstream_s", "ours_s")]
        counts = [text(row.get(key), ",d") for key in ("ours_operations", "upstream_operations")]
        rows.append([name, *seconds, text(row["ratio"], ".2f"), *counts])
    return heads, rows


def reader(figures):
    cached = "with `cache_mb`"
    heads = ["recipe", "one process, images a second", "ratio", cached, "2 workers, ratio", cached]
    rows = []
    for name, row in figures.items():
        if "ratio" in row:
            rates = f"{row['upstream_per_s']:.0f} to {row['ours_per_s']:.0f}"
            keys = ("ratio", "cached_ratio", "workers_ratio", "workers_cached_ratio")
            ratios = [text(row.get(key), ".2g") for key in keys]
            rows.append([READ_AS.get(name, name), rates, *ratios])
    return heads, rows


def recompute(figures):
    kept, recomputed = figures["kept"], figures["recomputed"]
    memory = f"{recomputed['peak_mb']:,.0f} MB ({recomputed['memory']:.2f})"
    rows = [["kept", f"{kept['peak_mb']:,.0f} MB", "1"]]
    rows.append(["`recompute: true`", memory, text(recomputed["time"], ".2f")])
    return ["", "memory", "time"], rows


def tta(figures):
    rows = []
    for name, row in figures.items():
        views, _, merge = name.partition(" ")
        views = views.replace(",", ", ") + (f", merged by `{merge}`" if merge == "wbf" else "")
        rows.append([views, text(row["ap"], ".1f"), text(row["times"], ".2g")])
    return ["views", "AP", "time"], rows


def ablation(figures):
    heads = ["", "AP, mean", "by seed", "parameters, 10^3", "MACs, 10^6", "time in ONNX Runtime"]
    rows = []
    for form, row in figures.items():
        seeds = ", ".join(f"{ap:.1f}" for ap in row["ap"])
        cost = [text(row.get("parameters"), ".0f", 1e-3), text(row.get("macs"), ".1f", 1e-6)]
        rows.append([form, text(row["ap_mean"], ".1f"), seeds, *cost, text(row.get("time"), ".3g")])
    return heads, rows


# PP-YOLOE's own tutorial, on COCO.
PUBLISHED_COMPONENTS = {"ATSS alone": 48.2, "+ TAL": 49.5, "+ DFL": 50.3, "+ ESE": 50.9, "+ RepVGG": 51.4}


def components(figures):
    rows = []
    for form, row in figures.items():
        seeds = ", ".join(f"{ap:.1f}" for ap in row["ap"])
        rows.append([form, text(row["ap_mean"], ".1f"), seeds, text(PUBLISHED_COMPONENTS.get(form), ".1f")])
    return ["", "AP, mean of two", "by seed", "the tutorials', COCO"], rows


def fusion(figures):
    heads = ["", "neck, forward and backward, Paddle (batch 2)", "whole network, deployed, ONNX Runtime"]
    rows = []
    for name, row in figures.items():
        if "training_ratio" in row:
            cells = []
            for phase in ("training", "deployed"):
                cell = f"{row[f'{phase}_ratio']:.3g}"
                if name == "fast":
                    cell += f" ({row[f'{phase}_ms']:.3g} ms)"
                cells.append(cell)
            rows.append([name, *cells])
    return heads, rows


def trainings(figures):
    rows = []
    for name, row in figures.items():
        cells = [text(row.get(key), ".1f") for key in ("ap", "ap50")]
        if row.get("ap") is None:  # of several runs, the lowest and the highest are known
            cells = [f"{row[f'{key}_lowest']:.1f} to {row[f'{key}_highest']:.1f}" for key in ("ap", "ap50")]
        rows.append([name, *cells])
    return ["", "AP", "AP50"], rows


def verify(figures):
    keys = (("raw_error", ".1e"), ("detections", "d"), ("unmatched", "d"), ("ap", ".2f"), ("ap_drop", "+.2f"))
    rows = []
    for name, row in figures.items():
        cells = ["-" if row.get(key) is None else format(row[key], form) for key, form in keys]
        rows.append([name, *cells, row.get("status") or "-"])
    return ["", "raw error", "detections", "no partner", "AP", "AP drop", ""], rows


def verified(figures):
    """The table of `ppdet-ext verify` on the demo's model, as the command prints it."""
    model = "demo, ReLU; "
    hops = [
        {"hop": name[len(model) :], **{key: value for key, value in row.items() if value is not None}}
        for name, row in figures.items()
        if name.startswith(model)
    ]
    about = {"model": "", "images": 0, "compared_images": 0, "ok": True}
    _, table, *_ = verify_table({**about, "hops": hops}).split("\n\n")  # above it the model, below notes
    return table.splitlines()


M, G = 1e-6, 1e-9
COUNTED = ("training, M", "training", ".2f", M), ("deployed, M", "deployed", ".2f", M)
P6 = [f"{size}6" for size in "nsml"]
D = [f"D{size}" for size in ("0", "1", "2", "3", "4", "5", "6", "7", "7x")]
# name: (benchmark, its figures -> heads and rows); without a benchmark, of all results.
TABLES = {
    "measured": (None, measured),
    "measured_zh": (None, measured_zh),
    "models_ppyoloe": ("models", sizes("PP-YOLOE ", "smlx", *COUNTED)),
    "models_yolov6": (
        "models",
        sizes("YOLOv6 ", [*"nsml", *P6], COUNTED[1], ("GMACs (640; P6 1280)", "macs", ".2f", G)),
    ),
    "models_efficientdet": ("models", sizes("EfficientDet ", D, COUNTED[0])),
    "exchanged": ("communication", exchanged),
    "exchange": ("communication", exchange),
    "reading": ("communication", reading),
    "train_step": ("train_step", train_step),
    "reader": ("reader", reader),
    "recompute": ("recompute", recompute),
    "tta": ("tta", tta),
    "tracking": ("tracking", quality),
    "tracking_speed": ("tracking", streams),
    "ablation_bifpn": ("ablation_bifpn", ablation),
    "ablation_components": ("ablation_components", components),
    "fusion": ("fusion", fusion),
    "trainings": ("trainings", trainings),
    "verify": ("verify_models", verify),
    "compatibility": ("compatibility", steps),
    "compatibility_reasons": ("compatibility", reasons),
    "int8_accuracy": ("int8_accuracy", accuracy),
    "int8_accuracy_families": ("int8_accuracy", families),
    "int8_speed": ("int8_speed", speed("with VNNI")),
    "int8_speed_avx2": ("int8_speed_avx2", speed("without VNNI")),
}
# The same for blocks of text: its figures -> lines.
BLOCKS = {"verify_demo": ("verify_models", verified)}


def markdown(heads, rows):
    """A table's lines."""
    lines = [f"| {' | '.join(cells)} |" for cells in (heads, *rows)]
    lines = [line.replace("|  |", "| |").replace("|  |", "| |") for line in lines]
    return [lines[0], f"|{'---|' * len(heads)}", *lines[1:]]


def entry_of(results, name):
    """The entry of a benchmark; one that never ran is not measured."""
    if name not in SUITE:
        raise ValueError(f"there is no benchmark '{name}'; there are {', '.join(SUITE)}")
    return results["benchmarks"].get(name) or {"status": "not measured", "reason": "it has not run"}


def lines_of(results, name):
    """The lines of a table of TABLES or BLOCKS; where its benchmark has no figures, one that says why.

    Raises:
        ValueError: no such table.
    """
    known = {**TABLES, **BLOCKS}
    if name not in known:
        raise ValueError(f"there is no table '{name}'; there are {', '.join(known)}")
    benchmark, make = known[name]
    if benchmark is None:
        return markdown(*make(results))
    entry = entry_of(results, benchmark)
    if not entry.get("figures"):
        return [f"*{entry['status'].capitalize()}: {entry.get('reason', 'no figures')}.*"]
    if name in BLOCKS:
        return ["```", *make(entry["figures"]), "```"]
    return markdown(*make(entry["figures"]))
