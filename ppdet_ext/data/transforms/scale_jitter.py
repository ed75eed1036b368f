"""EfficientDet's jitter of scale."""

import cv2
import numpy as np
from ppdet.data.transform.operators import BaseOperator

from .boxes import keep_boxes
from .offer import offered


@offered
class RandomScaleJitter(BaseOperator):
    """Scales an image by one random factor, then crops or pads it to the size of the network's input.

    The factor is relative to the scale at which the image just fits into ``size``; the aspect ratio stays.
    What is larger than ``size`` is cropped at a random place, what is smaller is padded at the bottom and the
    right. After NormalizeImage, as EfficientDet has it, the padding of 0 is the mean colour.

    Args:
        size (list[int] | int): height and width of the result, pixels.
        scale_range (list[float]): smallest and largest factor; [1, 1] is plain resizing.
        interp (int): OpenCV's interpolation.
        fill_value (float | list[float]): of the padding, for each channel.

    Raises:
        ValueError: sizes or factors that are not positive, or a range that falls.

    Source: EfficientDet, arXiv:1911.09070, section 5.1 (jitter of 0.1 to 2.0).
    """

    def __init__(self, size=512, scale_range=(0.1, 2.0), interp=cv2.INTER_LINEAR, fill_value=0.0):
        super().__init__()
        self.size = [size, size] if isinstance(size, int) else list(size)
        self.scale_range = list(scale_range)
        self.interp = interp
        self.fill_value = fill_value
        if len(self.size) != 2 or min(self.size) < 1:
            raise ValueError(f"RandomScaleJitter: size {size} is no height and width in pixels")
        if len(self.scale_range) != 2 or not 0 < self.scale_range[0] <= self.scale_range[1]:
            raise ValueError(
                f"RandomScaleJitter: scale_range {list(scale_range)} is no range of positive factors; the "
                "published one is [0.1, 2.0]"
            )

    def apply(self, sample, context=None):
        image = sample["image"]
        height, width = self.size
        fitting = min(height / image.shape[0], width / image.shape[1])
        scale = fitting * np.random.uniform(*self.scale_range)
        rows, columns = (max(int(side * scale), 1) for side in image.shape[:2])
        top, left = (
            int(np.random.uniform(0, max(side - goal, 0)))
            for side, goal in ((rows, height), (columns, width))
        )
        ratios = np.array([columns / image.shape[1], rows / image.shape[0]], "float32")  # x, y
        image = cv2.resize(image, (columns, rows), interpolation=self.interp)
        image = image[top : top + height, left : left + width]
        canvas = np.empty([height, width, image.shape[2]], image.dtype)
        canvas[:] = self.fill_value
        canvas[: image.shape[0], : image.shape[1]] = image
        sample["image"] = canvas
        sample["im_shape"] = np.array(image.shape[:2], "float32")
        if "scale_factor" in sample:
            sample["scale_factor"] = np.asarray(sample["scale_factor"], "float32") * ratios[::-1]
        if len(sample.get("gt_bbox", ())):
            self._move_boxes(sample, ratios, (left, top))
        return sample

    def _move_boxes(self, sample, ratios, corner):
        """Boxes in the new image's pixels; those that lie outside leave with all that belongs to them."""
        height, width = self.size
        boxes = sample["gt_bbox"] * np.tile(ratios, 2) - np.array(corner * 2, "float32")
        boxes = boxes.clip(0, np.array([width, height] * 2, "float32")).astype("float32")
        sample["gt_bbox"] = boxes
        keep_boxes(sample, (boxes[:, 2:] - boxes[:, :2] > 0).all(1))
