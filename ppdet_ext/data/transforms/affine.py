"""Turning, scaling, shearing and shifting: the geometry that Mosaic and RandomBoxAffine share.

Coordinates are continuous, as boxes are: pixel k covers [k, k + 1). Matrices are [3, 3], column vectors.
"""

import cv2
import numpy as np

# Below this scale, bilinear sampling skips pixels: the image is shrunk by areas first.
SKIPS = 0.5


def shift(x, y):
    """The matrix that moves by (x, y)."""
    return np.array([[1.0, 0.0, x], [0.0, 1.0, y], [0.0, 0.0, 1.0]])


class AffineRanges:
    """What a random affine map is drawn from.

    Args:
        owner (str): the operator, for messages.
        degrees (list[float]): of rotation, counterclockwise.
        translate (list[float]): in widths and heights of the result, drawn for each.
        scale (list[float]): of both sides.
        shear (list[float]): degrees, drawn for x and y.

    Raises:
        ValueError: what is no [least, most], or a scale of 0 or below.
    """

    def __init__(self, owner, degrees, translate, scale, shear):
        self._ranges = {"degrees": degrees, "translate": translate, "scale": scale, "shear": shear}
        for name, values in self._ranges.items():
            if not isinstance(values, (list, tuple)) or len(values) != 2 or values[0] > values[1]:
                raise ValueError(f"{owner}: {name} {values} is no range; give [least, most]")
        if scale[0] <= 0:
            raise ValueError(f"{owner}: scale {list(scale)} must be positive")
        if max(map(abs, shear)) >= 90:
            raise ValueError(f"{owner}: shear {list(shear)} is degrees below 90")

    def _draw(self, name, count=None):
        return np.random.uniform(*self._ranges[name], size=count)

    def draw(self, source, size):
        """A random map of a frame onto a result.

        Args:
            source, size (tuple[int]): height and width of the frame and of the result.

        Returns:
            ndarray: [3, 3]; without turn and shift, the centre comes to lie on the centre.
        """
        angle, scale = np.deg2rad(self._draw("degrees")), self._draw("scale")
        shear_x, shear_y = np.tan(np.deg2rad(self._draw("shear", 2)))
        move = self._draw("translate", 2) * (size[1], size[0])
        cos, sin = scale * np.cos(angle), scale * np.sin(angle)
        turn = np.array([[cos, sin], [-sin, cos]]) @ [[1.0, shear_x], [shear_y, 1.0]]
        matrix = np.eye(3)
        matrix[:2, :2] = turn
        to = shift(size[1] / 2 + move[0], size[0] / 2 + move[1])
        return to @ matrix @ shift(-source[1] / 2, -source[0] / 2)


def warp_into(canvas, image, matrix):
    """Draws an image into a canvas, in place, where a map sends it; what is around it stays.

    Args:
        canvas, image (ndarray): [H, W, 3] uint8, each of its size.
        matrix (ndarray): [3, 3], of the image's coordinates to the canvas's.
    """
    height, width = image.shape[:2]
    scale = np.sqrt(abs(np.linalg.det(matrix[:2, :2])))
    if scale < SKIPS:
        rows, columns = max(int(round(height * scale)), 1), max(int(round(width * scale)), 1)
        image = cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA)
        matrix = matrix @ np.diag([width / columns, height / rows, 1.0])
        height, width = rows, columns
    corners = matrix[:2] @ [[0, width, 0, width], [0, 0, height, height], [1, 1, 1, 1]]
    left, top = np.floor(corners.min(1)).clip(0).astype(int)
    right, bottom = np.minimum(np.ceil(corners.max(1)), canvas.shape[1::-1]).astype(int)
    if left >= right or top >= bottom:
        return
    # One pixel more all around, since pixels without all four neighbours are left out.
    image = cv2.copyMakeBorder(image, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    # OpenCV counts from the centres of pixels.
    matrix = shift(-left - 0.5, -top - 0.5) @ matrix @ shift(-0.5, -0.5)
    cv2.warpAffine(
        image,
        matrix[:2],
        (right - left, bottom - top),
        dst=canvas[top:bottom, left:right],
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_TRANSPARENT,
    )


def move_boxes(boxes, matrix):
    """The boxes around what a map makes of boxes: [N, 4] xyxy to [N, 4] float64, not clipped."""
    x1, y1, x2, y2 = np.asarray(boxes, "float64").T
    corners = np.stack([x1, y1, x2, y1, x2, y2, x1, y2], 1).reshape(-1, 4, 2)
    corners = corners @ matrix[:2, :2].T + matrix[:2, 2]
    return np.concatenate([corners.min(1), corners.max(1)], 1)


class BoxFilter:
    """Which boxes an object can still be told from, after a change.

    Args:
        owner (str): the operator, for messages.
        min_side (float): of what is left, pixels.
        min_visible (float): part of the box's area that is left within the image.
        max_aspect (float): of the longer side to the shorter one.
    """

    def __init__(self, owner, min_side, min_visible, max_aspect):
        if min_side < 0 or not 0 <= min_visible <= 1 or max_aspect < 1:
            raise ValueError(
                f"{owner}: min_side {min_side} is to be pixels, min_visible {min_visible} a part from 0 to "
                f"1, max_aspect {max_aspect} a ratio from 1 up"
            )
        self._limits = max(min_side, np.finfo("float32").tiny), min_visible, max_aspect

    def __call__(self, boxes, size):
        """Clips boxes.

        Args:
            boxes (ndarray): [N, 4] xyxy, pixels of the new image, not clipped.
            size (tuple[int]): its height and width.

        Returns:
            ndarray: [N, 4] float32, clipped. ndarray: [N] bool, which of them stay.
        """
        min_side, min_visible, max_aspect = self._limits
        clipped = boxes.clip(0, [size[1], size[0]] * 2)
        sides, before = clipped[:, 2:] - clipped[:, :2], boxes[:, 2:] - boxes[:, :2]
        kept = (sides >= min_side).all(1)
        kept &= sides.prod(1) >= min_visible * before.prod(1)
        kept &= sides.max(1) <= max_aspect * sides.min(1)
        return clipped.astype("float32"), kept
