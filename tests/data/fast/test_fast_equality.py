"""Our reading operators against PaddleDetection's: the same files and random numbers, the same batches."""

import copy
import random

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import cv2
import numpy as np
import pytest
from ppdet.data.reader import BatchCompose, Compose

from ppdet_ext.data import transforms  # noqa: F401  (RandomScaleJitter)
from ppdet_ext.data.fast import settle
from ppdet_ext.data.reader.pipeline import Assembly, Operators

# In grey levels. PaddleDetection rounds to float32 after every step, ours once or twice.
APART = 2e-3
FILES = {
    "photo.jpg": (120, 160, 3),
    "tall.jpg": (301, 97, 3),
    "large.jpg": (700, 900, 3),
    "grey.jpg": (90, 130),
    "alpha.png": (64, 80, 4),
    "tiny.png": (3, 2, 3),
}
SIZES = [64, 96, [80, 128]]
NORMALIZE = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "is_scale": True}
PLAIN = {"mean": [0.0, 0.0, 0.0], "std": [1.0, 1.0, 1.0], "norm_type": "none"}
RESIZE = {"target_size": SIZES, "random_size": True, "random_interp": True, "keep_ratio": False}
FIXED = {"target_size": 96, "random_size": False, "random_interp": False, "keep_ratio": False}
END = [{"Permute": {}}, {"PadGT": {}}]
CASES = {
    "ppyoloe": (
        [
            {"Decode": {}},
            {"RandomDistort": {}},
            {"RandomExpand": {"fill_value": [123.675, 116.28, 103.53]}},
            {"RandomCrop": {}},
            {"RandomFlip": {}},
        ],
        [{"BatchRandomResize": RESIZE}, {"NormalizeImage": NORMALIZE}, *END],
    ),
    "one order of colours": (
        [
            {"Decode": {}},
            {"RandomDistort": {"random_apply": False, "random_channel": True, "hue": [-18, 18, 0.8]}},
            {"RandomCrop": {"aspect_ratio": None, "cover_all_box": True, "num_attempts": 5}},
            {"RandomFlip": {"prob": 0.7}},
        ],
        [{"BatchRandomResize": RESIZE}, {"NormalizeImage": PLAIN}, *END],
    ),
    "colours that can't be undone": (
        [
            {"Decode": {}},
            {"RandomDistort": {"contrast": [0.0, 0.0, 0.0], "saturation": [0.0, 0.0, 0.2], "count": 2}},
            {"RandomExpand": {"prob": 0.1, "ratio": 2.0}},
            {"RandomCrop": {"allow_no_crop": False, "thresholds": [0.0, 0.3]}},
        ],
        [{"BatchRandomResize": RESIZE}, {"NormalizeImage": NORMALIZE}, *END],
    ),
    "another order": (
        [
            {"Decode": {}},
            {"RandomFlip": {}},
            {"RandomExpand": {"prob": 0.3, "ratio": 2.0}},
            {"RandomDistort": {}},
            {"RandomCrop": {}},
            {"RandomExpand": {"prob": 0.3, "ratio": 2.0}},
            {"RandomFlip": {}},
            {"RandomCrop": {}},
            {"Resize": {"target_size": [90, 70], "keep_ratio": True, "interp": 2}},
            {"RandomFlip": {}},
        ],
        [{"BatchRandomResize": RESIZE}, {"NormalizeImage": {**NORMALIZE, "is_scale": False}}, *END],
    ),
    "hue, saturation and value": (
        [
            {"Decode": {}},
            {"RandomCrop": {}},
            {"AugmentHSV": {"is_bgr": False, "hgain": 5, "sgain": 30, "vgain": 30}},
            {"RandomFlip": {}},
        ],
        [{"BatchRandomResize": FIXED}, {"NormalizeImage": PLAIN}, *END],
    ),
    "normalised first": (
        [
            {"Decode": {}},
            {"NormalizeImage": NORMALIZE},
            {"RandomFlip": {}},
            {"RandomScaleJitter": {"size": 96}},
        ],
        END,
    ),
    "normalised before it is resized": (
        [{"Decode": {}}, {"NormalizeImage": NORMALIZE}, {"RandomCrop": {}}, {"Permute": {}}, {"PadBox": {}}],
        [{"PadBatch": {"pad_to_stride": 32}}],
    ),
}


def record(path, number, shape, count, rng):
    """An image as PaddleDetection's datasets hand it over."""
    start, side = rng.uniform(0, 0.7, [count, 2]), rng.uniform(0.1, 0.9, [count, 2])
    boxes = np.concatenate([start, np.minimum(start + side, 1)], 1) * np.tile(shape[1::-1], 2)
    return {
        "im_file": str(path),
        "im_id": np.array([number]),
        "h": float(shape[0]),
        "w": float(shape[1]),
        "is_crowd": rng.randint(0, 2, [count, 1]).astype("int32"),
        "difficult": rng.randint(0, 2, [count, 1]).astype("int32"),
        "gt_class": rng.randint(0, 80, [count, 1]).astype("int32"),
        "gt_score": rng.uniform(size=[count, 1]).astype("float32"),
        "gt_bbox": boxes.astype("float32"),
        "curr_iter": number,
    }


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """Colour, grey, alpha, tall, large and tiny; the last without boxes."""
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.RandomState(0)
    found = []
    for number, (name, shape) in enumerate(FILES.items()):
        pixels = cv2.GaussianBlur(rng.randint(0, 256, shape, dtype="uint8"), (0, 0), 1.5)
        cv2.imwrite(str(folder / name), cv2.normalize(pixels, None, 0, 255, cv2.NORM_MINMAX))
        found.append(record(folder / name, number, shape, rng.randint(1, 7), rng))
    return [*found, record(folder / "photo.jpg", len(found), FILES["photo.jpg"], 0, rng)]


