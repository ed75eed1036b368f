"""A verification as text."""

from .text_table import align

HEADS = [
    ["", "", "", "raw", "detec-", "no", "AP", "AP"],
    ["hop", "file", "precision", "error", "tions", "partner", "", "drop"],
]


def verify_table(report):
    """The report of `verify` as a table, with a line for each hop that failed or was not measured.

    Args:
        report (dict): as `verify` gives it, or read from its JSON.

    Returns:
        str: lines without a newline at the end.
    """
    lines = [
        f"{report['model']}: {report['images']} images, raw outputs of {report['compared_images']} compared",
        "",
    ]
    body, notes = [], []
    for row in report["hops"]:
        if "raw_error" in row or "ap" in row:
            body.append([row["hop"], *_cells(row), row["status"]])
        else:
            body.append([row["hop"], row["status"]])
        if "reason" in row:
            notes.append(f"{row['hop']}: {row['status']}: {row['reason']}")
    lines += align([[*head, end] for head, end in zip(HEADS, ("", "status"))], body)
    failed = sum(row["status"] == "FAIL" for row in report["hops"])
    verdict = "no hop failed" if report["ok"] else f"{failed} of {len(report['hops'])} hops FAILED"
    return "\n".join([*lines, "", *notes, verdict])


def _cells(row):
    def text(key, form):
        value = row.get(key)
        return "-" if value is None else format(value, form)

    return [
        row.get("file", "-"),
        row.get("precision", "-"),
        text("raw_error", ".1e"),
        text("detections", "d"),
        text("unmatched", "d"),
        text("ap", ".2f"),
        text("ap_drop", "+.2f"),
    ]
