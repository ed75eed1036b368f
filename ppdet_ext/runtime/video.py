"""Videos and cameras as iterators of images."""

import contextlib
import os
import re
import threading

import cv2

VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".ts", ".flv")
CAMERA = "camera:"
URL = re.compile(r"(rtsps?|rtmp|https?|udp|tcp)://", re.IGNORECASE)
# A file is cut when its last frame stands before its end by more than this share of its length, and by more
# than so many frames. Some formats only estimate their length.
LOST_SHARE, LOST_FRAMES = 0.05, 3


def is_camera(source):
    """Whether `Video(source)` would be live: a number, 'camera:0', 'camera:/dev/video0' or a URL."""
    return isinstance(source, int) or str(source).startswith(CAMERA) or bool(URL.match(str(source)))


class Video:
    """Iterator of the frames of a video or camera, [H, W, 3] uint8 RGB. It can be walked through once, and
    closed from another thread.

    Args:
        source (str | Path | int): a file; the number of a camera, or 'camera:' with its number or device
            path; the URL of a stream (rtsp, http, ...).

    Attributes:
        name (str): the source, for messages; without the user and password of a URL.
        live (bool): whether it is a camera or a stream.
        fps (float | None): frames a second, None if not known.
        size (tuple): width and height, pixels.
        count (int | None): frames of a file, None if not known.

    Raises:
        ValueError: it cannot be opened or has no frames; while iterating: a file ends before its end, a
            camera gives no more frames.
    """

    def __init__(self, source):
        address = f"{CAMERA}{source}" if isinstance(source, int) else os.fspath(source)
        self.live = is_camera(source)
        self.name = re.sub(r"//[^/]*@", "//", address) if URL.match(address) else address
        if not self.live:
            _check_file(address)
        with _quiet():
            self._capture = _open(address)
            # The first frame proves more than 'opened', and its size is the true one of a turned video.
            found, self._first = self._capture.read() if self._capture.isOpened() else (False, None)
        if not found:
            self._capture.release()
            if self.live:
                raise ValueError(f"{self.name}: gives no pictures; check address, connection and rights")
            raise ValueError(
                f"{self.name}: is truncated, has no frames or is no video OpenCV can read; "
                f"copy it again or convert it to .mp4"
            )
        self.size = self._first.shape[1::-1]
        fps = self._capture.get(cv2.CAP_PROP_FPS)
        count = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self.fps = fps if 0 < fps < 1000 else None
        self.count = int(count) if 0 < count < 1e9 and not self.live else None
        self._given, self._seconds = 0, 0.0
        self._closed = False
        self._reading = threading.Lock()

    def __iter__(self):
        return self

    def __next__(self):
        with self._reading:
            frame = None if self._closed else self._grab()
        if self._closed:
            self.close()
            raise StopIteration
        if frame is None:
            self.close()
            self._check_end()
            raise StopIteration
        self._given += 1
        return cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)

    def _grab(self):
        """[H, W, 3] uint8 BGR, None if there is no more."""
        if self._first is not None:
            frame, self._first = self._first, None
        else:
            frame = self._capture.read()[1]
        if frame is not None:
            self._seconds = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        return frame

    def _check_end(self):
        """Refuse an end that comes too early."""
        if self.live:
            raise ValueError(f"{self.name}: gives no more pictures after {self._given}; check the connection")
        if self.count and self.fps:
            lost = self.count / self.fps - self._seconds
            if lost > max(LOST_SHARE * self.count / self.fps, LOST_FRAMES / self.fps):
                raise ValueError(
                    f"{self.name}: is truncated, it ends after {self._given} of {self.count} frames; "
                    f"copy it again"
                )

    def close(self):
        """Let go of the file or camera, at once or, while another thread reads a frame, after that; without a
        wait. It gives no more frames."""
        self._closed = True
        if self._reading.acquire(blocking=False):
            try:
                self._capture.release()
            finally:
                self._reading.release()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()


def _check_file(path):
    if os.path.isdir(path):
        raise ValueError(f"{path}: is a folder; give the videos in it")
    try:
        with open(path, "rb") as file:
            empty = not file.read(1)
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    if empty:
        raise ValueError(f"{path}: is empty (0 bytes); copy the video again")


def _open(name):
    """The capture of a name as `Video` has it."""
    device = name[len(CAMERA) :] if name.startswith(CAMERA) else None
    if device is not None:
        return cv2.VideoCapture(int(device) if device.isdigit() else device)
    # By name: OpenCV's other readers would take 'frame1.mp4' for the first of a series of pictures.
    known = cv2.CAP_FFMPEG in cv2.videoio_registry.getBackends()
    return cv2.VideoCapture(name, cv2.CAP_FFMPEG if known else cv2.CAP_ANY)


@contextlib.contextmanager
def _quiet():
    """Without OpenCV's and FFmpeg's own lines on stderr: what is wrong becomes one ValueError."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    levels = cv2 if hasattr(cv2, "setLogLevel") else cv2.utils.logging
    before = levels.getLogLevel()
    levels.setLogLevel(0)
    try:
        yield
    finally:
        levels.setLogLevel(before)
