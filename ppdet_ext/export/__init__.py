"""From a trained model to one exported folder, and in it one file for each target."""

from .exporter import TARGETS, export_model

__all__ = ["TARGETS", "export_model"]
