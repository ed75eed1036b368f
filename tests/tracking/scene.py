"""A scene whose objects cross and hide, with its truth; a video of it; and detections of any quality."""

import cv2
import numpy as np

from ppdet_ext.runtime import Detections

NAMES = ["square", "disc"]
SIZE = (320, 240)
FRAMES = 120
FPS = 25.0
# First place of the middle, pixels; steps a frame; side; label; the frames (from 1) in which it is there.
OBJECTS = (
    ((20, 60), (2.2, 0.0), 36, 0, range(1, FRAMES + 1)),  # crosses the next one
    ((300, 75), (-2.2, 0.0), 36, 1, range(1, FRAMES + 1)),
    ((30, 215), (2.0, -1.2), 30, 0, [*range(1, 50), *range(62, FRAMES + 1)]),  # unseen for 12 frames
    ((160, 190), (0.6, 0.1), 44, 1, range(20, FRAMES + 1)),  # comes late
    ((285, 20), (-0.5, 1.2), 28, 0, range(1, 80)),  # leaves early
)


def truth(frame):
    """Of a frame (from 1): ids [N], boxes [N, 4] xyxy, labels [N] of the objects there."""
    rows = [
        (number, *(np.add(start, np.multiply(step, frame - 1)) - side / 2), side, label)
        for number, (start, step, side, label, there) in enumerate(OBJECTS, 1)
        if frame in there
    ]
    rows = np.array(rows, float).reshape(-1, 5)
    boxes = np.column_stack([rows[:, 1:3], rows[:, 1:3] + rows[:, 3:4]])
    return rows[:, 0].astype(int), boxes, rows[:, 4].astype(int)


def write_truth(path, frames=FRAMES):
    """The truth in MOTChallenge's format."""
    lines = []
    for frame in range(1, frames + 1):
        ids, boxes, labels = truth(frame)
        for number, (x0, y0, x1, y1), label in zip(ids, boxes, labels):
            lines.append(f"{frame},{number},{x0},{y0},{x1 - x0},{y1 - y0},1,{label + 1},1")
    path.write_text("\n".join(lines) + "\n")
    return path


def picture(frame):
    """[H, W, 3] uint8 RGB: squares are red, discs are green, on grey."""
    image = np.full((SIZE[1], SIZE[0], 3), 70, np.uint8)
    _, boxes, labels = truth(frame)
    for (x0, y0, x1, y1), label in zip(boxes.round().astype(int).tolist(), labels):
        if label:
            cv2.circle(image, ((x0 + x1) // 2, (y0 + y1) // 2), (x1 - x0) // 2, (0, 220, 0), -1)
        else:
            cv2.rectangle(image, (x0, y0), (x1 - 1, y1 - 1), (220, 0, 0), -1)
    return image


def write_scene(path, frames=FRAMES, code="MJPG"):
    """A video of the scene."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*code), FPS, SIZE)
    assert writer.isOpened()
    for frame in range(1, frames + 1):
        writer.write(picture(frame)[..., ::-1].copy())
    writer.release()
    return path


def perfect(frame):
    """Detections that are the truth."""
    _, boxes, labels = truth(frame)
    return Detections(boxes, np.full(len(boxes), 0.9), labels, NAMES)


def noisy(frame, rng):
    """Detections of a mediocre detector: places off by some pixels, weak scores, misses, other classes, and
    objects that are none."""
    _, boxes, labels = truth(frame)
    seen = rng.random(len(boxes)) > 0.08
    boxes, labels = boxes[seen] + rng.normal(0, 1.2, (int(seen.sum()), 4)), labels[seen]
    scores = np.where(rng.random(len(boxes)) < 0.25, rng.uniform(0.15, 0.4, len(boxes)), 0.8)
    labels = np.where(rng.random(len(boxes)) < 0.15, 1 - labels, labels)
    count = rng.poisson(0.4)
    corners = rng.uniform(0, 200, (count, 2))
    boxes = np.concatenate([boxes, np.hstack([corners, corners + rng.uniform(15, 40, (count, 2))])])
    scores = np.append(scores, rng.uniform(0.1, 0.7, count))
    labels = np.append(labels, rng.integers(0, 2, count))
    order = np.argsort(-scores)
    return Detections(boxes[order], scores[order], labels[order], NAMES)
