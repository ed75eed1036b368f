"""What a detector found in one image."""

from dataclasses import dataclass, field
from typing import List, Optional

import numpy as np


@dataclass
class Detections:
    """Boxes, scores and labels of one image, checked and converted once, when made.

    Args:
        boxes (array): [N, 4] float32, xyxy in pixels of the input image. As in PaddleDetection they are not
            cut at the border of the image.
        scores (array): [N] float32, 0..1, in falling order where a Detector made them.
        labels (array): [N] int64, index into `names`.
        names (list): the class names.
        source (str | None): the file the image came from, None for an array.

    Raises:
        ValueError: the shapes disagree, a number is not finite, or a label has no name.
    """

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    names: List[str] = field(default_factory=list)
    source: Optional[str] = None

    def __post_init__(self):
        self.boxes = np.ascontiguousarray(self.boxes, np.float32)
        self.scores = np.asarray(self.scores, np.float32)
        self.labels = np.asarray(self.labels)
        self.names = [str(name) for name in self.names]
        if self.boxes.size == 0:
            self.boxes = self.boxes.reshape(0, 4)
        if self.labels.size == 0:
            self.labels = self.labels.astype(np.int64)
        if self.boxes.ndim != 2 or self.boxes.shape[1] != 4:
            raise ValueError(f"detections: boxes have shape {list(self.boxes.shape)}; give [N, 4]")
        count = len(self.boxes)
        if self.scores.shape != (count,) or self.labels.shape != (count,):
            raise ValueError(
                f"detections: {count} boxes, but scores have shape {list(self.scores.shape)} and labels "
                f"{list(self.labels.shape)}; give one of each a box"
            )
        if not np.issubdtype(self.labels.dtype, np.integer):
            raise ValueError(f"detections: labels are {self.labels.dtype}; give whole numbers")
        self.labels = self.labels.astype(np.int64)
        if not (np.isfinite(self.boxes).all() and np.isfinite(self.scores).all()):
            raise ValueError("detections: a box or a score is NaN or infinite; check the model's weights")
        if count and not 0 <= self.labels.min() <= self.labels.max() < len(self.names):
            raise ValueError(
                f"detections: labels run from {self.labels.min()} to {self.labels.max()}, but there are "
                f"{len(self.names)} names; the model and its label_list disagree"
            )

    def __len__(self):
        return len(self.boxes)

    def __getitem__(self, index):
        """The detections at a slice, a mask [N] or an index array, as new Detections."""
        index = np.atleast_1d(index) if not isinstance(index, slice) else index
        return Detections(self.boxes[index], self.scores[index], self.labels[index], self.names, self.source)

    def filter(self, score_threshold):
        """Those that score at least `score_threshold`."""
        return self[self.scores >= score_threshold]

    def to_records(self):
        """Plain values for JSON: a list of {'label', 'name', 'score', 'box': [x1, y1, x2, y2]}."""
        return [
            {"label": label, "name": self.names[label], "score": score, "box": box}
            for label, score, box in zip(self.labels.tolist(), self.scores.tolist(), self.boxes.tolist())
        ]

    def to_coco(self, image_id, category_ids):
        """Results in COCO's format.

        Args:
            image_id (int): id of the image in the annotation file.
            category_ids (list): COCO category id of each label.

        Returns:
            list: {'image_id', 'category_id', 'bbox': [x, y, width, height], 'score'} a detection.
        """
        sides = np.concatenate([self.boxes[:, :2], self.boxes[:, 2:] - self.boxes[:, :2]], 1)
        return [
            {"image_id": image_id, "category_id": category_ids[label], "bbox": box, "score": score}
            for label, score, box in zip(self.labels.tolist(), self.scores.tolist(), sides.tolist())
        ]
