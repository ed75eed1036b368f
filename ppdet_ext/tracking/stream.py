"""One video or camera: its tracker, its files, and what it held."""

from contextlib import ExitStack
from itertools import takewhile

from ..prediction.run import USUAL_FPS
from ..visualize.draw import ascii_name
from .draw import TrackedVideo
from .files import LinesWriter, MotWriter
from .summary import Summary
from .tracker import Tracker
from .truth import TruthScore


class Stream:
    """Takes the frames of one source with their detections, in order.

    Args:
        video (Video): the source.
        paths (dict): {'mot': Path, 'lines': Path, 'video': Path | None}; no video is drawn for None.
        names (list): the class names.
        options: has `threshold` (float) and `patience` (float), as of `Tracker`; `classes` (set | None), the
            labels of the tracks that count; `frames` (int | None), so many at most.
        truth (str | Path | None): as of `TruthScore`.

    Attributes:
        failure (str | None): why it ended early.
    """

    def __init__(self, video, paths, names, options, truth=None):
        self.video, self.paths, self.names = video, paths, names
        self.classes, self.limit = options.classes, options.frames
        self.fps = video.fps or USUAL_FPS
        self.failure = None
        self.summary = Summary(names)
        self.tracker = Tracker(names, self.fps, options.threshold, options.patience)
        self._truth = TruthScore(truth) if truth else None
        self._files = ExitStack()
        with ExitStack() as opened:
            self._mot = opened.enter_context(MotWriter(paths["mot"]))
            self._lines = opened.enter_context(LinesWriter(paths["lines"]))
            self._drawn = paths["video"] and opened.enter_context(TrackedVideo(paths["video"], self.fps))
            self._files = opened.pop_all()

    @property
    def full(self):
        """Whether it has as many frames as were wanted."""
        return self.limit is not None and self.summary.frames >= self.limit

    def frames(self):
        """The frames of the source, until the stream is full."""
        return takewhile(lambda _: not self.full, self.video)

    def take(self, frame, detections, seconds=None):
        """Add a frame.

        Args:
            frame (numpy.ndarray): [H, W, 3] uint8 RGB.
            detections (Detections): as of `Tracker.update`.
            seconds (float | None): of a live source, when it came.
        """
        tracked = self.tracker.update(detections)
        if self.classes is not None:
            wanted = [label in self.classes for label in tracked.detections.labels.tolist()]
            tracked = tracked.where(wanted)
        time = self.summary.frames / self.fps if seconds is None else seconds
        self.summary.add(time, tracked)
        self._mot.write(self.summary.frames, tracked)
        self._lines.write(self.summary.frames, time, tracked)
        if self._truth:
            self._truth.add(tracked)
        if self._drawn:
            self._drawn.write(frame, tracked, self._counts(), seconds)

    def _counts(self):
        """The texts of the counts: class, objects now / so far."""
        summary = self.summary
        return [
            f"{ascii_name(self.names[label], label)} {summary.now[label]}/{total}"
            for label, total in sorted(summary.total.items())
            if total
        ]

    def record(self):
        """What it held, for JSON."""
        record = {
            "file": self.video.name,
            "tracks_mot": str(self.paths["mot"]),
            "tracks_jsonl": str(self.paths["lines"]),
            "video": self.paths["video"] and str(self.paths["video"]),
            "frames": self.summary.frames,
            "fps": self.fps,
            "failure": self.failure,
            "objects": self.summary.objects(),
            "tracks": self.summary.tracks(self.fps),
        }
        if self._truth:
            record["truth"] = {"file": str(self._truth.path), **self._truth.result()}
        return record

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._files.close()
