"""Writing videos that are whole whenever the writing ends."""

import os
from pathlib import Path

import cv2

# What OpenCV's pip packages can write on every system, and every player reads.
CODES = {".mp4": "mp4v", ".avi": "MJPG"}


class VideoWriter:
    """Writes frames to a video. It grows under another name and takes its own when closed, with what it has.

    Args:
        path (str | Path): '.mp4' or '.avi'; its folder is made.
        fps (float): frames a second.

    Attributes:
        frames (int): written so far.

    Raises:
        ValueError: another suffix, or `fps` is not above 0; from `write`: OpenCV cannot write such a video,
            or the frame has another size than the first.
    """

    def __init__(self, path, fps):
        self.path = Path(path)
        self.fps = fps
        self.frames = 0
        if self.path.suffix.lower() not in CODES:
            raise ValueError(
                f"{path}: '{self.path.suffix}' videos cannot be written; use {' or '.join(CODES)}"
            )
        if not fps > 0:
            raise ValueError(f"{path}: fps is {fps}; give frames a second above 0")
        # OpenCV takes the format from the suffix, which hence stays.
        self._partial = self.path.with_name(f"{self.path.stem}.part{self.path.suffix}")
        self._writer = self._size = self._last = None

    def write(self, frame, seconds=None):
        """Add a frame.

        Args:
            frame (numpy.ndarray): [H, W, 3] uint8 RGB; of an odd side the last pixel is left out.
            seconds (float | None): for live pictures: when it was taken, from the start. The frame before is
                repeated until then, and one that comes too early is left out, so that the video plays at the
                pace of the world. By default each frame follows the last.
        """
        size = frame.shape[1::-1]
        if self._writer is None:
            self._open(size)
        if size != self._size:
            raise ValueError(
                f"{self.path}: frame {self.frames} has {size[0]}x{size[1]} pixels, the first had "
                f"{self._size[0]}x{self._size[1]}; write one video a size"
            )
        picture = cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)
        if seconds is not None:
            place = int(seconds * self.fps)
            if self.frames > place:
                return
            while self._last is not None and self.frames < place:
                self._put(self._last)
            self._last = picture
        self._put(picture)

    def _open(self, size):
        self.path.parent.mkdir(parents=True, exist_ok=True)
        code = cv2.VideoWriter_fourcc(*CODES[self.path.suffix.lower()])
        self._writer = cv2.VideoWriter(str(self._partial), code, self.fps, size)
        self._size = size
        if not self._writer.isOpened():
            raise ValueError(
                f"{self.path}: OpenCV cannot write a video of {size[0]}x{size[1]} pixels there; "
                f"check the folder, or use {' or '.join(CODES)}"
            )

    def _put(self, picture):
        self._writer.write(picture)
        self.frames += 1

    def close(self):
        """End the video; without frames there is none."""
        if self._writer is None:
            return
        self._writer.release()
        self._writer = None
        if self.frames:
            os.replace(self._partial, self.path)
        else:
            self._partial.unlink(missing_ok=True)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()
