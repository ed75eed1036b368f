"""Which views of an image the network sees, and how what it finds in them is merged."""

import math
from dataclasses import dataclass
from typing import NamedTuple, Tuple

from ppdet_ext.nearest import choice

NMS, WBF = MERGES = ("nms", "wbf")
# Beyond these a scale is a slip of the pen, or a share in percent.
LEAST_SCALE, MOST_SCALE = 0.25, 4.0


class View(NamedTuple):
    """One way in which the network sees an image.

    Args:
        scale (float): of the network's input size, 1 for that of the plain image.
        flip (bool): left and right are swapped.
    """

    scale: float
    flip: bool


@dataclass(frozen=True)
class TTA:
    """Settings of test-time augmentation.

    Args:
        scales (list[float]): of the network's input size, each side rounded to a multiple of the coarsest
            stride. The plain size, 1, takes part in any case.
        flip (bool): every size is seen as in a mirror, too.
        merge (str): 'nms': the boxes of all views enter the model's NMS together. 'wbf': each view has an NMS
            of its own, and weighted box fusion makes one box of those that lie on each other.
        iou_threshold (float): of 'wbf': boxes that overlap more than this become one. The paper's 0.55.

    Raises:
        ValueError: a value that is not of its kind.
    """

    scales: Tuple[float, ...] = ()
    flip: bool = False
    merge: str = NMS
    iou_threshold: float = 0.55

    def __post_init__(self):
        if not isinstance(self.scales, (list, tuple)) or not all(map(_is_number, self.scales)):
            raise ValueError(f"scales is {self.scales!r}; give a list of numbers such as [0.75, 1.25]")
        for scale in self.scales:
            if not LEAST_SCALE <= scale <= MOST_SCALE:
                raise ValueError(f"scale {scale:g} is out of range; give {LEAST_SCALE:g} to {MOST_SCALE:g}")
        if not isinstance(self.flip, bool):
            raise ValueError(f"flip is {self.flip!r}; give true or false")
        if self.merge not in MERGES:
            raise ValueError(f"merge '{self.merge}' is not known; {choice(self.merge, MERGES)}")
        if not _is_number(self.iou_threshold) or not 0 < self.iou_threshold < 1:
            raise ValueError(f"iou_threshold is {self.iou_threshold!r}; give a number between 0 and 1")
        object.__setattr__(self, "scales", tuple(dict.fromkeys([1.0, *map(float, self.scales)])))

    @classmethod
    def of(cls, value, place="test_time_augmentation"):
        """Settings as users give them.

        Args:
            value: a TTA; a dict of the arguments, as in a config; views as a text, 'flip,0.75,1.25'; or None.
            place (str): where the value stands, for errors.

        Returns:
            TTA | None: None for None.

        Raises:
            ValueError: a key or a word that is not known (answered with the nearest), or a bad value.
        """
        if value is None or isinstance(value, cls):
            return value
        try:
            return cls(**(_of_text(value) if isinstance(value, str) else _of_table(value)))
        except ValueError as error:
            raise ValueError(f"{place}: {error}") from None

    @property
    def views(self):
        """The views (list[View]), the plain image first."""
        return [View(scale, flip) for scale in self.scales for flip in (False, True)[: 1 + self.flip]]

    def __str__(self):
        """As a command line has it: 'flip,0.75,1.25'."""
        return ",".join(["flip"] * self.flip + [f"{scale:g}" for scale in self.scales if scale != 1])


def _of_text(text):
    words = [word.strip() for word in text.split(",")]
    flips = words.count("flip")
    try:
        scales = [float(word) for word in words if word != "flip"]
    except ValueError:
        raise ValueError(f"'{text}' names no views; write flip, scales or both: flip,0.75,1.25") from None
    return {"scales": scales, "flip": flips > 0}


def _of_table(table):
    known = list(TTA.__dataclass_fields__)
    if not isinstance(table, dict):
        raise ValueError(f"is {table!r}; give a table: {{scales: [0.75, 1.25], flip: true}}")
    for key in table:
        if key not in known:
            raise ValueError(f"has no option '{key}'; {choice(key, known)}")
    return table


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
