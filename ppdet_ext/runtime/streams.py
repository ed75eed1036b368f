"""Several sources of images as one, each read by a thread of its own."""

import os
import threading
import time
from collections import deque
from typing import Any, NamedTuple, Optional

from .pipeline import FLUSH

# Frames of a source that wait to be taken, where none is dropped.
WAITING = 2
# How long a wait for images lasts before FLUSH comes again, so that whoever takes them can end; seconds.
LOOK = 0.1
# How long the end waits for sources that are stuck in a read, all in all; then their threads are left alone.
PATIENCE = 2.0


class Frame(NamedTuple):
    """One image of a source, or the reason why there are no more.

    Args:
        source (int): number of the source.
        number (int): of the image within the source, dropped ones counted in.
        image: what the source gave.
        error (Exception | None): what the source raised; then there is no image.
    """

    source: int
    number: int
    image: Any = None
    error: Optional[Exception] = None


class Merged:
    """Iterable of the Frames of several sources as they come, for a Pipeline.

    It gives FLUSH when nothing is waiting. Sources take turns, so that a fast one leaves room for the others.

    Args:
        sources (list): iterables of images.
        latest (bool): keep the last image of a source only, in place of letting the source wait.

    Raises:
        ValueError: `sources` is a single image or path.
    """

    def __init__(self, sources, latest=False):
        if isinstance(sources, (str, os.PathLike)) or hasattr(sources, "ndim"):
            raise ValueError(f"sources is a {type(sources).__name__}; give a list of iterables of images")
        self.sources = list(sources)
        self.latest = latest
        self.changed = threading.Condition()
        self.waiting = [deque() for _ in self.sources]
        self.ended = [False] * len(self.sources)  # asked to end
        self.over = [False] * len(self.sources)  # has ended
        self.turn = 0

    def end(self, source):
        """Read a source no further; what it has waiting is dropped."""
        with self.changed:
            self.ended[source] = True
            self.waiting[source].clear()
            self.changed.notify_all()

    def __iter__(self):
        readers = [
            threading.Thread(
                target=self._read, args=(number, source), name=f"ppdet_ext source {number}", daemon=True
            )
            for number, source in enumerate(self.sources)
        ]
        for reader in readers:
            reader.start()
        try:
            while True:
                with self.changed:
                    frame = self._take()
                    if frame is None and all(self.over):
                        return
                yield FLUSH if frame is None else frame
                if frame is None:
                    with self.changed:
                        self.changed.wait_for(self._is_something, LOOK)
        finally:
            for number in range(len(self.sources)):
                self.end(number)
            last = time.monotonic() + PATIENCE
            for reader in readers:
                reader.join(max(0.0, last - time.monotonic()))

    def _is_something(self):
        return any(self.waiting) or all(self.over)

    def _take(self):
        """The next waiting Frame, taken from the sources in turn; None if there is none."""
        for ahead in range(len(self.sources)):
            number = (self.turn + ahead) % len(self.sources)
            if self.waiting[number]:
                self.turn = number + 1
                self.changed.notify_all()
                return self.waiting[number].popleft()
        return None

    def _read(self, source, images):
        """A source's thread: read until it ends, fails or is asked to end, and close it."""
        number, failure, items = 0, None, None
        try:
            items = iter(images)
            for number, image in enumerate(items):
                if not self._put(Frame(source, number, image)):
                    break
        except Exception as error:  # the source's own; told with its results
            failure = error
        try:
            getattr(items, "close", lambda: None)()
        except Exception as error:  # as above
            failure = failure or error
        with self.changed:
            if failure is not None and not self.ended[source]:
                self.waiting[source].append(Frame(source, number, error=failure))
            self.over[source] = True
            self.changed.notify_all()

    def _put(self, frame):
        """Leave a Frame to be taken; False when the source is asked to end."""
        with self.changed:
            waiting = self.waiting[frame.source]
            if self.latest:
                waiting.clear()
            self.changed.wait_for(lambda: self.ended[frame.source] or len(waiting) < WAITING)
            if self.ended[frame.source]:
                return False
            waiting.append(frame)
            self.changed.notify_all()
            return True
