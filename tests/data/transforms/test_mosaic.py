"""MosaicMixUp and RandomBoxAffine: every box stays on what it holds."""

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import cv2
import numpy as np
import pytest

from ppdet_ext.data.transforms import MosaicMixUp, RandomBoxAffine
from ppdet_ext.data.transforms.affine import AffineRanges, BoxFilter, move_boxes, warp_into

FILL = 114
STILL = {"degrees": [0, 0], "translate": [0, 0], "scale": [1, 1], "shear": [0, 0]}


def colour(number):
    """One that no blend of two others, the fill or the black ground comes close to: by its hue."""
    hsv = np.array([[[number * 180 // 12, 255, 255]]], "uint8")
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0, 0].astype(int)


def scene(number, shape=(90, 120), count=2, **fields):
    """A sample with black ground and `count` rectangles of colours of its own, their numbers as classes."""
    rng = np.random.RandomState(number)
    image = np.zeros([*shape, 3], "uint8")
    boxes, classes = [], []
    for i in range(count):  # one in each half
        left, right = i * shape[1] // count + 4, (i + 1) * shape[1] // count - 4
        x1, x2 = left + rng.randint(0, 8), right - rng.randint(0, 8)
        y1, y2 = rng.randint(4, shape[0] // 3), rng.randint(shape[0] // 2, shape[0] - 4)
        image[y1:y2, x1:x2] = colour(number * 2 + i)
        boxes.append([x1, y1, x2, y2])
        classes.append([number * 2 + i])
    boxes = np.array(boxes, "float32").reshape(-1, 4)
    sample = {"im_id": np.array([number]), "image": image, "gt_bbox": boxes, "h": shape[0], "w": shape[1]}
    sample["gt_class"] = np.array(classes, "int32").reshape(-1, 1)
    return {**sample, **{field: value(len(boxes)) for field, value in fields.items()}}


def extent(image, number, tolerance=60):
    """xyxy of the pixels that are nearest to a colour, or None."""
    near = np.abs(image.astype(int) - colour(number)).max(2) < tolerance
    rows, columns = np.nonzero(near)
    return [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1] if len(rows) else None


def five(shapes=((90, 120), (120, 90), (64, 64), (200, 130), (80, 160)), **options):
    return [scene(number, shape, **options) for number, shape in enumerate(shapes)]


@pytest.mark.parametrize("turned", [False, True])
def test_boxes_of_a_mosaic_stay_on_their_colours(turned):
    """A box lies around its rectangle's pixels: closely if nothing turns, and never cuts them if it does."""
    np.random.seed(0)
    still = {} if turned else {"degrees": [0, 0], "shear": [0, 0]}
    operator = MosaicMixUp([160, 224], **still)
    seen = 0
    for _ in range(60):
        sample = operator(five())
        assert sample["image"].shape == (160, 224, 3) and sample["image"].dtype == np.uint8
        assert sample["gt_bbox"].dtype == np.float32 and sample["gt_class"].dtype == np.int32
        for box, (number,) in zip(sample["gt_bbox"], sample["gt_class"]):
            found = extent(sample["image"], number)
            assert (np.array(found[:2]) > box[:2] - 1.5).all() and (np.array(found[2:]) < box[2:] + 1.5).all()
            if not turned:
                np.testing.assert_allclose(found, box, atol=2)
            seen += 1
        kept = set(sample["gt_class"][:, 0])
        for number in set(range(8)) - kept:  # a box left: it is outside, or a sliver of it is left
            found = extent(sample["image"], number, 20)
            if found:
                area = (found[2] - found[0]) * (found[3] - found[1])
                assert area < 0.45 * 40 * 60, (number, found)
    assert seen > 100


def test_four_images_meet_without_a_seam():
    """No pixel of the fill colour lies between images that touch; each pixel comes from one of them."""
    np.random.seed(1)
    operator = MosaicMixUp(128, **{**STILL, "degrees": [-8, 8]})
    samples = [scene(number, (128, 128), count=0) for number in range(5)]
    for number, sample in enumerate(samples):
        sample["image"][:] = colour(number * 3)
    for _ in range(20):
        image = operator(samples)["image"]
        inside = image[32:96, 32:96].reshape(-1, 3).astype(int)
        apart = np.abs(inside[:, None] - [colour(n * 3) for n in range(4)]).max(2).min(1)
        assert (np.abs(inside - FILL).max(1) > 8).all()
        assert np.mean(apart < 4) > 0.9, "blends lie along the edges only"


def test_all_boxes_of_four_images_are_kept_when_all_is_seen():
    """At half the scale the whole mosaic fits when its point lies in the middle."""
    operator = MosaicMixUp(200, **{**STILL, "scale": [0.5, 0.5]})
    for seed in range(20):
        np.random.seed(seed)
        sample = operator(five(((200, 200),) * 5))
        point = sample["image"].shape
        assert point == (200, 200, 3)
        inside = sorted(sample["gt_class"][:, 0])
        assert len(set(inside)) == len(inside) and set(inside) <= set(range(8))
    counts = []
    for seed in range(20):
        np.random.seed(seed)
        counts.append(len(MosaicMixUp(200, **{**STILL, "scale": [0.25, 0.25]})(five())["gt_class"]))
    assert counts == [8] * 20, "at a quarter nothing can lie outside"


def test_mixup_blends_where_the_fifth_image_lies():
    np.random.seed(2)
    whites = [scene(number, (100, 100), count=0) for number in range(5)]
    for sample in whites[:4]:
        sample["image"][:] = 200
    whites[4]["image"][:] = 100
    weights, sizes = [], []
    for _ in range(60):
        image = MosaicMixUp(100, **STILL, mixup_prob=1.0, mixup_alpha=8.0)(whites)["image"][..., 0]
        levels, counts = np.unique(image, return_counts=True)
        blended = levels[(levels < 200) & (counts > 60)]
        assert len(blended) == 1, "one weight, and nothing darkens around the fifth image"
        weights.append((blended[0] - 100) / 100)
        sizes.append(np.mean(image == blended[0]) ** 0.5)
    assert abs(np.mean(weights) - 0.5) < 0.06 and 0.05 < np.std(weights) < 0.2  # Beta(8, 8): 0.121
    assert min(sizes) < 0.65 and max(sizes) > 0.95, "from half the size to beyond the result"


def test_boxes_of_mixup_stay_on_their_colours():
    """Half of them mirrored: the fifth image has two rectangles side by side."""
    np.random.seed(3)
    samples = five(((100, 100),) * 5)
    for sample in samples[:4]:
        sample["image"][:], sample["gt_bbox"] = 0, sample["gt_bbox"][:0]
        sample["gt_class"] = sample["gt_class"][:0]
    operator = MosaicMixUp(100, **STILL, mixup_prob=1.0, mixup_scale=[0.6, 1.4], mixup_alpha=1e6)
    swapped = 0
    for _ in range(80):
        sample = operator(samples)
        image = np.clip(sample["image"].astype(int) * 2, 0, 255)  # black and colour, half and half
        where = {}
        for box, (number,) in zip(sample["gt_bbox"], sample["gt_class"]):
            np.testing.assert_allclose(extent(image, number), box, atol=2.5)
            where[number] = box[0]
        swapped += len(where) == 2 and where[9] < where[8]
    assert 10 < swapped < 60


def test_what_belongs_to_boxes_stays_with_them():
    rows = {
        "is_crowd": lambda n: np.ones([n, 1], "int32"),
        "gt_score": lambda n: np.full([n, 1], 0.5, "float32"),
    }
    samples = five(**rows)
    samples[1].pop("gt_score")
    np.random.seed(0)
    sample = MosaicMixUp(160, **{**STILL, "scale": [0.25, 0.25]})(samples)
    classes = sample["gt_class"][:, 0]
    assert sample["is_crowd"].tolist() == [[1]] * 8
    np.testing.assert_array_equal(sample["gt_score"][:, 0] == 1.0, (classes == 2) | (classes == 3))
    assert "im_file" not in sample and sample["im_id"] == samples[0]["im_id"]
    np.testing.assert_array_equal(sample["im_shape"], [160, 160])


def test_images_without_boxes():
    samples = [scene(number, count=0) for number in range(5)]
    sample = MosaicMixUp(96, mixup_prob=1.0)(samples)
    assert sample["gt_bbox"].shape == (0, 4) and sample["gt_class"].shape == (0, 1)
    mixed = MosaicMixUp(96, **{**STILL, "scale": [0.25, 0.25]})([*samples[:3], scene(3), scene(4)])
    assert sorted(mixed["gt_class"][:, 0]) == [6, 7]


def test_only_what_is_taken_is_read(tmp_path):
    """Files that don't exist do no harm to a mosaic that does not happen, nor to one without MixUp."""
    missing = {"im_file": str(tmp_path / "missing.jpg"), "gt_bbox": np.zeros([0, 4], "float32")}
    untouched = [dict(missing) for _ in range(5)]
    assert MosaicMixUp(64, prob=0.0)(untouched) == missing
    assert MosaicMixUp(64, prob=0.0)(dict(missing)) == missing
    MosaicMixUp(64)([*five()[:4], dict(missing)])
    with pytest.raises(ValueError, match="missing.jpg: cannot be read"):
        MosaicMixUp(64, mixup_prob=1.0)([*five()[:4], dict(missing)])


def test_an_image_alone_is_fitted_and_moved():
    operator = MosaicMixUp([100, 200], **STILL, affine_alone=True)
    sample = operator(scene(0, (50, 50)))
    assert sample["image"].shape == (100, 200, 3)
    assert (sample["image"][:, :48] == FILL).all() and (sample["image"][:, 152:] == FILL).all()
    for box, (number,) in zip(sample["gt_bbox"], sample["gt_class"]):
        np.testing.assert_allclose(extent(sample["image"], number), box, atol=1)


def test_random_affine_keeps_boxes_on_their_colours():
    np.random.seed(4)
    operator = RandomBoxAffine(degrees=[-30, 30], scale=[0.4, 1.6], shear=[-10, 10])
    for _ in range(60):
        sample = operator(scene(1, (120, 160)))
        assert sample["image"].shape == (120, 160, 3)
        for box, (number,) in zip(sample["gt_bbox"], sample["gt_class"]):
            found = extent(sample["image"], number)
            assert (np.array(found[:2]) > box[:2] - 1.5).all() and (np.array(found[2:]) < box[2:] + 1.5).all()
            lying = (np.array(found[2:]) - found[:2]).prod() / (box[2:] - box[:2]).prod()
            assert lying > 0.5, "the box is not much larger than it has to be"
    same = RandomBoxAffine(prob=0.0)(scene(1))
    np.testing.assert_array_equal(same["image"], scene(1)["image"])


def test_nothing_moves_when_nothing_is_to_move():
    image = np.random.RandomState(0).randint(0, 256, [40, 60, 3], dtype="uint8")
    canvas = np.zeros_like(image)
    matrix = AffineRanges("test", *STILL.values()).draw((40, 60), (40, 60))
    np.testing.assert_allclose(matrix, np.eye(3), atol=1e-12)
    warp_into(canvas, image, matrix)
    np.testing.assert_array_equal(canvas, image)


def test_turns_are_counterclockwise_around_the_centre():
    matrix = AffineRanges("test", [90, 90], [0, 0], [1, 1], [0, 0]).draw((40, 40), (40, 40))
    image = np.random.RandomState(0).randint(0, 256, [40, 40, 3], dtype="uint8")
    canvas = np.zeros_like(image)
    warp_into(canvas, image, matrix)
    np.testing.assert_array_equal(canvas, np.rot90(image))
    np.testing.assert_allclose(move_boxes([[0, 10, 5, 40]], matrix), [[10, 35, 40, 40]], atol=1e-9)


def test_which_boxes_stay():
    keep = BoxFilter("test", min_side=3, min_visible=0.25, max_aspect=10)
    boxes = [[0, 0, 2.9, 50], [0, 0, 4, 39], [0, 0, 4, 41], [-30, 0, 9, 9], [-27, 0, 9, 9], [50, 50, 60, 60]]
    clipped, kept = keep(np.array(boxes, "float64"), (55, 45))
    assert kept.tolist() == [False, True, False, False, True, False]
    np.testing.assert_array_equal(clipped[4], [0, 0, 9, 9])


@pytest.mark.parametrize(
    "options, said",
    [
        ({"input_dim": [640]}, "input_dim"),
        ({"prob": 1.5}, "prob 1.5"),
        ({"scale": [0, 1]}, "scale"),
        ({"degrees": 10}, "degrees 10 is no range"),
        ({"translate": [1, -1]}, "translate"),
        ({"shear": [0, 90]}, "shear"),
        ({"mixup_scale": [2, 1]}, "mixup_scale"),
        ({"mixup_alpha": 0}, "mixup_alpha"),
        ({"min_visible": 2}, "min_visible"),
    ],
)
def test_settings_that_cannot_be(options, said):
    with pytest.raises(ValueError, match=f"MosaicMixUp: .*{said}"):
        MosaicMixUp(**options)


def test_what_a_mosaic_cannot_take():
    with pytest.raises(ValueError, match="takes 5 images, got 2"):
        MosaicMixUp(64)(five()[:2])
    with pytest.raises(ValueError, match="MosaicMixUp: moves boxes only.*gt_poly"):
        MosaicMixUp(64)([{**sample, "gt_poly": [[1]]} for sample in five()])
