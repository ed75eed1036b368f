"""Compound scaling: widths and depths of a model's sizes."""

import math


def scale_width(channels, width_mult):
    """Channel counts times ``width_mult``, rounded as PP-YOLOE's published sizes are."""
    return [max(round(c * width_mult), 1) for c in channels]


def scale_width_by_8(channels, width_mult):
    """Channel counts times ``width_mult``, rounded up to a multiple of 8, as YOLOv6's are."""
    return [math.ceil(c * width_mult / 8) * 8 for c in channels]


def scale_depth(blocks, depth_mult):
    """Block counts times ``depth_mult``, at least one."""
    return [max(round(n * depth_mult), 1) for n in blocks]
