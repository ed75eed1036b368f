"""Mosaic and MixUp."""

import cv2
import numpy as np
from ppdet.data.transform.operators import BaseOperator

from ..file_decoder import FileDecoder
from .affine import AffineRanges, BoxFilter, move_boxes, shift, warp_into
from .boxes import PER_BOX, refuse_shapes
from .offer import offered

MOSAIC, MIXUP = 4, 1  # images that each takes; PaddleDetection's datasets hand over five


@offered
class MosaicMixUp(FileDecoder, BaseOperator):
    """Four images around a random point, moved by one random affine map; a fifth blended in.

    Stands first, before Decode: it reads the images that it takes and no others. The dataset hands it five at
    a time until the epoch that the reader's ``close_mosaic_epochs`` gives; an image that comes alone passes,
    to be decoded next. Each image is drawn once, from its file's pixels to the result's.

    Args:
        input_dim (list[int] | int): height and width of the result, pixels.
        prob (float): of a mosaic.
        degrees, translate, scale, shear (list[float]): of the affine map, each [least, most]; see
            AffineRanges. At scale 1 each image fits into ``input_dim``, and a quarter of the mosaic is seen.
        mixup_prob (float): that a mosaic gets a fifth image blended in.
        mixup_scale (list[float]): of the fifth image, around the scale at which it fits.
        mixup_alpha (float): the blend's weight is drawn from Beta(alpha, alpha): the larger, the closer to
            one half.
        affine_alone (bool): fit images that come alone into ``input_dim`` and move them likewise, as YOLOv6
            does.
        fill_value (int): grey level where no image lies.
        min_side, min_visible, max_aspect (float): of the boxes that stay; see BoxFilter.

    Raises:
        ValueError: settings that can't be; samples with polygons, masks or key points.

    Source: YOLOv4, arXiv:2004.10934, section 3.2; MixUp for detection, arXiv:1902.04103, section 3.1; with
    scales as YOLOX, arXiv:2107.08430, section 2.1.
    """

    def __init__(
        self,
        input_dim=640,
        prob=1.0,
        degrees=(-10, 10),
        translate=(-0.1, 0.1),
        scale=(0.5, 1.5),
        shear=(-2, 2),
        mixup_prob=0.0,
        mixup_scale=(0.5, 1.5),
        mixup_alpha=32.0,
        affine_alone=False,
        fill_value=114,
        min_side=2.0,
        min_visible=0.1,
        max_aspect=100.0,
    ):
        super().__init__()
        self.size = (input_dim, input_dim) if isinstance(input_dim, int) else tuple(input_dim)
        if len(self.size) != 2 or min(self.size) < 1:
            raise ValueError(f"MosaicMixUp: input_dim {input_dim} is no height and width in pixels")
        for name, value in (("prob", prob), ("mixup_prob", mixup_prob)):
            if not 0 <= value <= 1:
                raise ValueError(f"MosaicMixUp: {name} {value} is no probability")
        if len(mixup_scale) != 2 or not 0 < mixup_scale[0] <= mixup_scale[1] or mixup_alpha <= 0:
            raise ValueError(
                f"MosaicMixUp: mixup_scale {list(mixup_scale)} is to be a range of positive numbers, and "
                f"mixup_alpha {mixup_alpha} positive"
            )
        self.prob, self.mixup_prob = prob, mixup_prob
        self.mixup_scale, self.mixup_alpha = tuple(mixup_scale), mixup_alpha
        self.affine_alone, self.fill_value = affine_alone, fill_value
        self._affine = AffineRanges("MosaicMixUp", degrees, translate, scale, shear)
        self._filter = BoxFilter("MosaicMixUp", min_side, min_visible, max_aspect)

    def __call__(self, samples, context=None):
        if not isinstance(samples, list):
            return self._alone(samples)
        if len(samples) != MOSAIC + MIXUP:
            raise ValueError(
                f"MosaicMixUp: takes {MOSAIC + MIXUP} images, got {len(samples)}; set no mixup_epoch and no "
                "cutmix_epoch"
            )
        if np.random.uniform() >= self.prob:
            return self._alone(samples[0])
        refuse_shapes("MosaicMixUp", samples)
        mixed = np.random.uniform() < self.mixup_prob
        height, width = self.size
        point = np.random.uniform(0.5, 1.5, 2) * (width, height)
        whole = self._affine.draw((2 * height, 2 * width), self.size)
        canvas = self._canvas()
        parts = []
        for corner, sample in enumerate(samples[:MOSAIC]):
            image = self._pixels(sample)
            fit = self._fit(image)
            # The corner that lies on the point: bottom right of the first image, bottom left of the second...
            right, below = corner % 2 == 0, corner < 2
            x = point[0] - fit * image.shape[1] * right
            y = point[1] - fit * image.shape[0] * below
            matrix = whole @ shift(x, y) @ np.diag([fit, fit, 1.0])
            warp_into(canvas, image, matrix)
            parts.append((sample, move_boxes(sample["gt_bbox"], matrix)))
        if mixed:
            parts.append(self._mix(canvas, samples[MOSAIC]))
        return self._joined(canvas, parts)

    def _canvas(self):
        return np.full([*self.size, 3], self.fill_value, "uint8")

    def _fit(self, image):
        """The scale at which an image just fits."""
        return min(side / length for side, length in zip(self.size, image.shape))

    def _alone(self, sample):
        if not self.affine_alone:
            return sample
        refuse_shapes("MosaicMixUp", [sample])
        image = self._pixels(sample)
        fit = self._fit(image)
        frame = fit * image.shape[0], fit * image.shape[1]
        matrix = self._affine.draw(frame, self.size) @ np.diag([fit, fit, 1.0])
        canvas = self._canvas()
        warp_into(canvas, image, matrix)
        return self._joined(canvas, [(sample, move_boxes(sample["gt_bbox"], matrix))])

    def _mix(self, canvas, sample):
        """Blends an image in where it lies, mirrored half of the time; returns its sample and its boxes."""
        image = self._pixels(sample)
        factor = self._fit(image) * np.random.uniform(*self.mixup_scale)
        mirrored = np.random.uniform() < 0.5
        sides = factor * image.shape[1], factor * image.shape[0]
        spare = self.size[1] - sides[0], self.size[0] - sides[1]
        x, y = (np.random.uniform(min(room, 0), max(room, 0)) for room in spare)
        weight = np.random.beta(self.mixup_alpha, self.mixup_alpha)
        matrix = shift(x, y) @ np.diag([factor, factor, 1.0])
        if mirrored:
            matrix = matrix @ shift(image.shape[1], 0) @ np.diag([-1.0, 1.0, 1.0])
        over = canvas.copy()
        warp_into(over, image, matrix)
        cv2.addWeighted(canvas, weight, over, 1 - weight, 0, dst=canvas)
        return sample, move_boxes(sample["gt_bbox"], matrix)

    def _pixels(self, sample):
        """A sample's image, read if it has not been: [H, W, 3] uint8 RGB."""
        image = sample.get("image")
        return image if isinstance(image, np.ndarray) else self.decode(sample)

    def _joined(self, canvas, parts):
        """One sample of several and of their boxes on the canvas."""
        first = parts[0][0]
        joined = {field: value for field, value in first.items() if field not in ("im_file", "image")}
        clipped, kept = self._filter(np.concatenate([boxes for _, boxes in parts]), self.size)
        fields = ["gt_class", *(f for f in ("gt_score", *PER_BOX) if any(f in sample for sample, _ in parts))]
        for field in fields:
            filler = np.ones if field == "gt_score" else np.zeros
            values = [
                sample[field] if field in sample else filler([len(boxes), 1], "float32")
                for sample, boxes in parts
            ]
            like = next(sample[field].dtype for sample, _ in parts if field in sample)
            joined[field] = np.concatenate(values).astype(like)[kept]
        joined["gt_bbox"] = clipped[kept]
        joined["image"] = canvas
        joined["h"], joined["w"] = self.size
        joined["im_shape"] = np.array(self.size, "float32")
        joined["scale_factor"] = np.ones(2, "float32")
        return joined
