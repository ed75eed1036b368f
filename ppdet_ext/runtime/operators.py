"""The operators that `Preprocess` of an `infer_cfg.yml` can name, bit for bit as in PaddleDetection's
evaluation.

Every operator takes and gives a `NetworkImage`, and says with `output_size` what it makes of a size, so that
the network's input can be allocated before the first image is read. Pixels stay uint8 as long as no operator
needs fractions: then normalisation is one look-up per pixel. The arithmetic behind the table is
PaddleDetection's own.
"""

from typing import NamedTuple

import cv2
import numpy as np

LEVELS = 256  # of a uint8 pixel


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

    def output_size(self, size):
        """(height, width) of what comes out for `size`, where None stands for any; None if it depends."""
        return None if self.keep_ratio else self.target_size

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

    def output_size(self, size):
        """Always `target_size`."""
        return self.target_size

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
        levels = np.repeat(np.arange(LEVELS, dtype=np.float32)[:, None], 3, 1)
        self.table = self._normalise(levels)[None]

    def output_size(self, size):
        """The size itself."""
        return size

    def planes(self):
        """Values of the 256 levels in each plane, [3, 1, 256] float32; None where they stay as they are."""
        planes = np.ascontiguousarray(self.table.transpose(2, 0, 1))
        return None if (planes == np.arange(LEVELS)).all() else planes

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
        # The usual 114 leaves pixels uint8; 127.5 cannot.
        self.fits_uint8 = bool((self.fill_value == self.fill_value.astype(np.uint8)).all())

    def output_size(self, size):
        """Always `size` of the operator."""
        return self.size

    def __call__(self, image):
        height, width = image.pixels.shape[:2]
        if height > self.size[0] or width > self.size[1]:
            raise ValueError(
                f"the resized image ({width}x{height}) is larger than the padded one "
                f"({self.size[1]}x{self.size[0]}); correct target_size or size"
            )
        if (height, width) == self.size:
            return image
        pixels = image.pixels if self.fits_uint8 else image.pixels.astype(np.float32)
        right, bottom = self.size[1] - width, self.size[0] - height
        fill = np.broadcast_to(self.fill_value, 3).tolist()
        pixels = cv2.copyMakeBorder(pixels, 0, bottom, 0, right, cv2.BORDER_CONSTANT, value=fill)
        return image._replace(pixels=pixels)


class PadStride:
    """Pad with zeros, right and bottom, to a multiple of `stride`, as `PadBatch` does with one image."""

    def __init__(self, stride=0):
        self.stride = stride

    def output_size(self, size):
        """The size, each side rounded up."""
        return size and tuple(side + self._missing(side) for side in size)

    def __call__(self, image):
        bottom, right = map(self._missing, image.pixels.shape[:2])
        if not bottom and not right:
            return image
        return image._replace(pixels=np.pad(image.pixels, ((0, bottom), (0, right), (0, 0))))

    def _missing(self, side):
        return -side % self.stride if self.stride > 0 else 0


class Permute:
    """HWC to CHW. Stands for itself in the list; `Preprocess` carries it out after all others."""

    def output_size(self, size):
        """The size itself."""
        return size

    def __call__(self, image):
        return image


OPERATORS = {cls.__name__: cls for cls in (Resize, LetterBoxResize, NormalizeImage, Pad, PadStride, Permute)}
# Those that say a size, and by which argument.
SIZE_KEYS = {"Resize": "target_size", "LetterBoxResize": "target_size", "Pad": "size"}


def _size(value):
    """A size as (height, width), from a number or a pair."""
    pair = (value, value) if isinstance(value, int) else tuple(value)
    if len(pair) != 2 or not all(isinstance(side, int) and side > 0 for side in pair):
        raise ValueError(f"size is {value!r}; give [height, width] in pixels")
    return pair
