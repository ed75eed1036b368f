"""Videos with boxes."""

from ..runtime.video_writer import VideoWriter
from .background import Background
from .draw import draw_detections


class DrawnVideo:
    """A video of frames with their detections drawn, made beside what else goes on.

    Args:
        path (str | Path): as of `VideoWriter`.
        fps (float): frames a second.
        score_threshold (float): least score drawn.
    """

    def __init__(self, path, fps, score_threshold):
        self._writer = VideoWriter(path, fps)
        self._threshold = score_threshold
        self._background = Background()

    def write(self, frame, detections, seconds=None):
        """Add a frame [H, W, 3] uint8 RGB with its Detections; `seconds` as of `VideoWriter.write`."""
        self._background.do(self._draw, frame, detections, seconds)

    def _draw(self, frame, detections, seconds):
        self._writer.write(draw_detections(frame, detections, self._threshold), seconds)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        try:
            self._background.close()
        finally:
            self._writer.close()
