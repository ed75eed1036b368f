"""From the raw outputs of the network to Detections in pixels of the input image."""

import numpy as np

from .detections import Detections
from .nms import multiclass_nms

# The arguments of PaddleDetection's MultiClassNMS that change the result, with its defaults.
NMS_DEFAULTS = {
    "score_threshold": 0.05,
    "nms_top_k": -1,
    "keep_top_k": 100,
    "nms_threshold": 0.5,
    "normalized": True,
    "background_label": -1,
}


class Postprocess:
    """Maps boxes back to the input image and runs NMS.

    Args:
        nms (dict): `NMS` of an `infer_cfg.yml`: {'name': 'MultiClassNMS', 'score_threshold': 0.01, ...};
            what is missing has PaddleDetection's default.
        names (list): the class names.
        source (str): the file the settings come from, for errors.

    Raises:
        ValueError: another NMS than MultiClassNMS, or a setting that is not known.
    """

    def __init__(self, nms, names, source="infer_cfg.yml"):
        self.names = list(names)
        self.source = source
        settings = dict(nms)
        name = settings.pop("name", "MultiClassNMS")
        if name != "MultiClassNMS":
            raise ValueError(f"{source}: NMS is {name}; only MultiClassNMS is known")
        if settings.pop("nms_eta", 1.0) != 1.0:
            raise ValueError(f"{source}: NMS has nms_eta other than 1.0; adaptive thresholds are not known")
        unknown = sorted(set(settings) - set(NMS_DEFAULTS))
        if unknown:
            raise ValueError(
                f"{source}: NMS setting '{unknown[0]}' is not known; known are {', '.join(NMS_DEFAULTS)}"
            )
        self.settings = {**NMS_DEFAULTS, **settings}
        for key, value in self.settings.items():
            if not isinstance(value, (int, float)):
                raise ValueError(f"{source}: NMS setting '{key}' is {value!r}; give a number")

    def __call__(self, boxes, scores, images, score_threshold=None, sources=None):
        """Detections of a batch.

        Args:
            boxes (numpy.ndarray): [B, L, 4] float32 xyxy in pixels of the network input.
            scores (numpy.ndarray): [B, C, L] float32 after the sigmoid.
            images (list): the B NetworkImages of the batch; their scale_factor and offset lead back.
            score_threshold (float | None): replaces the one of the settings.
            sources (list | None): B file names for the Detections.

        Returns:
            list: B Detections, boxes in pixels of the input image, by falling score.

        Raises:
            ValueError: the shapes do not fit each other, the batch or the class names.
        """
        self._check(boxes, scores, len(images))
        settings = dict(self.settings)
        if score_threshold is not None:
            settings["score_threshold"] = score_threshold
        results = []
        for number, image in enumerate(images):
            # (y, x) -> (x, y, x, y)
            origin = np.tile(image.offset[::-1], 2)
            scale = np.tile(image.scale_factor[::-1], 2)
            mapped = (boxes[number] - origin) / scale
            indices, labels = multiclass_nms(mapped, scores[number], **settings)
            results.append(
                Detections(
                    mapped[indices],
                    scores[number][labels, indices],
                    labels,
                    self.names,
                    sources[number] if sources else None,
                )
            )
        return results

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
