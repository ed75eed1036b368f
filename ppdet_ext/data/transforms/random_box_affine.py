"""A random affine map of one image."""

import numpy as np
from ppdet.data.transform.operators import BaseOperator

from .affine import AffineRanges, BoxFilter, move_boxes, warp_into
from .boxes import keep_boxes, refuse_shapes
from .offer import offered


@offered
class RandomBoxAffine(BaseOperator):
    """Turns, scales, shears and shifts an image and its boxes; the image keeps its size.

    Args:
        prob (float): of a change.
        degrees, translate, scale, shear (list[float]): each [least, most]; see AffineRanges.
        fill_value (int): grey level where no image lies.
        min_side, min_visible, max_aspect (float): of the boxes that stay; see BoxFilter.

    Raises:
        ValueError: settings that can't be; samples with polygons, masks or key points.
    """

    def __init__(
        self,
        prob=1.0,
        degrees=(-10, 10),
        translate=(-0.1, 0.1),
        scale=(0.5, 1.5),
        shear=(-2, 2),
        fill_value=114,
        min_side=2.0,
        min_visible=0.1,
        max_aspect=100.0,
    ):
        super().__init__()
        if not 0 <= prob <= 1:
            raise ValueError(f"RandomBoxAffine: prob {prob} is no probability")
        self.prob, self.fill_value = prob, fill_value
        self._affine = AffineRanges("RandomBoxAffine", degrees, translate, scale, shear)
        self._filter = BoxFilter("RandomBoxAffine", min_side, min_visible, max_aspect)

    def apply(self, sample, context=None):
        refuse_shapes("RandomBoxAffine", [sample])
        if np.random.uniform() >= self.prob:
            return sample
        image = sample["image"]
        size = image.shape[:2]
        matrix = self._affine.draw(size, size)
        sample["image"] = np.full_like(image, self.fill_value)
        warp_into(sample["image"], image, matrix)
        if "gt_bbox" in sample:
            sample["gt_bbox"], kept = self._filter(move_boxes(sample["gt_bbox"], matrix), size)
            keep_boxes(sample, kept)
        return sample
