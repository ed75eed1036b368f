"""Overlaps of two boxes x1, y1, x2, y2, written box by box."""

import math


def giou_numpy(a, b):
    """Written box by box, from the definition."""
    overlap = max(min(a[2], b[2]) - max(a[0], b[0]), 0) * max(min(a[3], b[3]) - max(a[1], b[1]), 0)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - overlap
    hull = (max(a[2], b[2]) - min(a[0], b[0])) * (max(a[3], b[3]) - min(a[1], b[1]))
    return 1 - (overlap / union - (hull - union) / hull)


def siou_numpy(a, b, theta=4):
    """Written box by box, from the paper's formulas."""
    # Two sides each, width and height or x and y.
    sizes = [(box[2] - box[0], box[3] - box[1]) for box in (a, b)]
    dx, dy = (((a[i] + a[i + 2]) - (b[i] + b[i + 2])) / 2 for i in (0, 1))
    around = [max(a[i + 2], b[i + 2]) - min(a[i], b[i]) for i in (0, 1)]
    sine = abs(dy) / math.hypot(dx, dy) if dx or dy else 0.0
    angle = 1 - 2 * math.sin(math.asin(min(sine, 1.0)) - math.pi / 4) ** 2
    rho = [(offset / side) ** 2 if side else 0.0 for offset, side in zip((dx, dy), around)]
    distance = sum(1 - math.exp(-(2 - angle) * r) for r in rho)
    omega = [abs(m - n) / max(m, n) if m or n else 0.0 for m, n in zip(*sizes)]
    shape = sum((1 - math.exp(-w)) ** theta for w in omega)
    return 1 - iou_numpy(a, b) + (distance + shape) / 2


def iou_numpy(a, b):
    overlap = max(min(a[2], b[2]) - max(a[0], b[0]), 0) * max(min(a[3], b[3]) - max(a[1], b[1]), 0)
    return overlap / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - overlap)
