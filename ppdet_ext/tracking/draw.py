"""Videos with numbered objects, the ways they came and how many there are."""

from collections import deque

import cv2
import numpy as np

from ..visualize.draw import FONT, MIN_FONT_SCALE, UNIT_SIDE, ascii_name, class_colour, draw_boxes
from ..visualize.video import DrawnVideo

# How long a trail is, and how long it stays after its object has gone; seconds.
TRAIL_SECONDS = 2.0


class TrackedVideo(DrawnVideo):
    """A video of frames with their tracks drawn, made beside what else goes on.

    Args:
        path (str | Path), fps (float): as of `VideoWriter`.
    """

    def __init__(self, path, fps):
        super().__init__(path, fps, 0.0)
        self._trails = Trails(max(2, round(TRAIL_SECONDS * fps)))

    def write(self, frame, tracked, counts, seconds=None):
        """Add a frame [H, W, 3] uint8 RGB with its Tracked and the texts of its counts."""
        super().write(frame, (tracked, counts), seconds)

    def _draw(self, frame, detections, seconds):
        tracked, counts = detections
        self._trails.add(tracked)
        picture = draw_tracks(frame, tracked, self._trails)
        self._writer.write(draw_counts(picture, counts), seconds)


class Trails:
    """The last places of objects: the middles of their boxes' lower edges, where they stand.

    Args:
        length (int): frames.
    """

    def __init__(self, length):
        self.length = length
        self.frame = 0
        self.points = {}

    def add(self, tracked):
        """Take the next frame's Tracked; forget what is too old."""
        self.frame += 1
        for number, (x0, _, x1, y1) in zip(tracked.ids.tolist(), tracked.detections.boxes.tolist()):
            self.points.setdefault(number, deque()).append((self.frame, (x0 + x1) / 2, y1))
        for number, points in list(self.points.items()):
            while points and points[0][0] <= self.frame - self.length:
                points.popleft()
            if not points:
                del self.points[number]


def draw_tracks(image, tracked, trails):
    """Draw objects with their numbers, and their trails.

    Args:
        image (numpy.ndarray): [H, W, 3] uint8 RGB; stays as it is.
        tracked (Tracked): in pixels of `image`.
        trails (Trails): as of this frame.

    Returns:
        numpy.ndarray: a new image; an object has the same colour in every frame.
    """
    image = image.copy()
    line = max(1, round(max(image.shape[:2]) / UNIT_SIDE))
    limit = 4 * max(image.shape[:2])  # OpenCV's coordinates are 16 bits in places
    for number, points in trails.points.items():
        way = np.clip([point[1:] for point in points], -limit, limit).round().astype(np.int32)
        cv2.polylines(image, [way], False, class_colour(number), line, cv2.LINE_AA)
    found = tracked.detections
    texts = [
        f"#{number} {ascii_name(found.names[label], label)}"
        for number, label in zip(tracked.ids.tolist(), found.labels.tolist())
    ]
    return draw_boxes(image, found.boxes, texts, [class_colour(number) for number in tracked.ids.tolist()])


def draw_counts(image, texts):
    """Write lines of text on a dark plate in the upper left corner.

    Args:
        image (numpy.ndarray): [H, W, 3] uint8 RGB, drawn into.
        texts (list): of str; those that find no room are left out.

    Returns:
        numpy.ndarray: `image`.
    """
    scale = max(MIN_FONT_SCALE, 0.4 * max(image.shape[:2]) / UNIT_SIDE)
    thickness = max(1, round(scale * 1.4))
    sizes = [cv2.getTextSize(text, FONT, scale, thickness) for text in texts]
    step = max((height + base + 2 for (_, height), base in sizes), default=0)
    room = image.shape[0] // max(step, 1)
    width = max((size[0] for size, _ in sizes[:room]), default=0) + 6
    plate = image[: step * min(len(texts), room), :width]
    plate //= 4
    for number, (text, ((_, height), _)) in enumerate(zip(texts[:room], sizes)):
        cv2.putText(
            image, text, (3, number * step + height + 2), FONT, scale, (255,) * 3, thickness, cv2.LINE_AA
        )
    return image
