"""Small real videos, written by OpenCV, whose frames tell their number."""

import cv2
import numpy as np

BITS = 8  # black and white blocks along the lower edge, which compression does not change


def frame(number, size=(64, 48)):
    """[H, W, 3] uint8 RGB: grey, a red square in the upper left corner, and its number (0..255) below."""
    picture = np.full((size[1], size[0], 3), 120, np.uint8)
    picture[:16, :16] = (255, 0, 0)
    for bit in range(BITS):
        picture[-16:, bit * 8 : bit * 8 + 8] = 255 * (number >> bit & 1)
    return picture


def number_in(picture):
    """The number of a frame."""
    blocks = picture[-12:-4, : BITS * 8].reshape(8, BITS, 8, 3)[:, :, 2:6].mean((0, 2, 3))
    return sum((block > 128) << bit for bit, block in enumerate(blocks.tolist()))


def write_video(path, count=30, size=(64, 48), fps=10.0, code="mp4v"):
    """Write frames 0 .. count - 1."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*code), fps, size)
    assert writer.isOpened()
    for number in range(count):
        writer.write(frame(number, size)[..., ::-1].copy())
    writer.release()
    return path


def read_numbers(path):
    """Numbers of all frames of a video, read by OpenCV alone."""
    capture, numbers = cv2.VideoCapture(str(path)), []
    assert capture.isOpened()
    while True:
        found, picture = capture.read()
        if not found:
            return numbers
        numbers.append(number_in(picture))
