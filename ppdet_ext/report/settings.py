"""The config's key `report`."""

from dataclasses import dataclass
from typing import Optional

OPTIONS = ("threshold",)


@dataclass
class ReportSettings:
    """How a report is made, and whether a training makes one.

    Args:
        wanted (bool): after a training with evaluation.
        threshold (float | None): score from which on detections count; None for the best F score.
    """

    wanted: bool = True
    threshold: Optional[float] = None

    @classmethod
    def of(cls, value, place="report"):
        """Reads what a config says.

        Args:
            value: true, false, a mapping {'threshold': 0.4}, or None for what stands without a word.
            place (str): where it stands, for messages.

        Raises:
            ValueError: anything else.
        """
        if value is None or isinstance(value, bool):
            return cls(wanted=value is not False)
        if not isinstance(value, dict):
            raise ValueError(f"{place} is {value!r}; give true, false or {{threshold: 0.4}}")
        unknown = [key for key in value if key not in OPTIONS]
        if unknown:
            raise ValueError(f"{place} has no option '{unknown[0]}'; there is {', '.join(OPTIONS)}")
        return cls(threshold=checked_threshold(value.get("threshold"), f"{place}.threshold"))


def checked_threshold(value, place):
    """A score from 0 to 1, or None for the best F score; ValueError for anything else."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise ValueError(f"{place} is {value!r}; give a score from 0 to 1")
    return float(value)
