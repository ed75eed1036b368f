"""The work of `track`: videos, then cameras, several at once through one detector."""

import time
from contextlib import ExitStack, closing

from ..runtime.video import Video
from .stream import Stream
from .tracker import WEAKEST

# Videos that are read at once; each holds a decoder and a thread.
AT_ONCE = 8


class Run:
    """Takes sources.

    Args:
        detector (Detector): detects, for all of them.
        options: as of `Stream`, and `batch` (int), frames a run of the network.
        names (Names): says where videos go; the files of tracks lie beside them.
        draw (bool): whether videos are drawn.
        stop (threading.Event): ends the work when set.
        progress (callable): called after each frame.

    Attributes:
        records (list): of `Stream.record`, one a source that could be opened, in order.
        failures (list): a line for each source that could not be read, or not to its end.
    """

    def __init__(self, detector, options, names, draw, stop, progress):
        self.detector, self.options, self.names = detector, options, names
        self.draw, self.stop, self.progress = draw, stop, progress
        self.records, self.failures = [], []

    def take_videos(self, files, truths):
        """Video files, some at once.

        Args:
            files (list): pairs of a file and its name relative to the folder given.
            truths (list): the truth of each, None where there is none.
        """
        sources = [
            (file, lambda video, name=name: self.names.video(name), truth)
            for (file, name), truth in zip(files, truths)
        ]
        for first in range(0, len(sources), AT_ONCE):
            if not self.stop.is_set():
                self._take(sources[first : first + AT_ONCE], live=False)

    def take_cameras(self, sources):
        """Cameras and streams, all at once, until they end; of frames that come too fast the last counts."""
        if sources:
            self._take(
                [(source, lambda video: self.names.camera(video.name), None) for source in sources], True
            )

    def _take(self, sources, live):
        streams = []
        with ExitStack() as stack:
            for source, path_of, truth in sources:
                try:
                    video = stack.enter_context(Video(source))
                except ValueError as error:
                    self.failures.append(str(error))
                    continue
                paths = self._paths(path_of(video))
                stream = Stream(video, paths, self.detector.names, self.options, truth)
                streams.append(stack.enter_context(stream))
            if streams:
                self._track(streams, live)
        self.records += [stream.record() for stream in streams]

    def _paths(self, path):
        mot, lines = (
            self.names.report("--output", path.with_suffix(suffix))
            for suffix in (".tracks.txt", ".tracks.jsonl")
        )
        return {"mot": mot, "lines": lines, "video": path if self.draw else None}

    def _track(self, streams, live):
        def failed(number, error):
            stream = streams[number]
            text = str(error)
            stream.failure = text if stream.video.name in text else f"{stream.video.name}: {text}"
            self.failures.append(stream.failure)

        start = time.monotonic()
        results = self.detector.streams(
            [stream.frames() for stream in streams],
            self.options.batch,
            min(WEAKEST, self.options.threshold),
            latest=live,
            on_error=failed,
            stop=self.stop,
        )
        with closing(results):
            for number, frame, detections in results:
                if not streams[number].full:
                    seconds = time.monotonic() - start if live else None
                    streams[number].take(frame, detections, seconds)
                    self.progress()
