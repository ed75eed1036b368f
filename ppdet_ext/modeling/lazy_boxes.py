"""Predicted boxes that are decoded where somebody looks."""

import numpy as np
import paddle

from .anchors import distances_to_boxes

__all__ = ["LazyBoxes"]


class LazyBoxes:
    """Boxes [B, L, 4] on a CPU, of which a label assigner reads a part.

    Args:
        decode (callable): from positions [P] int64 in the flattened ``[B * L]`` to boxes [P, 4] float32, both
            tensors.
        shape (tuple[int]): B and L.
    """

    def __init__(self, decode, shape):
        self.shape = tuple(shape)
        self._decode = decode
        self._boxes = np.zeros([int(np.prod(shape)), 4], "float32")
        self._known = np.zeros(len(self._boxes), bool)

    @classmethod
    def of(cls, boxes):
        """The same for boxes that are there: a tensor [B, L, 4], or a LazyBoxes, which is given back."""
        if isinstance(boxes, cls):
            return boxes
        lazy = cls(None, boxes.shape[:2])
        lazy._boxes, lazy._known = boxes.numpy().reshape([-1, 4]), np.ones(len(lazy._known), bool)
        return lazy

    @classmethod
    def of_rows(cls, regression, to_distances, points, strides):
        """Boxes in pixels, of what an anchor-free head predicts.

        Args:
            regression (Tensor): [B, L, K] float32.
            to_distances (callable): from rows [P, K] to distances [P, 4] in cells.
            points (Tensor): [L, 2] xy of the anchors, in cells.
            strides (Tensor): [L, 1] input pixels.
        """
        batch, count, channels = regression.shape
        rows = regression.detach().reshape([-1, channels])

        @paddle.no_grad()
        def decode(index):
            anchor = index % count
            distances = to_distances(paddle.gather(rows, index))
            return distances_to_boxes(paddle.gather(points, anchor), distances) * paddle.gather(
                strides, anchor
            )

        return cls(decode, [batch, count])

    def at(self, image, anchor):
        """Boxes [P, 4] of anchors [P] of images [P], arrays."""
        index = image * self.shape[1] + anchor
        asked = np.zeros(len(self._known), bool)
        asked[index] = True
        new = np.flatnonzero(asked & ~self._known)
        if len(new):
            self._boxes[new] = self._decode(paddle.to_tensor(new)).numpy()
            self._known[new] = True
        return self._boxes[index]

    def array(self):
        """[B, L, 4] float32 array, zeros where nobody has looked."""
        return self._boxes.reshape([*self.shape, 4])
