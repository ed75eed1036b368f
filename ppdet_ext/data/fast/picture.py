"""A picture whose changes are written down first and painted once."""

import cv2
import numpy as np

# Of a colour matrix's determinant: below it, no border can be painted in the colours before the change.
SINGULAR = 1e-3


class Picture:
    """Pixels, and what is still to be done to them: window, flip, resize, colours, channels first.

    Changes of colour are affine, and so is resizing, a weighted mean: they commute, so that all changes of
    colour become one matrix over the smallest array there is, the result. A window that reaches beyond the
    pixels is a border; of a large canvas, only what is left of it in the end is painted. A change that does
    not fit into this order paints what there is and goes on from it.

    Args:
        pixels (ndarray): [H, W, 3] uint8 or float32.
        exact (bool): whether resizing keeps fractions of grey levels. PaddleDetection's operators turn an
            image into float32 one by one; until one has, its resizing rounds, and so does this.
    """

    def __init__(self, pixels, exact=False):
        self.pixels = pixels
        self.exact = exact or pixels.dtype != np.uint8
        height, width = pixels.shape[:2]
        self._window = (0, 0, width, height)  # xyxy, in pixels of `pixels`
        self._fill = None  # [3] colour around the pixels, as it is after `_distortion`
        self._distortion = self._normalisation = None  # [3, 4] float64, applied to (r, g, b, 1)
        self._flipped = self._channels_first = False
        self._factors = self._interp = None

    @property
    def shape(self):
        """tuple[int]: as of the array that it will be."""
        x1, y1, x2, y2 = self._window
        height, width = y2 - y1, x2 - x1
        if self._factors:
            height, width = (int(np.rint(n * by)) for n, by in zip((height, width), self._factors[::-1]))
        return (3, height, width) if self._channels_first else (height, width, 3)

    def _where(self, fits):
        return self if fits else Picture(self.paint(), self.exact)

    def distort(self, matrix):
        """Colours by ``matrix`` [3, 4], applied to (r, g, b, 1), without clipping. Returns the picture."""
        picture = self._where(self._fill is None and self._factors is None and self._normalisation is None)
        picture._distortion = _chain(matrix, picture._distortion)
        picture.exact = True
        return picture

    def expand(self, left, top, size, fill):
        """At (left, top) on a canvas of ``size`` (height, width) and of colour ``fill`` [3]."""
        whole = self._window == (0, 0, *self.pixels.shape[1::-1]) and self._fill is None
        plain = not self._flipped and self._factors is None and self._normalisation is None
        picture = self._where(whole and plain)
        picture._window = (-left, -top, size[1] - left, size[0] - top)
        picture._fill = np.array(fill, "float64")
        picture.exact = True
        return picture

    def crop(self, x1, y1, x2, y2):
        """The part [x1, x2) x [y1, y2)."""
        picture = self._where(self._factors is None and not self._flipped)
        left, top = picture._window[:2]
        picture._window = (left + x1, top + y1, left + x2, top + y2)
        return picture

    def flip(self):
        """Left for right."""
        picture = self._where(self._factors is None)
        picture._flipped = not picture._flipped
        return picture

    def resize(self, factors, interp):
        """Scaled by ``factors`` (x, y) with OpenCV's interpolation ``interp``."""
        picture = self._where(self._factors is None)
        picture._factors, picture._interp = tuple(factors), int(interp)
        return picture

    def normalise(self, matrix):
        """Colours by ``matrix`` [3, 4], applied to (r, g, b, 1)."""
        self.exact |= self._factors is None
        self._normalisation = _chain(matrix, self._normalisation)
        return self

    def put_channels_first(self):
        """As [3, H, W], the last change of all."""
        self._channels_first = True
        return self

    def paint(self, out=None):
        """The array: float32, or uint8 if all that has happened to it are crops and flips.

        Args:
            out (ndarray | None): float32 and of the picture's shape, channels first: painted into it.
        """
        pixels = self._framed()
        if self._factors:
            x, y = self._factors
            pixels = cv2.resize(pixels, None, None, fx=x, fy=y, interpolation=self._interp)
        if self.exact or self._factors or self._normalisation is not None:
            pixels = pixels.astype("float32", copy=False)
        colours = _chain(self._normalisation, self._distortion)
        if colours is not None:
            pixels = cv2.transform(pixels, colours)
        if not self._channels_first:
            return pixels if pixels.flags.writeable else pixels.copy()
        if out is None:
            out = np.empty(self.shape, pixels.dtype)
        cv2.split(pixels, list(out))  # into out's planes
        return out

    def _framed(self):
        """The window, flipped, with its border; the border in colours before `_distortion`."""
        x1, y1, x2, y2 = self._window
        height, width = self.pixels.shape[:2]
        pixels = self.pixels[max(y1, 0) : max(y2, 0), max(x1, 0) : max(x2, 0)]
        top, left = max(min(-y1, y2 - y1), 0), max(min(-x1, x2 - x1), 0)
        bottom, right = y2 - y1 - top - pixels.shape[0], x2 - x1 - left - pixels.shape[1]
        if self._flipped:
            pixels, left, right = cv2.flip(pixels, 1) if pixels.size else pixels, right, left
        if self.exact:
            pixels = pixels.astype("float32")
        if not (top or bottom or left or right):
            return pixels
        fill = self._fill
        if self._distortion is not None:
            turn, shift = self._distortion[:, :3], self._distortion[:, 3]
            if abs(np.linalg.det(turn)) > SINGULAR:
                fill = np.linalg.solve(turn, fill - shift)
            else:
                pixels, self._distortion = cv2.transform(pixels, self._distortion), None
        if not pixels.size:
            return np.full([y2 - y1, x2 - x1, 3], fill, "float32")
        return cv2.copyMakeBorder(pixels, top, bottom, left, right, cv2.BORDER_CONSTANT, value=tuple(fill))


def _chain(second, first):
    """The colour matrix [3, 4] of one after the other; None is none."""
    if first is None or second is None:
        return second if first is None else first
    return np.concatenate([second[:, :3] @ first[:, :3], second[:, :3] @ first[:, 3:] + second[:, 3:]], 1)
