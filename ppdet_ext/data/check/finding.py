"""One thing that a check of a dataset found."""

from typing import NamedTuple, Optional, Tuple

from .kinds import KINDS


class Finding(NamedTuple):
    """One thing that a check found.

    Args:
        kind (str): of :data:`ppdet_ext.data.check.kinds.KINDS`.
        file (str): the annotation file or the picture.
        record (str): what in it, such as 'annotation 812 (000017.jpg)'; '' for the whole file.
        message (str): goes on from there: 'has width -3'.
        image (str | None): path of the picture that shows it.
        box (tuple | None): x, y, width, height in pixels of that picture.
        twin (str | None): path of a picture that it is like.
        mend (str): where a better one is known than the kind's.
        at (tuple | None): list and row of the record, such as ('annotations', 811).
    """

    kind: str
    file: str
    record: str
    message: str
    image: Optional[str] = None
    box: Optional[Tuple[float, float, float, float]] = None
    twin: Optional[str] = None
    mend: str = ""
    at: Optional[Tuple[str, int]] = None

    @property
    def severity(self):
        """str: of :data:`ppdet_ext.data.check.kinds.SEVERITIES`."""
        return KINDS[self.kind].severity

    @property
    def place(self):
        """str: file and record."""
        return f"{self.file}: {self.record}" if self.record else self.file

    def __str__(self):
        joint = " " if self.record else ": "
        return f"{self.place}{joint}{self.message}; {self.mend or KINDS[self.kind].mend}"

    def as_dict(self):
        """dict: for JSON."""
        fields = {
            "kind": self.kind,
            "severity": self.severity,
            "file": self.file,
            "record": self.record,
            "message": self.message,
            "mend": self.mend or KINDS[self.kind].mend,
        }
        # JSON has no NaN; the message says it.
        return {**fields, "box": list(self.box)} if self.box else fields
