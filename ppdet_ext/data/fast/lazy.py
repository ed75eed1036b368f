"""How an operator comes to write down what PaddleDetection's would do at once."""

import numpy as np

from .picture import Picture

# What a picture in waiting does not carry along; samples that have one go PaddleDetection's way.
BEYOND_BOXES = (
    "gt_poly",
    "gt_segm",
    "gt_keypoint",
    "gt_rbox",
    "kps2d",
    "keep_ori_im",
    "pre_image",
    "semantic",
)


def waits(sample):
    """Whether a sample's image may wait: it has nothing beyond boxes that would have to wait along."""
    return not any(field in sample for field in BEYOND_BOXES)


def picture_of(sample):
    """The sample's image as a Picture, or None where PaddleDetection's own operator has to do the work."""
    image = sample.get("image")
    if not waits(sample):
        return None
    if isinstance(image, np.ndarray) and image.ndim == 3 and image.shape[2] == 3:
        return Picture(image) if image.dtype in (np.uint8, np.float32) else None
    return image if isinstance(image, Picture) else None


def settle(samples):
    """Paints what waits in a sample, or in each of a list, for an operator that reads pixels. Returns it."""
    for sample in samples if isinstance(samples, list) else [samples]:
        if isinstance(sample.get("image"), Picture):
            sample["image"] = sample["image"].paint()
    return samples


class Lazy:
    """Put before an operator of PaddleDetection: `change` does what its `apply` would do, to a Picture."""

    def apply(self, sample, context=None):
        picture = picture_of(sample)
        if picture is None:
            return super().apply(settle(sample), context)
        return self.change(sample, picture)

    def change(self, sample, picture):
        """Makes the operator's random draws, moves the boxes and sets sample["image"]; returns the sample."""
        raise NotImplementedError
