"""What a check found, as text and as JSON."""

import json
from collections import Counter

from .kinds import KINDS, SEVERITIES

# By this a report is known.
REPORT = "ppdet-ext data check"


class Report:
    """The outcome of a check.

    Args:
        parts (list[Part]): the splits that were checked.
        between (list[Finding]): about two of them.
    """

    def __init__(self, parts, between=()):
        self.parts = parts
        found = [finding for part in parts for finding in part.findings] + list(between)
        self.findings = in_order(found)

    def count(self, severity):
        """int: findings of a severity."""
        return sum(finding.severity == severity for finding in self.findings)

    def as_dict(self):
        """dict: for JSON; ``findings`` has each with file, record, message and mend."""
        return {
            "report": REPORT,
            "datasets": [self._summary(part) for part in self.parts],
            "counts": {f"{severity}s": self.count(severity) for severity in SEVERITIES},
            "kinds": dict(Counter(finding.kind for finding in self.findings)),
            "findings": [finding.as_dict() for finding in self.findings],
        }

    @staticmethod
    def _summary(part):
        data = part.data
        return {
            "annotations": data.path,
            "images_folder": part.files.folder,
            "images": len(data.images),
            "boxes": int(data.readable.sum()),
            "pictures_read": sum(picture is not None for picture in part.pictures or []),
            "boxes_of_category": {
                str(record.get("name")): int((data.category_of[data.readable] == row).sum())
                for row, record in enumerate(data.categories)
            },
        }

    def lines(self, limit=5):
        """The report for a terminal.

        Args:
            limit (int): so many findings of a kind are shown; the rest is counted.

        Returns:
            list[str].
        """
        lines = []
        for part in self.parts:
            data = part.data
            lines.append(
                f"{data.path}: {len(data.images)} images, {int(data.readable.sum())} boxes, "
                f"{len(data.categories)} categories; pictures in {part.files.folder}"
                + ("" if part.pictures is not None else ", not read")
            )
        groups = {}
        for finding in self.findings:
            groups.setdefault(finding.kind, []).append(finding)
        for name, found in groups.items():
            kind = KINDS[name]
            lines += ["", f"{kind.severity:<8}{kind.title}: {len(found)}  [{name}]"]
            lines += [f"    {_short(finding, self.parts)}" for finding in found[:limit]]
            if len(found) > limit:
                lines.append(f"    ... and {len(found) - limit} more")
            if not all(finding.mend for finding in found):
                cleaned = f"; --write {kind.cleaned}" if kind.cleaned else ""
                lines.append(f"    -> {kind.mend}{cleaned}")
        counts = ", ".join(
            f"{self.count(severity)} {severity}{'s' * (self.count(severity) != 1)}" for severity in SEVERITIES
        )
        return [*lines, "", counts]


def is_report(path):
    """Whether a file is a report of a check, as JSON: one that a next report may replace."""
    begin = b"".join(json.dumps({"report": REPORT})[:-1].encode().split())
    try:
        with open(path, "rb") as file:  # indented or not
            return b"".join(file.read(2 * len(begin)).split()).startswith(begin)
    except OSError:
        return False


def in_order(findings):
    """Findings sorted by weight, then by kind, as they are listed."""
    kinds = list(KINDS)
    return sorted(findings, key=lambda f: (SEVERITIES.index(f.severity), kinds.index(f.kind)))


def _short(finding, parts):
    """A finding in a line; with one split, its annotation file goes without saying."""
    said = f"{finding.message}; {finding.mend}" if finding.mend else finding.message
    if not finding.record:
        return f"{finding.file}: {said}"
    if not any(finding.file == part.data.path for part in parts):  # a picture: its name stands in its path
        return f"{finding.file}: {finding.record.partition(' (')[0]} {said}"
    return f"{finding.record} {said}" if len(parts) == 1 else f"{finding.file}: {finding.record} {said}"
