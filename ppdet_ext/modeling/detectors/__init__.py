"""Architectures: backbone, neck and head as one model for PaddleDetection's trainer."""

from .efficient_det import EfficientDet
from .yolo_detector import YOLODetector

__all__ = ["EfficientDet", "YOLODetector"]
