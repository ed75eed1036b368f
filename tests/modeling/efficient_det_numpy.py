"""EfficientDet's anchors, assignment and losses once more, in float64 NumPy, by loops and definitions."""

import numpy as np

from ..nn.reference import sigmoid


def anchors_of(side_lengths, strides, anchor_scale, scales, ratios):
    """[L, 4] xyxy.

    Args:
        side_lengths (list): (height, width) of each map.
        ratios (list): width over height, or pairs of factors.
    """
    boxes = []
    for (height, width), stride in zip(side_lengths, strides):
        for y in range(height):
            for x in range(width):
                for step in range(scales):
                    for ratio in ratios:
                        pair = ratio if isinstance(ratio, tuple) else (ratio**0.5, ratio**-0.5)
                        w, h = (anchor_scale * stride * 2 ** (step / scales) * factor for factor in pair)
                        cx, cy = stride / 2 + x * stride, stride / 2 + y * stride
                        boxes.append([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2])
    return np.array(boxes)


def pairwise(gts, anchors):
    """[n, L] IoU, in the precision of the boxes."""
    overlaps = np.zeros((len(gts), len(anchors)), gts.dtype)
    for row, (x1, y1, x2, y2) in enumerate(gts):
        width = np.minimum(x2, anchors[:, 2]) - np.maximum(x1, anchors[:, 0])
        height = np.minimum(y2, anchors[:, 3]) - np.maximum(y1, anchors[:, 1])
        both = np.where((width > 0) & (height > 0), width * height, gts.dtype.type(0))
        areas = (anchors[:, 2] - anchors[:, 0]) * (anchors[:, 3] - anchors[:, 1])
        overlaps[row] = both / ((x2 - x1) * (y2 - y1) + areas - both)
    return overlaps


def match(anchors, gts, real, positive=0.5, negative=0.5, force=True):
    """[L] int: the gt of each anchor of one image, -1 for background, -2 for neither."""
    matches = np.full(len(anchors), -1)
    rows = [row for row in range(len(gts)) if real[row]]
    if not rows:
        return matches
    overlaps = pairwise(gts[rows], anchors)
    for anchor in range(len(anchors)):
        best = overlaps[:, anchor].max()
        first = next(i for i in range(len(rows)) if overlaps[i, anchor] == best)
        matches[anchor] = rows[first] if best >= positive else -1 if best < negative else -2
    if force:
        for i in reversed(range(len(rows))):  # so that the first one writes last
            if overlaps[i].max() > 0:
                matches[overlaps[i].argmax()] = rows[i]
    return matches


def encode(boxes, anchors):
    """[P, 4] (ty, tx, th, tw) of boxes [P, 4] xyxy."""
    sides = [np.maximum(b[:, 2:] - b[:, :2], 1e-8) for b in (boxes, anchors)]
    centres = [(b[:, 2:] + b[:, :2]) / 2 for b in (boxes, anchors)]
    offset, scale = (centres[0] - centres[1]) / sides[1], np.log(sides[0] / sides[1])
    return np.stack([offset[:, 1], offset[:, 0], scale[:, 1], scale[:, 0]], 1)


def decode(codes, anchors):
    """[..., 4] xyxy of codes [..., 4]."""
    width, height = anchors[:, 2] - anchors[:, 0], anchors[:, 3] - anchors[:, 1]
    cy = codes[..., 0] * height + (anchors[:, 1] + anchors[:, 3]) / 2
    cx = codes[..., 1] * width + (anchors[:, 0] + anchors[:, 2]) / 2
    h, w = np.exp(codes[..., 2]) * height, np.exp(codes[..., 3]) * width
    return np.stack([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], -1)


def focal(logits, truth, alpha, gamma):
    """Element by element, with targets of 0 and 1."""
    p = sigmoid(logits)
    right = np.where(truth == 1, p, 1 - p)
    return np.where(truth == 1, alpha, 1 - alpha) * (1 - right) ** gamma * -np.log(right)


def huber(error, delta):
    error = np.abs(error)
    return np.where(error <= delta, error**2 / 2, delta * (error - delta / 2))


def losses(logits, codes, anchors, batch, alpha=0.25, gamma=1.5, delta=0.1, **thresholds):
    """Class and box loss, and the number of positives.

    Args:
        logits (ndarray): [B, L, C]. codes (ndarray): [B, L, 4]. anchors (ndarray): [L, 4].
        batch (tuple): classes [B, n, 1], boxes [B, n, 4], mask [B, n, 1].
    """
    classes, boxes, mask = batch
    class_loss = box_loss = positives = 0
    for image in range(len(logits)):
        found = match(anchors, boxes[image], mask[image, :, 0], **thresholds)
        truth = np.zeros(logits.shape[1:])
        at = np.flatnonzero(found >= 0)
        truth[at, classes[image, found[at], 0]] = 1
        class_loss += focal(logits[image], truth, alpha, gamma)[found != -2].sum()
        if len(at):
            goals = encode(boxes[image, found[at]].astype("float64"), anchors[at].astype("float64"))
            box_loss += huber(codes[image, at] - goals, delta).sum()
        positives += len(at)
    return class_loss / (positives + 1), box_loss / (4 * (positives + 1)), positives