def read(steps, records, seed):
    """A batch, and the state that it leaves the random numbers in."""
    sample_steps, assemble = steps
    np.random.seed(seed)
    random.seed(seed)
    batch = assemble([sample_steps(copy.deepcopy(record)) for record in records])
    return batch, (np.random.randint(1 << 30), random.random())


def both(case, num_classes=80):
    listed, batch_listed = case
    theirs = (
        Compose(copy.deepcopy(listed), num_classes),
        BatchCompose(copy.deepcopy(batch_listed), num_classes),
    )
    return theirs, (Operators(listed, num_classes), Assembly(Operators(batch_listed, num_classes)))


def compare(case, records, seed, level):
    theirs, ours = both(case)
    expected, their_state = read(theirs, records, seed)
    found, our_state = read(ours, records, seed)
    assert our_state == their_state, "other random draws"
    assert set(found) == set(expected)
    for field, value in expected.items():
        assert (found[field].dtype, found[field].shape) == (value.dtype, value.shape), field
        if field != "image":
            np.testing.assert_array_equal(found[field], value, field)
    apart = np.abs(found["image"].astype("float64") - expected["image"]).max() * level
    assert apart < APART, f"{apart} grey levels"


@pytest.mark.parametrize("name", CASES)
def test_batches_are_paddledetections(name, records):
    steps = [step for stage in CASES[name] for step in stage]
    (options,) = [step["NormalizeImage"] for step in steps if "NormalizeImage" in step]
    level = 255 if options.get("is_scale", True) else 1
    level *= max(options["std"]) if options.get("norm_type") != "none" else 1
    for seed in range(10):
        # EfficientDet's and the last case keep each image's own size: one by one.
        groups = [records] if name != "normalised before it is resized" else [[one] for one in records]
        for group in groups:
            compare(CASES[name], group, seed, level)


def test_the_pixels_of_hsv_are_the_same_bytes(records):
    for options in ({"is_bgr": False, "hgain": 5, "sgain": 30, "vgain": 30}, {"fraction": 0.5}):
        for seed in range(10):
            case = [{"Decode": {}}, {"AugmentHSV": options}], [{"PadGT": {}}]
            (theirs, _), (ours, _) = both(case)
            np.random.seed(seed), random.seed(seed)
            expected = theirs(copy.deepcopy(records[0]))["image"]
            np.random.seed(seed), random.seed(seed)
            np.testing.assert_array_equal(settle(ours(copy.deepcopy(records[0])))["image"], expected)


def test_batches_with_lists_of_boxes(records):
    """PaddleDetection's ``collate_batch: false``."""
    listed, batch_listed = CASES["ppyoloe"]
    batch_listed = batch_listed[:-1]
    theirs = Compose(listed), BatchCompose(batch_listed, collate_batch=False)
    ours = Operators(listed), Assembly(Operators(batch_listed), together=False)
    expected, _ = read(theirs, records, 3)
    found, _ = read(ours, records, 3)
    for field in ("gt_bbox", "gt_class", "is_crowd", "difficult", "gt_score"):
        assert isinstance(found[field], list)
        for one, other in zip(found[field], expected[field]):
            np.testing.assert_array_equal(one, other)
    np.testing.assert_allclose(found["image"], expected["image"], atol=APART / 255 / 0.225)


def test_samples_with_polygons_go_paddledetections_way(records):
    """Equal to the last bit, polygons included: nothing of ours has touched them."""
    with_shapes = []
    for one in records[:3]:
        polygons = [[[x1, y1, x2, y1, x2, y2]] for x1, y1, x2, y2 in one["gt_bbox"].tolist()]
        with_shapes.append({**one, "gt_poly": polygons})
    listed = [*CASES["ppyoloe"][0][:3], {"RandomCrop": {"is_mask_crop": True}}, {"RandomFlip": {}}]
    (theirs, _), (ours, _) = both((listed, []))
    for seed in range(8):
        for one in with_shapes:
            np.random.seed(seed)
            expected = theirs(copy.deepcopy(one))
            np.random.seed(seed)
            found = ours(copy.deepcopy(one))
            assert found["gt_poly"] == expected["gt_poly"]
            np.testing.assert_array_equal(found["gt_bbox"], expected["gt_bbox"])
            np.testing.assert_array_equal(found["image"], expected["image"])


def test_a_crop_as_large_as_the_image():
    """Where PaddleDetection's RandomCrop asks for a random number below 0."""
    image = np.arange(48, dtype="uint8").reshape(4, 4, 3)
    sample = {"image": image, "gt_bbox": np.array([[0, 0, 4, 4]], "float32")}
    sample["gt_class"] = np.zeros([1, 1], "int32")
    crop = Operators([{"RandomCrop": {"scaling": [1.0, 1.0], "allow_no_crop": False, "thresholds": [0.0]}}])
    cropped = crop(sample)
    np.testing.assert_array_equal(settle(cropped)["image"], image)
    np.testing.assert_array_equal(cropped["gt_bbox"], [[0, 0, 4, 4]])
