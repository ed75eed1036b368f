"""How far boxes overlap."""

import numpy as np

__all__ = ["box_iou"]


def box_iou(first, second):
    """IoU of every pair.

    Args:
        first (ndarray): [N, 4] xyxy.
        second (ndarray): [M, 4] xyxy.

    Returns:
        ndarray: [N, M] float64; 0 for boxes without area.
    """
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=2)
    areas = [np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0), axis=1) for boxes in (first, second)]
    union = areas[0][:, None] + areas[1][None] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
