"""Scenes composed from real handwritten digits: the pictures of the demo set.

The digits are scikit-learn's copy of the UCI test set (1797 scans of 8x8 pixels, 43 writers). A scene
scatters some of them, in several sizes, over a noisy gradient with clutter, so that a detector has to find
small and large, bright and faint, touching and lonely digits, and to leave strokes and blobs alone. The ink
is brighter than what lies behind it, as chalk on a board: that halves the scenes a small network has to see.
"""

import cv2
import numpy as np

# A digit's height as a share of the scene: 20..64 px on a scene of 128.
MIN_HEIGHT, MAX_HEIGHT = 0.16, 0.5
# How much of a digit's box all others together may overlap (a pair counts over its smaller box): IoU stays
# under 0.22, and no digit vanishes behind others.
MAX_COVER = 0.35
# Least difference in brightness (0..255) between a digit and what lies behind it.
MIN_CONTRAST, MAX_CONTRAST = 75, 170
# Opacity from which a pixel counts as ink: the edge a person would draw the box around.
INK = 0.35
EMPTY_SHARE = 0.03
MAX_DIGITS = 6
PLACING_TRIES = 20


def split_digits(val_share=0.2, seed=0):
    """Split the real digit images into disjoint pools, in equal shares of every class.

    Args:
        val_share (float): share of each class that goes to the validation pool.
        seed (int): which images go where.

    Returns:
        dict: 'train' and 'val', each a list of ten arrays [K, 8, 8] float32 in 0..1, indexed by class.

    Raises:
        ValueError: scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise ValueError(
            "demo data: the digits come with scikit-learn, which is not installed; pip install scikit-learn"
        ) from None
    digits = load_digits()
    images = (digits.images / 16.0).astype(np.float32)
    rng = np.random.default_rng([seed, 0])
    pools = {"train": [], "val": []}
    for label in range(10):
        indices = rng.permutation(np.flatnonzero(digits.target == label))
        cut = round(len(indices) * val_share)
        pools["val"].append(images[indices[:cut]])
        pools["train"].append(images[indices[cut:]])
    return pools


def draw_scene(rng, pool, size):
    """Draw one scene.

    Args:
        rng (numpy.random.Generator): the only source of chance.
        pool (list): ten arrays [K, 8, 8] float32 in 0..1, the digit images by class.
        size (int): side of the square scene, pixels.

    Returns:
        tuple: image [size, size, 3] uint8 BGR; boxes [N, 4] int64 xyxy in pixels, right and bottom edges
        exclusive, tight around the ink that stays visible; labels [N] int64 in 0..9.
    """
    canvas = draw_background(rng, size)
    for _ in range(rng.integers(1, 6)):
        _add_clutter(rng, canvas)
    owner = np.full((size, size), -1, np.int64)
    taken, covered, labels = np.zeros((0, 4)), np.zeros(0), []
    wanted = 0 if rng.random() < EMPTY_SHARE else rng.integers(1, MAX_DIGITS + 1)
    for _ in range(wanted):
        label = int(rng.integers(10))
        alpha = draw_ink(rng, pool[label][rng.integers(len(pool[label]))], size)
        place = _find_place(rng, alpha.shape, size, taken, covered)
        if place is None:  # the scene is full
            continue
        (x0, y0, x1, y1), covers = place
        window = np.s_[y0:y1, x0:x1]
        canvas[window] = lay_ink(rng, canvas[window], alpha)
        owner[window][alpha > INK] = len(labels)
        taken = np.vstack([taken, [x0, y0, x1, y1]])
        covered = np.append(covered + covers, covers.sum())
        labels.append(label)
    canvas += rng.uniform(1, 7) * rng.standard_normal(canvas.shape, np.float32)
    image = np.clip(canvas, 0, 255).astype(np.uint8)
    boxes = [_visible_box(owner == i) for i in range(len(labels))]
    return image, np.array(boxes, np.int64).reshape(-1, 4), np.array(labels, np.int64)


def draw_background(rng, size):
    """A gradient between four corner colours with soft stains: [size, size, 3] float32, 0..255."""
    corners = rng.uniform(30, 120) + rng.uniform(-40, 40, (2, 2, 3))
    gradient = cv2.resize(corners.astype(np.float32), (size, size), interpolation=cv2.INTER_LINEAR)
    cells = int(rng.integers(4, 12))
    stains = rng.normal(0, rng.uniform(2, 12), (cells, cells, 3)).astype(np.float32)
    return np.clip(gradient + cv2.resize(stains, (size, size), interpolation=cv2.INTER_CUBIC), 0, 255)


def _add_clutter(rng, canvas):
    """Draw, in place, something that is no digit: a zigzag, a blob, a bar or a cloud of dots."""
    size = len(canvas)
    colour = tuple(float(c) for c in np.clip(canvas.reshape(-1, 3).mean(0) + rng.uniform(-90, 90, 3), 0, 255))
    centre = rng.uniform(0, size, 2)
    kind = rng.integers(4)
    if kind == 0:
        turns = int(rng.integers(5, 9))
        steps = np.stack([np.linspace(-1, 1, turns), np.where(np.arange(turns) % 2, 0.2, -0.2)], 1)
        angle = rng.uniform(0, np.pi)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        points = centre + rng.uniform(0.1, 0.35) * size * steps @ turn
        cv2.polylines(
            canvas, [points.round().astype(np.int32)], False, colour, int(rng.integers(1, 4)), cv2.LINE_AA
        )
    elif kind == 1:
        axes = tuple(int(a) for a in rng.uniform(0.03, 0.12, 2) * size + 1)
        cv2.ellipse(
            canvas,
            tuple(int(c) for c in centre),
            axes,
            float(rng.uniform(0, 180)),
            0,
            360,
            colour,
            -1,
            cv2.LINE_AA,
        )
    elif kind == 2:
        angle = rng.uniform(0, np.pi)
        reach = size * np.array([np.cos(angle), np.sin(angle)])
        ends = np.stack([centre - reach, centre + reach]).round().astype(int)
        cv2.line(
            canvas,
            tuple(map(int, ends[0])),
            tuple(map(int, ends[1])),
            colour,
            int(rng.integers(1, 5)),
            cv2.LINE_AA,
        )
    else:
        dots = centre + rng.normal(0, 0.08 * size, (int(rng.integers(6, 25)), 2))
        for x, y in dots.round().astype(int):
            cv2.circle(canvas, (int(x), int(y)), int(rng.integers(1, 3)), colour, -1, cv2.LINE_AA)


def draw_ink(rng, digit, size):
    """Enlarge an 8x8 scan to a smooth mask of ink [H, W] float32 in 0..1, cut where its soft edge ends."""
    height = size * np.exp(rng.uniform(np.log(MIN_HEIGHT), np.log(MAX_HEIGHT)))
    rows, cols = np.nonzero(digit > 0.25)
    rise, width = np.ptp(rows) + 1, np.ptp(cols) + 1
    zoom_y = height / rise
    zoom_x = zoom_y * rng.uniform(0.8, 1.1)
    side = int(np.ceil(1.7 * max(rise * zoom_y, width * zoom_x))) + 4
    angle, slant = rng.uniform(-0.15, 0.15), rng.uniform(-0.15, 0.15)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = turn @ np.array([[1, slant], [0, 1]]) @ np.diag([zoom_x, zoom_y])
    middle = np.array([cols.min() + (width - 1) / 2, rows.min() + (rise - 1) / 2])
    shift = side / 2 - matrix @ middle
    mask = cv2.warpAffine(digit, np.column_stack([matrix, shift]), (side, side), flags=cv2.INTER_CUBIC)
    mask = cv2.GaussianBlur(mask, (0, 0), max(0.15 * zoom_y, 0.3))
    alpha = np.clip((mask - 0.28) / 0.4, 0, 1)
    alpha = alpha * alpha * (3 - 2 * alpha)  # smoothstep: a crisp but not jagged edge
    x0, y0, x1, y1 = _visible_box(alpha > 0.02)
    return alpha[y0:y1, x0:x1]


def _find_place(rng, shape, size, taken, covered):
    """A place for a mask of this shape among boxes `taken` [N, 4], whose shares `covered` [N] are hidden.

    Returns its box (x0, y0, x1, y1) and the shares [N] it covers, or None after PLACING_TRIES misses.
    """
    height, width = shape
    if height > size or width > size:
        return None
    for _ in range(PLACING_TRIES):
        x, y = int(rng.integers(size - width + 1)), int(rng.integers(size - height + 1))
        box = (x, y, x + width, y + height)
        covers = _cover(np.array(box), taken)
        if covers.sum() < MAX_COVER and (covered + covers < MAX_COVER).all():
            return box, covers
    return None


def _cover(box, others):
    """Intersections of a box [4] with `others` [N, 4], each over the area of the smaller one: [N]."""
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    areas = (others[:, 2:] - others[:, :2]).prod(1)
    return np.maximum(sides, 0).prod(1) / np.minimum(areas, (box[2:] - box[:2]).prod())


def lay_ink(rng, behind, alpha):
    """Lay ink of a brighter colour over `behind` [H, W, 3] float32; the result has the same shape."""
    base = behind.mean((0, 1))
    colour = np.clip(base + rng.uniform(MIN_CONTRAST, MAX_CONTRAST) + rng.uniform(-30, 30, 3), 0, 255)
    opacity = (rng.uniform(0.85, 1) * alpha)[..., None]
    return (behind * (1 - opacity) + colour * opacity).astype(np.float32)


def _visible_box(mask):
    """The tight box (x0, y0, x1, y1) around the true pixels, right and bottom exclusive."""
    rows, cols = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return cols[0], rows[0], cols[-1] + 1, rows[-1] + 1
