"""Tables of docs/tracking.md."""

DETECTIONS = {
    "the truth": "the truth, on the tests' scene",
    "bad ones": "there: off by 1.2 pixels, 8 % missed, 25 % weak, 15 % misnamed, 0.4 false ones a frame",
    "of the demo's detector": "of the demo's detector, on videos of digits",
}


def quality(figures):
    """MOTA and IDF1 with detections of each kind."""
    rows = []
    for name, said in DETECTIONS.items():
        if name in figures:
            row = figures[name]
            shares = [_span(row[key], ".3f") for key in ("mota", "idf1")]
            counts = [_span(row[key], "d") for key in ("switches", "misses", "false_alarms")]
            rows.append([said, *shares, *counts])
    return ["detections", "MOTA", "IDF1", "switches", "misses", "false alarms"], rows


def streams(figures):
    """Frames a second of several videos together."""
    rows = [
        [name, f"{row['per_s']:,.0f}", f"{row['ratio']:.2f}"]
        for name, row in figures.items()
        if "per_s" in row
    ]
    return ["at once", "frames a second, of all together", "of detection alone"], rows


def _span(values, form):
    """The least and the greatest, once where they are equal."""
    return " to ".join(dict.fromkeys(format(value, form) for value in (min(values), max(values))))
