"""How good tracks are: MOTA and IDF1 against a truth in MOTChallenge's format, computed by motmetrics."""

import csv

import numpy as np

from ..runtime.box_iou import box_iou

# A track is on an object when they overlap so far: MOTChallenge's own bound.
MATCH_IOU = 0.5
METRICS = {
    "mota": "mota",
    "idf1": "idf1",
    "recall": "recall",
    "precision": "precision",
    "switches": "num_switches",
    "misses": "num_misses",
    "false_alarms": "num_false_positives",
    "objects": "num_unique_objects",
}


def read_truth(path):
    """Read a truth, `frame,id,left,top,width,height[,flag[,...]]`, frames from 1.

    Args:
        path (str | Path): lines whose flag is 0 are left out, as in MOTChallenge; what follows is not read.

    Returns:
        dict: of each frame with objects, ids [N] int64 and boxes [N, 4] float64 xyxy, pixels.

    Raises:
        ValueError: the file cannot be read, holds no objects, or a line is none of that format.
    """
    frames = {}
    try:
        with open(path, encoding="utf-8", newline="") as file:
            for line, row in enumerate(csv.reader(file), 1):
                if row:
                    _add(frames, path, line, row)
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path}: is no text; give a file in MOTChallenge's format to --truth") from None
    if not frames:
        raise ValueError(f"{path}: holds no objects; give a file in MOTChallenge's format to --truth")
    return {
        frame: (np.array(list(boxes), np.int64), np.array(list(boxes.values()), np.float64))
        for frame, boxes in frames.items()
    }


def _add(frames, path, line, row):
    try:
        values = [float(value) for value in row[:7]]
        frame, number, left, top, width, height = values[:6]
        frame, number = int(frame), int(number)
    except (ValueError, OverflowError):
        raise ValueError(
            f"{path}:{line}: is no line of MOTChallenge's format; write frame,id,left,top,width,height"
        ) from None
    if frame < 1 or not np.isfinite(values).all() or width <= 0 or height <= 0:
        raise ValueError(f"{path}:{line}: frames count from 1 and boxes have a size; correct the line")
    if len(values) > 6 and values[6] == 0:
        return
    if number in frames.setdefault(frame, {}):
        raise ValueError(f"{path}:{line}: object {number} is twice in frame {frame}; leave one of them out")
    frames[frame][number] = (left, top, left + width, top + height)


class TruthScore:
    """Compares the tracks of a stream with its truth, frame by frame. Classes are not compared.

    Args:
        path (str | Path): as `read_truth` takes it.

    Raises:
        ValueError: as `read_truth`; motmetrics is not installed.
    """

    def __init__(self, path):
        try:
            import motmetrics
        except ImportError:
            raise ValueError(
                "--truth: needs motmetrics, which is not installed; pip install motmetrics"
            ) from None
        self.path = path
        self._library = motmetrics
        self._truth = read_truth(path)
        self._sums = motmetrics.MOTAccumulator(auto_id=True)
        self._frames = 0

    def add(self, tracked):
        """Take the next frame's Tracked."""
        self._frames += 1
        ids, boxes = self._truth.get(self._frames, (np.zeros(0, np.int64), np.zeros((0, 4))))
        distance = 1 - box_iou(boxes, tracked.detections.boxes)
        distance[distance > 1 - MATCH_IOU] = np.nan  # can be no pair
        self._sums.update(ids, tracked.ids, distance)

    def result(self):
        """Figures of the frames taken: the keys of METRICS, shares 0..1 (MOTA may be below 0), and 'frames'.

        A figure that nothing is known of, such as the precision without tracks, is None.
        """
        metrics = self._library.metrics.create()
        values = metrics.compute(self._sums, metrics=list(METRICS.values()), return_dataframe=False)
        figures = {key: float(values[name]) for key, name in METRICS.items()}
        shares = ("mota", "idf1", "recall", "precision")
        return {
            "frames": self._frames,
            **{
                key: None if not np.isfinite(value) else round(value, 4) if key in shares else int(value)
                for key, value in figures.items()
            },
        }
