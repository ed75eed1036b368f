"""What moves pixels and boxes before the batch is put together."""

import math

import numpy as np
from ppdet.data.transform import operators

from .lazy import Lazy, settle

# Between an overlap in float32, as PaddleDetection compares it, and its bound in whole pixels.
MARGIN = 1e-3


class RandomExpand(Lazy, operators.RandomExpand):
    """PaddleDetection's RandomExpand; of the canvas, only what is left after a crop is ever painted."""

    def change(self, sample, picture):
        sample["image"] = picture
        if np.random.uniform(0.0, 1.0) < self.prob:
            return sample
        height, width = picture.shape[:2]
        ratio = np.random.uniform(1.0, self.ratio)
        size = int(height * ratio), int(width * ratio)
        if size[0] <= height or size[1] <= width:
            return sample
        top = np.random.randint(0, size[0] - height)
        left = np.random.randint(0, size[1] - width)
        sample["image"] = picture.expand(left, top, size, self.fill_value)
        if len(sample.get("gt_bbox", ())):
            sample["gt_bbox"] = sample["gt_bbox"] + np.array([left, top] * 2, "float32")
        return sample


class RandomCrop(Lazy, operators.RandomCrop):
    """PaddleDetection's RandomCrop, with less work an attempt."""

    def change(self, sample, picture):
        if "gt_bbox" not in sample:  # of semi-supervised training
            return super(Lazy, self).apply(settle(sample))
        sample["image"] = picture
        if not len(sample["gt_bbox"]):
            return sample
        found = self._find(sample["gt_bbox"], *picture.shape[:2])
        if found is None:
            return sample
        crop, kept, boxes = found
        sample["image"] = picture.crop(*crop)
        for field in ("gt_class", "gt_score", "is_crowd", "difficult"):
            if field in sample:
                sample[field] = sample[field][kept]
        sample["gt_bbox"] = boxes[kept]
        return sample

    def _find(self, boxes, height, width):
        """A crop xyxy that one of the thresholds allows, the boxes that stay and all boxes in it, or None."""
        thresholds = list(self.thresholds) + ["no_crop"] * self.allow_no_crop
        np.random.shuffle(thresholds)
        corners, ends = boxes[:, :2], boxes[:, 2:]
        centres, areas = (corners + ends) / 2, np.prod(ends - corners, axis=1)
        largest = float(areas.max())
        for threshold in thresholds:
            if threshold == "no_crop":
                return None
            for _ in range(self.num_attempts):
                crop = self._draw(height, width)
                if crop is None:
                    continue
                # No box covers more of the crop than its area, so that most attempts end here.
                if largest < (threshold - MARGIN) * (crop[2] - crop[0]) * (crop[3] - crop[1]):
                    continue
                box = np.array(crop, "float32")
                inside = (centres >= box[:2]).all(1) & (centres < box[2:]).all(1)
                if not inside.any():
                    continue
                top_left, bottom_right = np.maximum(corners, box[:2]), np.minimum(ends, box[2:])
                common = np.prod(bottom_right - top_left, axis=1) * (top_left < bottom_right).all(1)
                iou = common / (areas + np.prod(box[2:] - box[:2]) - common + np.float32(1e-10))
                if iou.max() < threshold or (self.cover_all_box and iou.min() < threshold):
                    continue
                moved = np.concatenate([top_left, bottom_right], 1) - np.tile(box[:2], 2)
                kept = inside & (moved[:, :2] < moved[:, 2:]).all(1)
                if kept.any():
                    return crop, kept, moved
        return None

    def _draw(self, height, width):
        """One attempt's crop xyxy; None if its sides are too unlike."""
        scale = np.random.uniform(*self.scaling)
        if self.aspect_ratio is not None:
            low, high = self.aspect_ratio
            root = math.sqrt(np.random.uniform(max(low, scale**2), min(high, scale**-2)))
            rows, columns = height * (scale / root), width * (scale * root)
        else:
            rows = height * np.random.uniform(*self.scaling)
            columns = width * np.random.uniform(*self.scaling)
            if rows / columns < 0.5 or rows / columns > 2.0:
                return None
        rows, columns = int(rows), int(columns)
        top = np.random.randint(0, max(height - rows, 1))
        left = np.random.randint(0, max(width - columns, 1))
        return left, top, left + columns, top + rows


class RandomFlip(Lazy, operators.RandomFlip):
    """PaddleDetection's RandomFlip."""

    def change(self, sample, picture):
        sample["image"] = picture
        if np.random.uniform(0, 1) < self.prob:
            if len(sample.get("gt_bbox", ())):
                sample["gt_bbox"] = self.apply_bbox(sample["gt_bbox"], picture.shape[1])
            sample["flipped"] = True
            sample["image"] = picture.flip()
        return sample
