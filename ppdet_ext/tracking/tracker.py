"""From the detections of frame after frame to objects with numbers: ByteTrack, as supervision has it."""

from collections import Counter
from typing import NamedTuple

import numpy as np

from ..runtime import Detections
from ..runtime.box_iou import box_iou

# ByteTrack asks so much more of a detection that begins a track than of one that goes on with one at once.
MARGIN = 0.1
# Its weakest detections: these only go on with a track that found no better one.
WEAKEST = 0.1
# Boxes of two classes that overlap so far are one object, of the class that scores better.
SAME_PLACE = 0.8
INSTALL = "pip install 'ppdet_ext[tracking]', then pip install --no-deps supervision==0.27.0"


class Tracked(NamedTuple):
    """The objects in one frame.

    Args:
        ids (numpy.ndarray): [N] int64, from 1 in the order in which objects of a stream appear.
        detections (Detections): N, in the same order; the label is the track's, not the frame's.
    """

    ids: np.ndarray
    detections: Detections

    def where(self, mask):
        """Those at a mask [N]."""
        mask = np.array(mask, bool)
        return Tracked(self.ids[mask], self.detections[mask])


class Tracker:
    """Follows the objects of one stream.

    In the detector's eyes an object may change its class from frame to frame: a track has the class with the
    greatest sum of scores so far.

    Args:
        names (list): the class names.
        fps (float): frames a second.
        threshold (float): least score that begins a track.
        patience (float): seconds that an object may be unseen and still be known again.

    Raises:
        ValueError: supervision is not installed.

    Source: Zhang et al., ByteTrack: Multi-Object Tracking by Associating Every Detection Box, ECCV 2022.
    """

    def __init__(self, names, fps, threshold=0.5, patience=1.0):
        try:
            import supervision
        except ImportError:
            raise ValueError(f"tracking: needs supervision, which is not installed; {INSTALL}") from None
        self._library = supervision
        self._bytetrack = supervision.ByteTrack(
            track_activation_threshold=max(threshold - MARGIN, 0.0),
            lost_track_buffer=round(patience * fps),
            frame_rate=30,  # at which the buffer counts in frames
        )
        self.names = list(names)
        self._ids, self._votes = {}, {}

    def update(self, detections):
        """Take the next frame.

        Args:
            detections (Detections): of the frame, by falling score, from WEAKEST up: those below the
                threshold only go on with a track.

        Returns:
            Tracked: the objects seen in it.
        """
        found = _one_a_place(detections)
        given = self._library.Detections(
            xyxy=found.boxes, confidence=found.scores, data={"place": np.arange(len(found))}
        )
        answer = self._bytetrack.update_with_detections(given)
        if not len(answer):
            return Tracked(np.zeros(0, np.int64), found[:0])
        found = found[answer.data["place"]]
        # The library spends numbers on what never becomes a track.
        ids = [self._ids.setdefault(key, len(self._ids) + 1) for key in answer.tracker_id.tolist()]
        labels = [
            self._vote(number, label, score)
            for number, label, score in zip(ids, found.labels.tolist(), found.scores.tolist())
        ]
        voted = Detections(found.boxes, found.scores, np.array(labels), self.names, found.source)
        return Tracked(np.array(ids, np.int64), voted)

    def _vote(self, number, label, score):
        votes = self._votes.setdefault(number, Counter())
        votes[label] += score
        return max(votes, key=votes.get)


def _one_a_place(detections):
    """Without the detections that lie on a better one of another class."""
    kept = []
    overlaps = box_iou(detections.boxes, detections.boxes) >= SAME_PLACE
    for index, label in enumerate(detections.labels):
        if not any(overlaps[index, better] and detections.labels[better] != label for better in kept):
            kept.append(index)
    return detections[np.array(kept, np.int64)]
