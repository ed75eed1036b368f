"""Distortion of colours: a matrix and tables in place of passes over the pixels."""

import random

import cv2
import numpy as np
from ppdet.data.transform import operators

from .lazy import Lazy
from .picture import Picture

GREY = np.array([0.299, 0.587, 0.114])
# PaddleDetection's two matrices of YIQ; they are not quite each other's inverse.
TO_YIQ = np.array([GREY, [0.596, -0.274, -0.321], [0.211, -0.523, 0.311]])
FROM_YIQ = np.array([[1.0, 0.956, 0.621], [1.0, -0.272, -0.647], [1.0, -1.107, 1.705]])


def brightness(by):
    """Colour matrix [3, 4] that adds ``by`` grey levels."""
    return np.concatenate([np.eye(3), np.full([3, 1], by)], 1)


def contrast(by):
    """Colour matrix [3, 4] that multiplies by ``by``."""
    return np.eye(3, 4) * by


def saturation(by):
    """Colour matrix [3, 4] from grey (0) over the picture as it is (1) to more colour."""
    matrix = np.eye(3, 4) * by
    matrix[:, :3] += (1.0 - by) * GREY
    return matrix


def hue(by):
    """Colour matrix [3, 4] that turns the colours around grey by ``by`` half circles."""
    cos, sin = np.cos(by * np.pi), np.sin(by * np.pi)
    turn = np.array([[1.0, 0.0, 0.0], [0.0, cos, -sin], [0.0, sin, cos]])
    return np.concatenate([FROM_YIQ @ turn @ TO_YIQ, np.zeros([3, 1])], 1)


class RandomDistort(Lazy, operators.RandomDistort):
    """PaddleDetection's RandomDistort, whose steps are all affine in the colours: one matrix does them."""

    def change(self, sample, picture):
        for (low, high, kept), matrix in self._steps():
            if np.random.uniform(0.0, 1.0) >= kept:
                picture = picture.distort(matrix(np.random.uniform(low, high)))
        if not self.random_apply and self.random_channel and np.random.randint(0, 2):
            channels = np.random.permutation(3)
            if picture.exact:
                picture = picture.distort(np.eye(3, 4)[channels])
            else:  # stays in whole grey levels
                picture = Picture(np.ascontiguousarray(picture.paint()[..., channels]))
        sample["image"] = picture
        return sample

    def _steps(self):
        """The settings and the matrices of the steps in their random order, drawn as they are asked for."""
        steps = [(self.brightness, brightness), (self.contrast, contrast)]
        steps += [(self.saturation, saturation), (self.hue, hue)]
        if self.random_apply:
            for i in np.random.permutation(4)[: self.count]:
                yield steps[i]
            return
        yield steps[0]
        order = (1, 2, 3) if np.random.randint(0, 2) else (2, 3, 1)
        for i in order:
            yield steps[i]


class AugmentHSV(Lazy, operators.AugmentHSV):
    """PaddleDetection's AugmentHSV through one table of 256 entries a channel: the same bytes."""

    def change(self, sample, picture):
        pixels = picture.paint()
        sample["image"] = pixels
        if pixels.dtype != np.uint8:  # OpenCV's HSV of floats is another scale
            return super(Lazy, self).apply(sample)
        to_hsv, back = (
            (cv2.COLOR_BGR2HSV, cv2.COLOR_HSV2BGR) if self.is_bgr else (cv2.COLOR_RGB2HSV, cv2.COLOR_HSV2RGB)
        )
        pixels = cv2.cvtColor(cv2.LUT(cv2.cvtColor(pixels, to_hsv), self._table()), back)
        sample["image"] = Picture(pixels, exact=True)
        return sample

    def _table(self):
        """[1, 256, 3] uint8: what each hue, saturation and value becomes."""
        levels = np.arange(256, dtype="uint8")
        table = np.stack([levels] * 3, 1)
        if self.use_hsvgain:
            gains = np.random.uniform(-1, 1, 3) * [self.hgain, self.sgain, self.vgain]
            gains *= np.random.randint(0, 2, 3)
            table[:, 0] = (levels + gains[0]) % 180
            for channel in (1, 2):
                table[:, channel] = np.clip(levels + gains[channel], 0, 255)
        else:
            for channel in (1, 2):
                factor = (random.random() * 2 - 1) * self.fraction + 1
                table[:, channel] = np.clip(levels.astype("float32") * np.float32(factor), 0, 255)
        return table[None]
