"""Contact sheets of suspicious samples: the box in question in a signal colour, and what is said about it."""

from dataclasses import dataclass
from typing import List, Optional

import cv2
import numpy as np

from ..runtime.image import read_image
from .draw import FONT, draw_boxes
from .grid import PAPER, centred, fit, lay_out

SIGNAL = (255, 0, 200)
OTHERS = (255, 220, 0)
GROUND = (128, 128, 128)
TEXT_SCALE = 0.4
LINE_HEIGHT = 15
MOST_LINES = 4
# So many samples make a sheet; more are nobody's to look at.
MOST = 24
# A box smaller than this on the sheet, in pixels, is ringed.
VISIBLE = 14
# A box may lie far outside its picture: so much of the surroundings is shown, in sides of the picture.
AROUND = 0.5


@dataclass
class Tile:
    """A sample.

    Args:
        path (str): of the picture; one that can't be read becomes an empty frame.
        lines (list[str]): what is said about it.
        box (tuple | None): x, y, width, height in pixels: what it is about.
        twin (str | None): path of a picture that is shown beside it.
        others (list): further boxes, x, y, width, height.
    """

    path: str
    lines: List[str]
    box: Optional[tuple] = None
    twin: Optional[str] = None
    others: tuple = ()


def findings_sheet(tiles, columns=4, tile=320):
    """Lays samples out in a grid.

    Args:
        tiles (list[Tile])
        columns (int): samples a row.
        tile (int): side of the square a picture gets, pixels; a pair gets two halves.

    Returns:
        ndarray: [H, W, 3] uint8 RGB.

    Raises:
        ValueError: no samples.
    """
    if not tiles:
        raise ValueError("sheet of findings: there are none to show")
    cells = [_cell(sample, tile) for sample in tiles]
    height = max(cell.shape[0] for cell in cells)  # a pair is lower than a picture
    blank = ((0, 0), (0, 0))
    cells = [np.pad(c, ((0, height - len(c)), *blank), constant_values=PAPER) for c in cells]
    return lay_out(cells, columns)


def _cell(sample, tile):
    """[H, tile, 3]: the picture, or the pair, and its caption."""
    if sample.twin is None:
        picture = _picture(sample, tile)
    else:
        half = tile // 2 - 2
        pair = [_picture(Tile(path, []), half) for path in (sample.path, sample.twin)]
        picture = np.hstack([pair[0], np.full((half, tile - 2 * half, 3), PAPER, np.uint8), pair[1]])
    caption = np.full((MOST_LINES * LINE_HEIGHT + 4, tile, 3), PAPER, np.uint8)
    lines = [line for text in sample.lines for line in _wrapped(text, tile)]
    for number, line in enumerate(lines[:MOST_LINES]):
        at = (0, LINE_HEIGHT * (number + 1) - 3)
        cv2.putText(caption, line, at, FONT, TEXT_SCALE, (60, 60, 60), 1, cv2.LINE_AA)
    return np.vstack([picture, caption])


def _picture(sample, tile):
    """[tile, tile, 3]: the picture with its boxes, and as much of its surroundings as they need."""
    try:
        image = read_image(sample.path)
    except ValueError:
        return _empty(tile)
    height, width = image.shape[:2]
    left = top = right = bottom = 0
    if sample.box is not None:
        x, y, box_width, box_height = sample.box
        most = np.array([width, height, width, height]) * AROUND
        over = np.array([-x, -y, x + box_width - width, y + box_height - height])
        left, top, right, bottom = np.clip(np.ceil(over), 0, most).astype(int).tolist()
    framed = cv2.copyMakeBorder(image, top, bottom, left, right, cv2.BORDER_CONSTANT, value=GROUND)
    picture, scale = fit(framed, tile)
    boxes = [*sample.others, *([sample.box] if sample.box is not None else [])]
    if boxes:
        corners = np.array(boxes, float) + np.array([left, top, 0, 0])
        corners[:, 2:] += corners[:, :2]
        corners *= scale
        colours = [OTHERS] * len(sample.others) + [SIGNAL] * (sample.box is not None)
        # The first is drawn last.
        draw_boxes(picture, corners[::-1], [""] * len(boxes), colours[::-1])
        if sample.box is not None:
            _ring(picture, corners[-1])
    return centred(picture, tile, tile)


def _ring(picture, corners):
    """A circle around a box that is too small to be seen."""
    x1, y1, x2, y2 = corners
    if max(x2 - x1, y2 - y1) < VISIBLE:
        centre = np.clip([(x1 + x2) / 2, (y1 + y2) / 2], 0, picture.shape[1::-1])
        cv2.circle(picture, tuple(np.round(centre).astype(int).tolist()), VISIBLE, SIGNAL, 2, cv2.LINE_AA)


def _empty(tile):
    """A crossed frame, for what is no picture."""
    frame = np.full((tile, tile, 3), PAPER - 20, np.uint8)
    cv2.rectangle(frame, (0, 0), (tile - 1, tile - 1), GROUND, 1)
    for ends in (((0, 0), (tile, tile)), ((0, tile), (tile, 0))):
        cv2.line(frame, *ends, GROUND, 1, cv2.LINE_AA)
    return frame


def _wrapped(text, width):
    """Lines that are no wider, broken at blanks and, where there are none, anywhere; letters that OpenCV's
    font lacks are written as their codes."""
    line, lines = "", []
    for word in ascii(text)[1:-1].replace("\\\\", "\\").split(" "):
        if line and _width(f"{line} {word}") <= width:
            line = f"{line} {word}"
            continue
        if line:
            lines.append(line)
        while _width(word) > width:
            cut = next(n for n in range(len(word) - 1, 0, -1) if _width(word[:n]) <= width)
            lines.append(word[:cut])
            word = word[cut:]
        line = word
    return [*lines, line]


def _width(text):
    return cv2.getTextSize(text, FONT, TEXT_SCALE, 1)[0][0]
