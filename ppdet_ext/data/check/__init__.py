"""Checks of datasets: annotation files, their pictures, splits against each other and against a config."""

from .clean import clean_part
from .finding import Finding
from .kinds import KINDS
from .part import Part, check_part
from .report import Report, in_order
from .splits import check_categories, check_leaks

__all__ = [
    "KINDS",
    "Finding",
    "Part",
    "Report",
    "check_categories",
    "check_leaks",
    "check_part",
    "clean_part",
    "in_order",
]
