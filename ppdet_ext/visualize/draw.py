"""Boxes with labels on an image, readable on a thumbnail and on a 20 megapixel photo."""

import colorsys

import cv2
import numpy as np

FONT = cv2.FONT_HERSHEY_SIMPLEX
# Long side, in pixels, for which a line is one pixel wide and a capital letter about ten pixels tall.
UNIT_SIDE = 480
BETWEEN_DASHES = (60, 60, 60)
MIN_FONT_SCALE = 0.4  # below this Hershey letters run together
# A golden section of the hue circle apart, so that neighbouring labels never look alike.
HUE_STEP = 0.618034


def class_colour(label):
    """The colour of a class, always the same: (r, g, b), 0..255."""
    lightness = (0.5, 0.62, 0.4)[label % 3]
    return tuple(round(255 * part) for part in colorsys.hls_to_rgb(0.08 + label * HUE_STEP, lightness, 0.9))


def draw_detections(image, detections, score_threshold=0.5, min_side=0):
    """Draw what a detector found.

    Args:
        image (numpy.ndarray): [H, W, 3] uint8 RGB; stays as it is.
        detections (Detections): in pixels of `image`.
        score_threshold (float): least score drawn.
        min_side (int): a smaller image is enlarged until its long side is at least this many pixels, so that
            labels on tiny images can be read; 0 keeps its size.

    Returns:
        numpy.ndarray: [H', W', 3] uint8 RGB, a new image.
    """
    shown = detections.filter(score_threshold)
    texts = [
        f"{ascii_name(shown.names[label], label)} {score:.2f}"
        for label, score in zip(shown.labels, shown.scores)
    ]
    factor = max(1, -(-min_side // max(image.shape[:2])))
    image = (
        cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
        if factor > 1
        else image.copy()
    )
    colours = [class_colour(int(label)) for label in shown.labels]
    return draw_boxes(image, shown.boxes * factor, texts, colours)


def draw_boxes(image, boxes, texts, colours, dashed=False):
    """Draw boxes into an image, the last first, so that the best of a sorted list lies on top.

    Args:
        image (numpy.ndarray): [H, W, 3] uint8 RGB, drawn into.
        boxes (numpy.ndarray): [N, 4] xyxy, pixels; parts outside the image are cut.
        texts (list): N labels; '' for none.
        colours (list): N (r, g, b).
        dashed (bool): dashed lines and labels at the lower edge: for the ground truth under predictions.

    Returns:
        numpy.ndarray: `image`.
    """
    height, width = image.shape[:2]
    line = max(1, round(max(height, width) / UNIT_SIDE))
    for box, text, colour in reversed(list(zip(boxes, texts, colours))):
        # A box may lie anywhere, OpenCV's coordinates are 16 bits in places
        x0, y0, x1, y1 = np.clip(np.round(box), -line, [width, height, width, height]).astype(int).tolist()
        if dashed:
            _dashed_rectangle(image, (x0, y0, x1, y1), colour, line)
        else:
            cv2.rectangle(image, (x0, y0), (x1, y1), colour, line)
        if text:
            _draw_label(image, text, (x0, y0, x1, y1), colour, line, below=dashed)
    return image


def _draw_label(image, text, box, colour, line, below):
    """A label on a plate of the box's colour: outside the box if there is room, within the image."""
    scale = max(MIN_FONT_SCALE, 0.4 * max(image.shape[:2]) / UNIT_SIDE)
    thickness = max(1, round(scale * 1.4))
    (text_width, text_height), base = cv2.getTextSize(text, FONT, scale, thickness)
    plate_width, plate_height = text_width + 2 * line + 2, text_height + base + 2
    x = min(max(box[0] - line // 2, 0), max(image.shape[1] - plate_width, 0))
    if below:
        y = box[3] if box[3] + plate_height <= image.shape[0] else box[3] - plate_height
    else:
        y = box[1] - plate_height if box[1] >= plate_height else box[1]
    y = min(max(y, 0), max(image.shape[0] - plate_height, 0))
    cv2.rectangle(image, (x, y), (x + plate_width, y + plate_height), colour, -1)
    bright = np.dot(colour, (0.299, 0.587, 0.114)) > 140
    cv2.putText(
        image,
        text,
        (x + line + 1, y + text_height + 1),
        FONT,
        scale,
        (0, 0, 0) if bright else (255,) * 3,
        thickness,
        cv2.LINE_AA,
    )


def _dashed_rectangle(image, box, colour, line):
    """A rectangle of dashes, six line widths long and four apart; dark between them, for any ground."""
    x0, y0, x1, y1 = box
    cv2.rectangle(image, (x0, y0), (x1, y1), BETWEEN_DASHES, line)
    for start, end in (
        ((x0, y0), (x1, y0)),
        ((x0, y1), (x1, y1)),
        ((x0, y0), (x0, y1)),
        ((x1, y0), (x1, y1)),
    ):
        start, end = np.array(start, float), np.array(end, float)
        length = np.abs(end - start).sum()
        for at in np.arange(0, length, 10 * line):
            first = start + (end - start) * at / length
            last = start + (end - start) * min(at + 6 * line, length) / length
            cv2.line(image, tuple(first.astype(int).tolist()), tuple(last.astype(int).tolist()), colour, line)


def ascii_name(name, label):
    """The name, or the class's number where OpenCV's font lacks the letters."""
    return name if name.isascii() else f"class {label}"
