"""A video of the demo's digits on their ways over a background, with its truth in MOTChallenge's format."""

import cv2
import numpy as np

from ppdet_ext.data.digit_scenes import draw_background, draw_ink, lay_ink, split_digits

FPS = 25.0
CODE = "MJPG"
# Pixels a frame of a digit at most, as a share of the side: across in three seconds.
FASTEST = 1 / 75


class Digit:
    """One digit, bouncing off the edges of a square scene.

    Args:
        rng (numpy.random.Generator): the only source of chance.
        pool (list): as of `ppdet_ext.data.digit_scenes.split_digits`, a split's.
        size (int): side of the scene, pixels.
    """

    def __init__(self, rng, pool, size):
        self.label = int(rng.integers(10))
        self._alpha = draw_ink(rng, pool[self.label][rng.integers(len(pool[self.label]))], size)
        self._room = np.array([size, size]) - self._alpha.shape[::-1]
        self._seed = int(rng.integers(1 << 31))  # of its colour, the same in every frame
        self._place = rng.uniform(0, 1, 2) * self._room
        self._step = rng.uniform(-1, 1, 2) * FASTEST * size

    def move(self):
        """Takes it to the next frame."""
        self._place = self._place + self._step
        outside = (self._place < 0) | (self._place > self._room)
        self._step = np.where(outside, -self._step, self._step)
        self._place = self._place.clip(0, self._room)

    def draw(self, canvas):
        """Lays it over a canvas [size, size, 3] float32, in place; returns its box, xyxy in pixels."""
        x0, y0 = self._place.round().astype(int)
        height, width = self._alpha.shape
        window = np.s_[y0 : y0 + height, x0 : x0 + width]
        canvas[window] = lay_ink(np.random.default_rng(self._seed), canvas[window], self._alpha)
        return x0, y0, x0 + width, y0 + height


def write_digit_video(video, truth, seed, frames=250, digits=3, size=256):
    """Writes a video and its truth.

    Args:
        video, truth (Path): where they go.
        seed (int): of its digits, which no training has seen, and their ways.
        frames, digits, size (int): how many frames and digits; side, pixels.
    """
    rng = np.random.default_rng([seed, 3])
    pool = split_digits()["val"]
    background = draw_background(rng, size)
    actors = [Digit(rng, pool, size) for _ in range(digits)]
    lines = []
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter_fourcc(*CODE), FPS, (size, size))
    if not writer.isOpened():
        raise ValueError(f"{video}: OpenCV can't write a video here; install opencv-python with FFmpeg")
    for frame in range(1, frames + 1):
        canvas = background.copy()
        for number, actor in enumerate(actors, 1):
            x0, y0, x1, y1 = actor.draw(canvas)
            lines.append(f"{frame},{number},{x0},{y0},{x1 - x0},{y1 - y0},1,{actor.label + 1},1")
            actor.move()
        canvas += 3 * rng.standard_normal(canvas.shape, np.float32)
        writer.write(canvas.clip(0, 255).astype("uint8"))
    writer.release()
    truth.write_text("\n".join(lines) + "\n")
