"""The anchors of a batch that an assigner gave a gt."""

import paddle

from .dense import per_process


class Positives:
    """Where they are, and what their losses need.

    Args:
        assigned (tuple): labels [B, L] int, ``num_classes`` is background; boxes [B, L, 4] xyxy input pixels;
            soft scores [B, L, C] float32.
        points (Tensor): [L, 2] xy of the anchors, in cells.
        strides (Tensor): [L, 1] input pixels.
        num_classes (int): C.
        class_weight (Tensor | None): [C] float32, how often a positive of each class counts in the losses.

    Attributes: ``count`` (int, P), ``quality`` [P] float32 (soft score of an anchor's class) and ``total``
    [] float32 (their sum, at least 1, by :func:`per_process`); where P is not 0, ``points`` [P, 2] and
    ``boxes`` [P, 4] xyxy of the gts, both in cells of the anchor's level.
    """

    def __init__(self, assigned, points, strides, num_classes, class_weight=None):
        labels, boxes, soft = assigned
        self._anchors = labels.shape[1]
        labels = labels.flatten()
        self._index = paddle.nonzero(labels != num_classes).flatten()
        self.count = self._index.shape[0]
        self._flat_index = self._index
        self.quality = paddle.zeros([0])
        self._weight = None
        if self.count:
            classes = paddle.gather(labels, self._index).astype("int64")
            self._flat_index = self._index * num_classes + classes
            self.quality = paddle.gather(soft.flatten(), self._flat_index)
            if class_weight is not None:
                self._weight = paddle.gather(class_weight, classes)
            anchor = self._index % self._anchors
            self.points = paddle.gather(points, anchor)
            self.boxes = self.rows(boxes) / paddle.gather(strides, anchor)
        self.total = self._normaliser()

    def _normaliser(self):
        total = self.quality.sum() if self.count else paddle.zeros([])
        return per_process(total, lambda everything: everything.clip(min=1.0))

    def class_loss(self, loss, logits, **options):
        """A loss of ``CLASSIFICATION_LOSSES`` over all predictions.

        Args:
            loss (callable): of them.
            logits (Tensor): [B, L, C] float32.
            **options: of the loss.

        Returns:
            Tensor: [] float32.
        """
        summed = loss(logits.flatten(), self._flat_index, self.quality, weights=self._weight, **options)
        return summed / self.total

    def weighted(self, losses):
        """The sum of losses [P, 1], weighted by quality and class, over ``total``."""
        weight = self.quality if self._weight is None else self.quality * self._weight
        return (losses * weight.unsqueeze(-1)).sum() / self.total

    def rows(self, values):
        """The positives' rows [P, K] of [B, L, K]."""
        return paddle.gather(values.reshape([-1, values.shape[-1]]), self._index)
