"""Scenes for the label assigners: gts, predictions and anchors, random and adversarial."""

from types import SimpleNamespace

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import numpy as np
import paddle
import pytest

STRIDES = (32, 16, 8)
CLASSES = 7


def grid(height, width, strides=STRIDES):
    """Anchor boxes, points, strides and anchors a level of an image, as PaddleDetection's."""
    points, per_anchor, counts = [], [], []
    for stride in strides:
        y, x = np.meshgrid(np.arange(height // stride), np.arange(width // stride), indexing="ij")
        points.append((np.stack([x, y], -1).reshape(-1, 2) + 0.5) * stride)
        per_anchor.append(np.full((len(points[-1]), 1), stride))
        counts.append(len(points[-1]))
    points, per_anchor = (np.concatenate(a).astype("float32") for a in (points, per_anchor))
    return (
        np.concatenate([points - 2.5 * per_anchor, points + 2.5 * per_anchor], -1),
        points,
        per_anchor,
        counts,
    )


def random_boxes(rng, shape, size, smallest=4.0):
    center = rng.random((*shape, 2)) * size
    half = np.exp(rng.uniform(np.log(smallest), np.log(size * 0.6), (*shape, 2))) / 2
    return np.concatenate([center - half, center + half], -1).clip(0, size).astype("float32")


def make_scene(seed=0, size=160, gts=(5, 3), change=None):
    """A namespace of NumPy arrays.

    Args:
        gts: real gts of each image; the others are padded to the most of them.
        change: called with (scene, rng) to make it adversarial.
    """
    rng = np.random.default_rng(seed)
    s = SimpleNamespace(size=size)
    s.anchors, s.points, s.strides, s.counts = grid(size, size)
    batch, most, num = len(gts), max(max(gts), 1), len(s.points)
    s.mask = (np.arange(most) < np.array(gts)[:, None]).astype("float32")[..., None]
    s.boxes = random_boxes(rng, (batch, most), size) * s.mask
    s.labels = (rng.integers(0, CLASSES, (batch, most, 1)) * s.mask).astype("int64")
    reach = rng.exponential(3, (2, batch, num, 2)) * s.strides
    s.pred_boxes = np.concatenate([s.points - reach[0], s.points + reach[1]], -1).astype("float32")
    s.pred_scores = (rng.random((batch, num, CLASSES)) ** 4).astype("float32")
    if change is not None:
        change(s, rng)
    return s


def _duplicates(s, rng):
    s.boxes[:, 1::2] = s.boxes[:, 0:1]
    s.labels[:, 1::2] = s.labels[:, 0:1]


def _integer_centers(s, rng):
    # Centres on corners and middles of cells: distances tie by the dozen.
    center = rng.integers(2, s.size // 8 - 2, s.boxes.shape[:2] + (2,)) * 8
    half = rng.integers(1, 12, s.boxes.shape[:2] + (2,)) * 4
    s.boxes = np.concatenate([center - half, center + half], -1).astype("float32") * s.mask


def _nested(s, rng):
    half = np.linspace(6, s.size / 2, s.boxes.shape[1], dtype="float32")[:, None]
    s.boxes = (
        np.concatenate([s.size / 2 - half, s.size / 2 - half, s.size / 2 + half, s.size / 2 + half], -1)
        * s.mask
    )


def _equal_predictions(s, rng):
    s.pred_boxes[:] = s.boxes[:, :1]
    s.pred_scores[:] = 0.25


def _few_predictions(s, rng):
    away = rng.random(s.pred_boxes.shape[:2]) < 0.9
    s.pred_boxes[away] = np.float32([-90, -90, -80, -80])


def _no_overlap(s, rng):
    s.pred_boxes[:] = np.float32([-90, -90, -80, -80])


def _zero_scores(s, rng):
    s.pred_scores[:] = 0


def _underflow(s, rng):
    # IoU near 1e-6: its sixth power is denormal or zero.
    middle = (s.pred_boxes[..., :2] + s.pred_boxes[..., 2:]) / 2
    half = rng.uniform(0.001, 0.1, middle.shape).astype("float32")
    s.pred_boxes = np.concatenate([middle - half, middle + half], -1)


def _outside(s, rng):
    s.boxes[:, ::2] += np.float32(3 * s.size) * s.mask[:, ::2]
    s.boxes[:, 1::4] -= np.float32(0.5 * s.size) * s.mask[:, 1::4]


def _tiny(s, rng):
    corner = rng.random(s.boxes.shape[:2] + (2,)) * (s.size - 4)
    s.boxes = np.concatenate([corner, corner + rng.uniform(0.1, 4, corner.shape)], -1)
    s.boxes = s.boxes.astype("float32") * s.mask


def _holes(s, rng):
    s.mask[:, ::3] = 0
    s.boxes *= s.mask


def _padding_with_boxes(s, rng):
    # Padded rows that still hold boxes, before, between and after the real ones, and overlap
    # more with some anchors that two real ones want.
    s.boxes[:, 10:20] = s.boxes[:, :10] + np.float32([3, 0, 3, 0])
    s.boxes[:, 20:] = s.boxes[:, :10] + np.float32([0, 3, 0, 3])
    s.mask[:, :20:4] = 0
    s.mask[:, 20:] = 0


SCENES = {
    "plain": {"size": 320, "gts": (20, 7)},
    "odd_level_sizes": {"gts": (33, 5, 33)},
    "large": {"size": 640, "gts": (300, 30)},
    "one_gt": {"gts": (1,)},
    "an_image_without": {"gts": (4, 0, 6)},
    "only_padding": {"gts": (0, 0)},
    "duplicates": {"gts": (8, 6), "change": _duplicates},
    "integer_centers": {"size": 320, "gts": (60, 60), "change": _integer_centers},
    "integer_centers_odd": {"size": 224, "gts": (9, 12), "change": _integer_centers},
    "nested": {"gts": (12, 12), "change": _nested},
    "equal_predictions": {"size": 320, "gts": (9, 4), "change": _equal_predictions},
    "few_predictions": {"size": 320, "gts": (25, 9), "change": _few_predictions},
    "few_predictions_odd": {"gts": (25, 25), "change": _few_predictions},
    "no_overlap": {"size": 320, "gts": (9, 5), "change": _no_overlap},
    "zero_scores": {"gts": (9, 5), "change": _zero_scores},
    "underflow": {"gts": (9, 9), "change": _underflow},
    "outside": {"gts": (9, 7), "change": _outside},
    "tiny": {"size": 320, "gts": (30, 30), "change": _tiny},
    "holes": {"gts": (9, 9), "change": _holes},
    "padding_with_boxes": {"size": 320, "gts": (30, 30), "change": _padding_with_boxes},
}


@pytest.fixture(scope="session", params=sorted(SCENES))
def scene(request):
    return make_scene(seed=sorted(SCENES).index(request.param), **SCENES[request.param])


@pytest.fixture(scope="session")
def new_scene():
    """`make_scene`, for tests that need a scene of their own."""
    return make_scene


def _tensors(*arrays):
    return [None if a is None else paddle.to_tensor(a) for a in arrays]


@pytest.fixture(scope="session")
def run_tal():
    """Runs a task-aligned assigner on a scene: four arrays."""

    def run(assigner, s, dtype="int64", bg_index=CLASSES, **kwargs):
        scores, boxes, points, labels, gts, mask = _tensors(
            s.pred_scores, s.pred_boxes, s.points, s.labels.astype(dtype), s.boxes, s.mask
        )
        out = assigner(scores, boxes, points, s.counts, labels, gts, mask, bg_index, **kwargs)
        return [t.numpy() for t in out]

    return run


@pytest.fixture(scope="session")
def run_atss():
    """Runs an ATSS assigner on a scene: four arrays."""

    def run(assigner, s, dtype="int64", bg_index=CLASSES, pred=True, gt_scores=None):
        anchors, labels, gts, mask, pred_boxes, gt_scores = _tensors(
            s.anchors, s.labels.astype(dtype), s.boxes, s.mask, s.pred_boxes if pred else None, gt_scores
        )
        out = assigner(
            anchors, s.counts, labels, gts, mask, bg_index, gt_scores=gt_scores, pred_bboxes=pred_boxes
        )
        return [t.numpy() for t in out]

    return run


@pytest.fixture(scope="session")
def assert_same():
    """Asserts that the four outputs agree to the last bit, and their dtypes with the gts'."""

    def check(ours, upstream, dtype="int64"):
        assert len(ours) == len(upstream) == 4
        assert ours[0].dtype == dtype
        for name, a, b in zip(("labels", "boxes", "scores", "mask"), ours, upstream):
            assert a.shape == b.shape, name
            if name != "labels":
                assert a.dtype == b.dtype == np.float32, name
            # The last bit of a power differs between processors' vector code.
            np.testing.assert_allclose(a, b, rtol=1e-6 if name == "scores" else 0, err_msg=name)

    return check
