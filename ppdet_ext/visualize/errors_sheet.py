"""A detector's worst errors, close up: what it misses and what it sees where nothing is."""

from dataclasses import dataclass

import cv2
import numpy as np

from .draw import FONT, ascii_name, class_colour, draw_boxes
from .grid import PAPER, TRUTH_COLOUR, lay_out

CAPTION_HEIGHT = 36
CAPTION_SCALE = 0.38
# A close-up shows so much of the surroundings, in sides of the box, and at least so many pixels.
SURROUNDINGS = 3.0
LEAST_SIDE = 96


@dataclass
class CloseUp:
    """One error.

    Args:
        image (ndarray): [H, W, 3] uint8 RGB, the whole picture.
        box (ndarray): [4] xyxy, pixels: what the close-up is about.
        prediction (Detections): what the detector found in the picture, of any score that is to be drawn.
        truth (Detections): the annotated boxes of the picture.
        lines (list[str]): at most two lines of caption.
    """

    image: np.ndarray
    box: np.ndarray
    prediction: object
    truth: object
    lines: list


def errors_sheet(close_ups, columns=6, tile=200):
    """Lays close-ups out in a grid: annotated boxes dashed and white, detections solid, in class colours.

    Args:
        close_ups (list[CloseUp])
        columns (int): close-ups a row.
        tile (int): side of a close-up, pixels.

    Returns:
        ndarray: [H, W, 3] uint8 RGB.

    Raises:
        ValueError: no close-ups.
    """
    if not close_ups:
        raise ValueError("sheet of errors: there are none to show")
    return lay_out([_cell(close_up, tile) for close_up in close_ups], columns)


def _cell(close_up, tile):
    """[tile + CAPTION_HEIGHT, tile, 3]: the picture over its caption."""
    cell = np.full((tile + CAPTION_HEIGHT, tile, 3), PAPER, np.uint8)
    cell[:tile] = _picture(close_up, tile)
    for place, line in enumerate(close_up.lines[:2]):
        at = (0, tile + 14 + 15 * place)
        cv2.putText(cell, line, at, FONT, CAPTION_SCALE, (0, 0, 0), 1, cv2.LINE_AA)
    return cell


def _picture(close_up, tile):
    """[tile, tile, 3]: the surroundings of the box, grey where the picture ends."""
    x1, y1, x2, y2 = close_up.box
    side = max(SURROUNDINGS * max(x2 - x1, y2 - y1), LEAST_SIDE)
    corner = np.array([(x1 + x2 - side) / 2, (y1 + y2 - side) / 2])
    scale = tile / side
    matrix = np.array([[scale, 0, -corner[0] * scale], [0, scale, -corner[1] * scale]])
    picture = cv2.warpAffine(
        close_up.image, matrix, (tile, tile), flags=cv2.INTER_LINEAR, borderValue=(128, 128, 128)
    )
    shift = np.tile(corner, 2)
    truth, found = close_up.truth, close_up.prediction
    middles = (truth.boxes[:, :2] + truth.boxes[:, 2:]) / 2 - corner
    truth = truth[
        ((middles > 0) & (middles < side)).all(1)
    ]  # those outside would leave their names at the edge
    draw_boxes(
        picture,
        (truth.boxes - shift) * scale,
        [ascii_name(truth.names[label], label) for label in truth.labels],
        [TRUTH_COLOUR] * len(truth),
        dashed=True,
    )
    return draw_boxes(
        picture,
        (found.boxes - shift) * scale,
        [
            f"{ascii_name(found.names[label], label)} {score:.2f}"
            for label, score in zip(found.labels, found.scores)
        ],
        [class_colour(int(label)) for label in found.labels],
    )
