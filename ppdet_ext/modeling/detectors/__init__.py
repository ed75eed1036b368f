"""Architectures: backbone, neck and head as one model for PaddleDetection's trainer."""

from .yolo_detector import YOLODetector

__all__ = ["YOLODetector"]
