"""Preprocessing as `infer_cfg.yml` describes it, bit for bit as in PaddleDetection's evaluation.

Every operator takes and gives a `NetworkImage`. Pixels stay uint8 as long as no operator needs fractions, so
that normalisation is one look-up per pixel; the arithmetic behind the table is PaddleDetection's own.
"""

from typing import NamedTuple

import cv2
import numpy as np


class NetworkImage(NamedTuple):
    """An image on its way into the network.

    Args:
        pixels: [H, W, 3] uint8 or float32 RGB between operators, [3, H, W] float32 at the end.
        im_shape: [2] float32, height and width of the picture inside, without padding, network pixels.
        scale_factor: [2] float32, (y, x), network pixels per input pixel.
        offset: [2] float32, (y, x), where the picture begins, network pixels.
    """

    pixels: np.ndarray
    im_shape: np.ndarray
    scale_factor: np.ndarray
    offset: np.ndarray


class Resize:
    """PaddleDetection's `Resize`: to `target_size` [height, width], or within it when `keep_ratio`."""

    def __init__(self, target_size, keep_ratio=True, interp=cv2.INTER_LINEAR):
        self.target_size = _size(target_size)
        self.keep_ratio = keep_ratio
        self.interp = interp

    def __call__(self, image):
        height, width = image.pixels.shape[:2]
        if self.keep_ratio:
            scale_y = scale_x = min(
                min(self.target_size) / min(height, width), max(self.target_size) / max(height, width)
            )
            im_shape = (scale_y * height, scale_x * width)
        else:
            im_shape = self.target_size
            scale_y, scale_x = self.target_size[0] / height, self.target_size[1] / width
        pixels = cv2.resize(image.pixels, None, None, fx=scale_x, fy=scale_y, interpolation=self.interp)
        scale_factor = np.asarray(
            [image.scale_factor[0] * scale_y, image.scale_factor[1] * scale_x], np.float32
        )
        return NetworkImage(pixels, np.asarray(im_shape, np.float32), scale_factor, image.offset)


class LetterBoxResize:
    """PaddleDetection's `LetterBoxResize`: keep the ratio, centre in `target_size`, pad with grey."""

    def __init__(self, target_size):
        self.target_size = _size(target_size)

    def __call__(self, image):
        height, width = image.pixels.shape[:2]
        ratio = min(self.target_size[0] / height, self.target_size[1] / width)
        inner = round(height * ratio), round(width * ratio)
        pad_y, pad_x = (self.target_size[0] - inner[0]) / 2, (self.target_size[1] - inner[1]) / 2
        top, left = round(pad_y - 0.1), round(pad_x - 0.1)
        pixels = cv2.resize(image.pixels, inner[::-1], interpolation=cv2.INTER_AREA)
        pixels = cv2.copyMakeBorder(
            pixels,
            top,
            round(pad_y + 0.1),
            left,
            round(pad_x + 0.1),
            cv2.BORDER_CONSTANT,
            value=(127.5, 127.5, 127.5),
        )
        return NetworkImage(
            pixels,
            np.asarray(inner, np.float32),
            np.asarray([ratio, ratio], np.float32),
            np.asarray([top, left], np.float32),
        )


class NormalizeImage:
    """PaddleDetection's `NormalizeImage`: x / 255 if `is_scale`, (x - mean) / std if 'mean_std'."""

    def __init__(
        self, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), is_scale=True, norm_type="mean_std"
    ):
        if norm_type not in ("mean_std", "none"):
            raise ValueError(f"norm_type is {norm_type!r}; give 'mean_std' or 'none'")
        if len(mean) != 3 or len(std) != 3 or 0 in list(std):
            raise ValueError("mean and std need three numbers each, std none of them 0")
        self.mean = np.array(mean)  # float64, as in PaddleDetection: the differences are rounded once
        self.std = np.array(std)
        self.is_scale = is_scale
        self.norm_type = norm_type
        levels = np.repeat(np.arange(256, dtype=np.float32)[:, None], 3, 1)
        self.table = self._normalise(levels)[None]

    def __call__(self, image):
        if image.pixels.dtype == np.uint8:
            return image._replace(pixels=cv2.LUT(image.pixels, self.table))
        return image._replace(pixels=self._normalise(image.pixels.astype(np.float32)))

    def _normalise(self, values):
        """Normalise [..., 3] float32 in place."""
        if self.is_scale:
            values *= 1.0 / 255.0
        if self.norm_type == "mean_std":
            values -= self.mean
            values /= self.std
        return values


