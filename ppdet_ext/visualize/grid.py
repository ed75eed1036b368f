"""Contact sheets: many small pictures on one."""

import cv2
import numpy as np

from .draw import FONT, ascii_name, class_colour, draw_boxes, draw_detections

GAP = 6
PAPER = 250
TRUTH_COLOUR = (255, 255, 255)
LEGEND_HEIGHT = 26


def contact_sheet(images, predictions, truths=None, columns=4, tile=320, score_threshold=0.5):
    """Draw detections on images and lay these out in a grid.

    Args:
        images (list): arrays [H, W, 3] uint8 RGB of any size.
        predictions (list): Detections, one an image; drawn solid, with scores, in the colours of their
            classes.
        truths (list | None): Detections with the ground truth, one an image; drawn dashed and white.
        columns (int): pictures a row.
        tile (int): side of the square a picture gets, pixels.
        score_threshold (float): least score drawn.

    Returns:
        numpy.ndarray: [H, W, 3] uint8 RGB.

    Raises:
        ValueError: no images, or not as many predictions or truths.
    """
    images = list(images)
    if not images:
        raise ValueError("contact sheet: no images; give at least one")
    for name, others in (("predictions", predictions), ("truths", truths)):
        if others is not None and len(others) != len(images):
            raise ValueError(
                f"contact sheet: {len(images)} images, but {len(others)} {name}; give one an image"
            )
    cells = []
    for number, image in enumerate(images):
        picture, scale = fit(image, tile)
        if truths is not None:
            truth = truths[number]
            texts = [ascii_name(truth.names[label], label) for label in truth.labels]
            draw_boxes(picture, truth.boxes * scale, texts, [TRUTH_COLOUR] * len(truth), dashed=True)
        found = predictions[number]
        scaled = type(found)(found.boxes * scale, found.scores, found.labels, found.names)
        cells.append(centred(draw_detections(picture, scaled, score_threshold), tile, tile))
    sheet = lay_out(cells, columns, top=LEGEND_HEIGHT if truths is not None else 0)
    if truths is not None:
        _draw_legend(sheet[: LEGEND_HEIGHT + GAP])
    return sheet


def fit(image, side):
    """Scale an image so that its long side is `side`: the copy, and the factor."""
    scale = side / max(image.shape[:2])
    size = tuple(max(1, round(length * scale)) for length in image.shape[1::-1])
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC), scale


def centred(picture, height, width):
    """[height, width, 3]: a picture no larger than this in the middle of paper."""
    cell = np.full((height, width, 3), PAPER, np.uint8)
    y, x = (height - picture.shape[0]) // 2, (width - picture.shape[1]) // 2
    cell[y : y + picture.shape[0], x : x + picture.shape[1]] = picture
    return cell


def lay_out(cells, columns, top=0):
    """Lay pictures of one size out in rows.

    Args:
        cells (list): arrays [h, w, 3] uint8.
        columns (int): cells a row, if there are so many.
        top (int): pixels of paper above the first row.

    Returns:
        numpy.ndarray: [H, W, 3] uint8.
    """
    columns = min(columns, len(cells))
    height, width = cells[0].shape[:2]
    rows = -(-len(cells) // columns)
    sheet = np.full((top + GAP + rows * (height + GAP), GAP + columns * (width + GAP), 3), PAPER, np.uint8)
    for number, cell in enumerate(cells):
        row, column = divmod(number, columns)
        y, x = top + GAP + row * (height + GAP), GAP + column * (width + GAP)
        sheet[y : y + height, x : x + width] = cell
    return sheet


def _draw_legend(strip):
    """Write what solid and dashed mean into a strip [H, W, 3]."""
    strip[:LEGEND_HEIGHT] = 70  # dark, so that the white of the ground truth shows
    swatches = np.array([[10, 7, 34, 19], [150, 7, 174, 19]])
    draw_boxes(strip, swatches[:1], [""], [class_colour(0)])
    draw_boxes(strip, swatches[1:], [""], [TRUTH_COLOUR], dashed=True)
    for x, text in ((42, "predicted"), (182, "ground truth")):
        cv2.putText(strip, text, (x, 18), FONT, 0.45, (255, 255, 255), 1, cv2.LINE_AA)
