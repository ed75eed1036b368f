"""Contact sheets of annotated pictures: boxes in the colours of their classes, which a legend names."""

import cv2
import numpy as np

from .draw import FONT, ascii_name, class_colour, draw_boxes
from .grid import GAP, PAPER, centred, fit, lay_out

CAPTION_HEIGHT = 18
TEXT_SCALE = 0.42
LEGEND_ROW = 22
SWATCH = 12
# With more boxes than this in a picture their labels would cover it; the legend has to do.
MOST_LABELS = 12
LONGEST_LABEL = 18
OTHERS = (150, 150, 150)
GREY = (70, 70, 70)


def annotation_sheet(pictures, columns=4, tile=400, only=None):
    """Draw annotated boxes on pictures and lay these out in a grid.

    Args:
        pictures (iterable): pairs of an image [H, W, 3] uint8 RGB and its Detections, whose `source` is
            written below it; taken one by one.
        columns (int): pictures a row.
        tile (int): side of the square a picture gets, pixels.
        only (int | None): label of the one class that is drawn in colour; the others are thin and grey.

    Returns:
        numpy.ndarray: [H, W, 3] uint8 RGB.

    Raises:
        ValueError: no pictures.
    """
    drawn, captions, shown = [], [], {}
    for image, truth in pictures:
        drawn.append(_draw(image, truth, tile, only))
        captions.append(_caption(truth, tile))
        for label in truth.labels.tolist():
            if only in (None, label):
                shown[label] = truth.names[label]
    if not drawn:
        raise ValueError("sheet of annotations: no pictures to show")
    height = max(picture.shape[0] for picture in drawn)  # pictures in a row waste no paper if all are wide
    cells = [
        np.vstack([centred(picture, height, tile), caption]) for picture, caption in zip(drawn, captions)
    ]
    width = GAP + min(columns, len(cells)) * (tile + GAP)
    places = _legend_places(sorted(shown.items()), width)
    sheet = lay_out(cells, columns, top=(places[-1][2] + 1) * LEGEND_ROW if places else 0)
    for label, x, row, text in places:
        y = GAP + row * LEGEND_ROW
        cv2.rectangle(sheet, (x, y), (x + SWATCH, y + SWATCH), class_colour(label), -1)
        cv2.putText(
            sheet, text, (x + SWATCH + 5, y + SWATCH - 1), FONT, TEXT_SCALE, (0, 0, 0), 1, cv2.LINE_AA
        )
    return sheet


def _draw(image, truth, tile, only):
    """The picture with its boxes, its long side as long as the tile."""
    picture, scale = fit(image, tile)
    coloured = truth if only is None else truth[truth.labels == only]
    if only is not None:
        others = truth[truth.labels != only]
        draw_boxes(picture, others.boxes * scale, [""] * len(others), [OTHERS] * len(others))
    labels = coloured.labels.tolist()
    texts = [_shortened(ascii_name(coloured.names[label], label), LONGEST_LABEL) for label in labels]
    if len(labels) > MOST_LABELS:
        texts = [""] * len(labels)
    return draw_boxes(picture, coloured.boxes * scale, texts, [class_colour(label) for label in labels])


def _caption(truth, width):
    """[CAPTION_HEIGHT, width, 3]: the end of the picture's name, as much as fits, and its number of boxes."""
    boxes = f" ({len(truth)})"
    name = ascii(truth.source or "")[1:-1]
    start = 0
    while start < len(name) and _text_width(_end(name, start) + boxes) > width:
        start += 1
    caption = np.full((CAPTION_HEIGHT, width, 3), PAPER, np.uint8)
    cv2.putText(caption, _end(name, start) + boxes, (0, 13), FONT, TEXT_SCALE, GREY, 1, cv2.LINE_AA)
    return caption


def _end(name, start):
    return f"..{name[start:]}" if start else name


def _legend_places(entries, width):
    """(label, x, row, text) of each class, in rows no wider than the sheet."""
    places, x, row = [], GAP, 0
    for label, name in entries:
        text = _shortened(ascii_name(name, label), 2 * LONGEST_LABEL)
        needed = SWATCH + 5 + _text_width(text) + 16
        if x > GAP and x + needed > width:
            x, row = GAP, row + 1
        places.append((label, x, row, text))
        x += needed
    return places


def _text_width(text):
    return cv2.getTextSize(text, FONT, TEXT_SCALE, 1)[0][0]


def _shortened(name, most):
    return name if len(name) <= most else f"{name[: most - 2]}.."
