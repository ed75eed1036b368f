"""The tables of docs/int8.md, out of the figures of `int8_accuracy.py` and `int8_speed.py`."""

ENGINES = {
    "onnxruntime": "ONNX Runtime",
    "openvino": "OpenVINO",
    "paddle_inference": "Paddle Inference",
    "paddle_lite": "Paddle Lite x86",
}
# Names of the rows of a case, and how a table says them.
ROWS = {
    "after training": "after training",
    "--max-drop 0.5": "`--max-drop 0.5`",
    "in training (QAT)": "QAT",
}
CASES = {
    "demo, ReLU": "demo, ReLU",
    "demo, swish": "demo, swish",
    "blood cells, ReLU": "blood cells, ReLU",
    "blood cells, swish": "blood cells, swish",
}
FAMILIES = {
    "demo, YOLOv6": "YOLOv6, RepVGG",
    "demo, YOLOv6 with QARepVGG": "YOLOv6, QARepVGG",
    "demo, YOLOv6 with RepOptimizer": "YOLOv6, RepOptimizer",
    "demo, PP-YOLOE with BiFPN": "PP-YOLOE with BiFPN (ReLU)",
    "demo, EfficientDet": "EfficientDet",
}
NETWORKS = ("s, ReLU", "s, swish", "nano, ReLU", "nano, swish")


def accuracy(figures):
    """AP of PP-YOLOE in every engine."""
    return _accuracy(figures, CASES, float_layers=False)


def families(figures):
    """AP of the other families; bold misses its bar."""
    return _accuracy(figures, FAMILIES, float_layers=True)


def _accuracy(figures, cases, float_layers):
    heads = ["", "FP32", "", *ENGINES.values(), *(["float layers"] if float_layers else [])]
    rows = []
    for case, shown in cases.items():
        first = True
        for row, said in ROWS.items():
            found = figures.get(f"{case}; {row}")
            if not found:
                continue
            cells = [shown, f"{found['as_trained']:.2f}"] if first else ["", ""]
            cells += [said, *(_ap(found, engine) for engine in ENGINES)]
            kept = found.get("float_layers")
            rows.append([*cells, *(["-" if kept is None else str(kept)] if float_layers else [])])
            first = False
    return heads, rows


def _ap(found, engine):
    ap = found.get(engine)
    if ap is None:
        return "-"
    return f"**{ap:.2f}**" if engine in found["missed"] else f"{ap:.2f}"


def speed(title):
    """The table of INT8 beside FP32 in the same engine; the best engine of a network is bold."""

    def make(figures):
        engines = [engine for engine in ENGINES.values() if engine != ENGINES["paddle_lite"]]
        rows = []
        for network in NETWORKS:
            found = {engine: figures.get(f"{network}, {engine}, INT8") for engine in engines}
            if not all(row and row["ratio"] for row in found.values()):
                continue
            best = max(row["ratio"] for row in found.values())
            cells = []
            for engine, row in found.items():
                ratio = f"{row['ratio']:.2f}x"
                if row["ratio"] == best:
                    ratio = f"**{ratio}**"
                before = figures[f"{network}, {engine}, FP32"]["ms"]
                cell = f"{_ms(before)} -> {_ms(row['ms'])}, {ratio}"
                cells.append(cell + _nncf(figures.get(f"{network}, {engine}, INT8 by NNCF")))
            rows.append([network, *cells])
        return [title, *engines], rows

    return make


def _nncf(row):
    if row is None:
        return ""
    ratio = "" if row["ratio"] is None else f", {row['ratio']:.2f}x"
    return f" (NNCF: {_ms(row['ms'])}{ratio})"


def _ms(value):
    """Three digits."""
    return f"{value:.0f}" if value >= 100 else f"{value:#.3g}"
