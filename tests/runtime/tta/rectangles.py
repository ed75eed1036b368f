"""Pictures of bright rectangles, and a network that sees nothing else and measures them exactly."""

import numpy as np

from ppdet_ext.runtime import Detector, detector
from tests.runtime.fake import TO_NETWORK
from tests.runtime.tiny_model import write_folder

# One rectangle in the red plane, class 0, and one in the green one, class 1.
PLANES = 2
RATIO = {"type": "Resize", "target_size": [128, 192], "keep_ratio": False, "interp": 1}
KEPT = {**RATIO, "keep_ratio": True}
PAD = {"type": "Pad", "size": [128, 192], "fill_value": [114.0] * 3}
TO_STRIDE = {"type": "PadStride", "stride": 32}
# Padding is black or grey, which the network below takes for nothing.
READERS = {
    "resized": [RATIO, *TO_NETWORK],
    "ratio kept, padded": [KEPT, PAD, *TO_NETWORK],
    "ratio kept, padded to the stride": [KEPT, TO_STRIDE, *TO_NETWORK],
    "letterbox": [{"type": "LetterBoxResize", "target_size": [128, 192]}, *TO_NETWORK],
}


def picture(boxes, height=110, width=150, levels=(255, 255)):
    """[H, W, 3] uint8 RGB, black, with rectangles [2, 4] xyxy of whole pixels, at most one a plane."""
    image = np.zeros((height, width, 3), np.uint8)
    for plane, (box, level) in enumerate(zip(boxes, levels)):
        left, top, right, bottom = box
        image[top:bottom, left:right, plane] = level
    return image


class RectangleBackend:
    """Gives the two rectangles of an image, to fractions of a pixel, and their brightness as the score.

    Args:
        drift (float): boxes come out so many pixels too far right, and score less the further right they are:
            a network that is not alike on both sides.

    Attributes:
        shapes (list): of the batches it ran.
        fresh (int): how many runs were given no memory to write into.
    """

    def __init__(self, drift=0.0):
        self.drift = drift
        self.shapes, self.fresh = [], 0

    def run(self, images, out=None):
        self.shapes.append(images.shape)
        boxes = np.zeros((len(images), PLANES, 4), np.float32)
        scores = np.zeros((len(images), 2, PLANES), np.float32)
        for number, image in enumerate(images):
            for plane in range(PLANES):
                light = np.where(image[plane] > image[2] + 0.01, image[plane] - image[2], 0)
                if light.max() > 0:
                    boxes[number, plane] = _extent(light / light.max())
                    scores[number, plane, plane] = (
                        light.max() - abs(self.drift) * boxes[number, plane, 0] / 1000
                    )
        boxes[..., [0, 2]] += self.drift
        self.fresh += out is None
        if out is None:
            return boxes, scores
        for place, result in zip(out, (boxes, scores)):
            place[:] = result
        return out


def _extent(light):
    """xyxy of the one rectangle in [H, W] of 0..1: from its centre of mass and its mass."""
    box = []
    for profile in (light.max(0), light.max(1)):
        middle = (profile * (np.arange(len(profile)) + 0.5)).sum() / profile.sum()
        box.append((middle - profile.sum() / 2, middle + profile.sum() / 2))
    (left, right), (top, bottom) = box
    return left, top, right, bottom


def rectangle_detector(folder, monkeypatch, tta=None, drift=0.0, **changes):
    """A Detector with a RectangleBackend that takes any size; `changes` as of `write_folder`."""
    monkeypatch.setattr(detector, "create_backend", lambda *arguments: RectangleBackend(drift))
    changes = {
        "Preprocess": READERS["resized"],
        "use_dynamic_shape": True,
        "fpn_stride": [16, 8, 32],
        **changes,
    }
    return Detector(write_folder(folder / "rectangles", **changes), tta=tta)