class Pad:
    """PaddleDetection's `Pad` to `size` [height, width], at the right and at the bottom."""

    def __init__(self, size, fill_value=(127.5, 127.5, 127.5), pad_mode=0, size_divisor=32, offsets=None):
        if pad_mode != 0:
            raise ValueError(f"pad_mode is {pad_mode}; only 0, right and bottom, is known")
        self.size = _size(size)
        self.fill_value = np.asarray(fill_value, np.float32)

    def __call__(self, image):
        height, width = image.pixels.shape[:2]
        if height > self.size[0] or width > self.size[1]:
            raise ValueError(
                f"the resized image ({width}x{height}) is larger than the padded one "
                f"({self.size[1]}x{self.size[0]}); correct target_size or size"
            )
        if (height, width) == self.size:
            return image
        pixels = np.ones((*self.size, 3), np.float32) * self.fill_value
        pixels[:height, :width] = image.pixels
        return image._replace(pixels=pixels)


class PadStride:
    """Pad with zeros, right and bottom, to a multiple of `stride`, as `PadBatch` does with one image."""

    def __init__(self, stride=0):
        self.stride = stride

    def __call__(self, image):
        if self.stride <= 0:
            return image
        bottom, right = (-side % self.stride for side in image.pixels.shape[:2])
        return image._replace(pixels=np.pad(image.pixels, ((0, bottom), (0, right), (0, 0))))


class Permute:
    """HWC to CHW. Stands for itself in the list; `Preprocess` carries it out after all others."""

    def __call__(self, image):
        return image


OPERATORS = {cls.__name__: cls for cls in (Resize, LetterBoxResize, NormalizeImage, Pad, PadStride, Permute)}


class Preprocess:
    """The list of operators of an `infer_cfg.yml`.

    Args:
        entries (list): dicts with 'type' and the operator's arguments.
        source (str): the file they come from, for errors.

    Raises:
        ValueError: an operator or one of its arguments is not known, or `Permute` is missing.
    """

    def __init__(self, entries, source="infer_cfg.yml"):
        self.source = source
        self.operators = [self._build(entry) for entry in entries]
        if not any(isinstance(operator, Permute) for operator in self.operators):
            raise ValueError(f"{source}: Preprocess has no Permute; the network takes [3, height, width]")

    def _build(self, entry):
        if not isinstance(entry, dict) or entry.get("type") not in OPERATORS:
            found = entry.get("type") if isinstance(entry, dict) else entry
            raise ValueError(
                f"{self.source}: Preprocess operator {found!r} is not known; known are {', '.join(OPERATORS)}"
            )
        arguments = {key: value for key, value in entry.items() if key != "type"}
        try:
            return OPERATORS[entry["type"]](**arguments)
        except (TypeError, ValueError) as error:
            reason = str(error).replace(f"{entry['type']}.__init__() ", "")
            raise ValueError(f"{self.source}: Preprocess operator {entry['type']}: {reason}") from None

    def __call__(self, image):
        """Prepare one image: [H, W, 3] uint8 RGB -> NetworkImage with pixels [3, H', W'] float32.

        Raises:
            ValueError: the image is too slim to be resized, or does not fit.
        """
        height, width = image.shape[:2]
        prepared = NetworkImage(
            image, np.array([height, width], np.float32), np.ones(2, np.float32), np.zeros(2, np.float32)
        )
        try:
            for operator in self.operators:
                prepared = operator(prepared)
        except cv2.error:
            raise ValueError(
                f"{self.source}: an image of {width}x{height} px loses a side when resized; "
                f"crop it to a less extreme shape"
            ) from None
        pixels = prepared.pixels.astype(np.float32, copy=False)
        return prepared._replace(pixels=np.ascontiguousarray(pixels.transpose(2, 0, 1)))


def stack(images):
    """Pixels of NetworkImages as one batch [B, 3, H, W] float32.

    Smaller ones are padded with zeros at the right and at the bottom, as PaddleDetection's `PadBatch` does.
    """
    height, width = np.max([image.pixels.shape[1:] for image in images], 0)
    batch = np.zeros((len(images), 3, height, width), np.float32)
    for row, image in zip(batch, images):
        row[:, : image.pixels.shape[1], : image.pixels.shape[2]] = image.pixels
    return batch


def _size(value):
    """A size as (height, width), from a number or a pair."""
    pair = (value, value) if isinstance(value, int) else tuple(value)
    if len(pair) != 2 or not all(isinstance(side, int) and side > 0 for side in pair):
        raise ValueError(f"size is {value!r}; give [height, width] in pixels")
    return pair
