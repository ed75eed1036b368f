"""Turning by quarters."""

import numpy as np
from ppdet.data.transform.operators import BaseOperator

from .boxes import refuse_shapes
from .offer import offered


@offered
class RandomQuarterTurn(BaseOperator):
    """Turns an image by 0, 90, 180 or 270 degrees, for pictures from straight above, without an upper side.

    With RandomFlip all eight positions occur. Boxes turn along; polygons and key points are refused.

    Args:
        prob (float): of a turn by 90, 180 or 270 degrees, each as likely.
    """

    def __init__(self, prob=0.75):
        super().__init__()
        self.prob = prob
        if not 0 <= prob <= 1:
            raise ValueError(f"RandomQuarterTurn: prob {prob} is no probability")

    def apply(self, sample, context=None):
        refuse_shapes("RandomQuarterTurn", [sample])
        if np.random.uniform() >= self.prob:
            return sample
        turns = np.random.randint(1, 4)
        height, width = sample["image"].shape[:2]
        sample["image"] = np.ascontiguousarray(np.rot90(sample["image"], turns))  # counterclockwise
        boxes = sample.get("gt_bbox", np.zeros([0, 4], "float32"))
        for _ in range(turns):
            x1, y1, x2, y2 = boxes.T
            boxes = np.stack([y1, width - x2, y2, width - x1], 1)
            width, height = height, width
        if "gt_bbox" in sample:
            sample["gt_bbox"] = boxes.astype("float32")
        sample["im_shape"] = np.array(sample["image"].shape[:2], "float32")
        sample["h"], sample["w"] = sample["im_shape"]
        return sample
