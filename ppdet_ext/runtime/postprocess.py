"""From the raw outputs of the network to Detections in pixels of the input image."""

import numpy as np

from .detections import Detections
from .nms import NMS


class Postprocess:
    """Maps boxes back to the input image and runs NMS.

    Args:
        nms (dict): `NMS` of an `infer_cfg.yml`, as `nms.NMS` takes it.
        names (list): the class names.
        source (str): the file the settings come from, for errors.

    Raises:
        ValueError: an NMS or a setting that is not known.
    """

    def __init__(self, nms, names, source="infer_cfg.yml"):
        self.names = list(names)
        self.source = source
        self.nms = NMS(nms, source)

    def __call__(self, boxes, scores, images, score_threshold=None, sources=None):
        """Detections of a batch.

        Args:
            boxes (numpy.ndarray): [B, L, 4] float32 xyxy in pixels of the network input.
            scores (numpy.ndarray): [B, C, L] float32 after the sigmoid.
            images (list): the B NetworkImages of the batch; their scale_factor and offset lead back.
            score_threshold (float | None): least score, in place of the one of the settings.
            sources (list | None): B file names for the Detections.

        Returns:
            list: B Detections, boxes in pixels of the input image, by falling score.

        Raises:
            ValueError: the shapes do not fit each other, the batch or the class names.
        """
        results = []
        for number, (mapped, image_scores) in enumerate(self.candidates(boxes, scores, images)):
            indices, labels, kept_scores = self.nms(mapped, image_scores, score_threshold)
            source = sources[number] if sources else None
            results.append(Detections(mapped[indices], kept_scores, labels, self.names, source))
        return results

    def candidates(self, boxes, scores, images):
        """What enters the NMS.

        Args:
            as of `__call__`.

        Returns:
            list: of each image, boxes [L, 4] float32 xyxy in pixels of the input image, and scores [C, L].

        Raises:
            ValueError: as `__call__`.
        """
        self._check(boxes, scores, len(images))
        return [(_to_input(boxes[number], image), scores[number]) for number, image in enumerate(images)]

    def _check(self, boxes, scores, count):
        if (
            boxes.ndim != 3
            or scores.ndim != 3
            or boxes.shape[2] != 4
            or boxes.shape[1] != scores.shape[2]
            or len(boxes) != count
            or len(scores) != count
        ):
            raise ValueError(
                f"{self.source}: the model gave boxes {list(boxes.shape)} and scores "
                f"{list(scores.shape)} for {count} images, not [B, L, 4] and [B, C, L]; "
                f"export it with raw outputs"
            )
        if scores.shape[1] != len(self.names):
            raise ValueError(
                f"{self.source}: label_list has {len(self.names)} names, but the model scores "
                f"{scores.shape[1]} classes; correct label_list or export the model again"
            )


class InGraphPostprocess:
    """Maps the detections of a model with NMS inside back to the input image.

    Args:
        as of `Postprocess`; the settings were the export's and have no say here.
    """

    def __init__(self, nms, names, source="infer_cfg.yml"):
        self.names = list(names)
        self.source = source

    def __call__(self, counts, boxes, scores, labels, images, score_threshold=None, sources=None):
        """Detections of a batch.

        Args:
            counts (numpy.ndarray): [B, 1] int32, how many of each image's K are detections.
            boxes (numpy.ndarray): [B, K, 4] float32 xyxy in pixels of the network input.
            scores (numpy.ndarray): [B, K] float32, by falling score.
            labels (numpy.ndarray): [B, K] int32.
            images, score_threshold, sources: as of `Postprocess`; a threshold below the one inside the graph
                brings nothing back.

        Returns:
            list: B Detections, boxes in pixels of the input image, by falling score.

        Raises:
            ValueError: a label has no name.
        """
        results = []
        for number, image in enumerate(images):
            count = int(counts[number].item())
            found = Detections(
                _to_input(boxes[number, :count], image),
                scores[number, :count].copy(),  # the next batch is written over what the engine gave
                labels[number, :count],
                self.names,
                sources[number] if sources else None,
            )
            results.append(found if score_threshold is None else found.filter(score_threshold))
        return results

    def candidates(self, counts, boxes, scores, labels, images):
        """The detections as one more NMS takes them, to be merged with those of other views.

        Args:
            as of `__call__`.

        Returns:
            list: of each image, boxes [N, 4] float32 xyxy in pixels of the input image, and scores [C, N], 0
            but for each box's own class.
        """
        found = []
        for one in self(counts, boxes, scores, labels, images):
            spread = np.zeros((len(self.names), len(one)), np.float32)
            spread[one.labels, np.arange(len(one))] = one.scores
            found.append((one.boxes, spread))
        return found


def _to_input(boxes, image):
    """Boxes [L, 4] float32 of the network input, in pixels of the input image.

    Laid out side by side, as a view of [4, L]: NumPy computes on rows of L, not of four, and NMS takes sides.
    """
    sides = np.empty(boxes.shape[::-1], np.float32)
    for number, side in enumerate(boxes.T):
        axis = 1 - number % 2  # x, y, x, y of values that stand as (y, x)
        np.subtract(side, image.offset[axis], out=sides[number])
        sides[number] /= image.scale_factor[axis]
    return sides.T
