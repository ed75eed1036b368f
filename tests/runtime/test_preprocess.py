import cv2
import numpy as np
import pytest

import ppdet_ext  # noqa: F401  before paddle
from ppdet_ext.runtime.image import as_image, read_image
from ppdet_ext.runtime.preprocess import Preprocess, stack

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
CHAINS = {
    "ppyoloe": [
        {"type": "Resize", "target_size": [96, 128], "keep_ratio": False, "interp": 2},
        {"type": "NormalizeImage", "mean": MEAN, "std": STD, "is_scale": True},
        {"type": "Permute"},
    ],
    "ppyoloe_plus": [
        {"type": "Resize", "target_size": [96, 96], "keep_ratio": False, "interp": 2},
        {"type": "NormalizeImage", "mean": [0.0, 0.0, 0.0], "std": [1.0, 1.0, 1.0], "norm_type": "none"},
        {"type": "Permute"},
    ],
    "raw pixels": [
        {"type": "Resize", "target_size": [64, 96], "keep_ratio": False, "interp": 1},
        {
            "type": "NormalizeImage",
            "mean": [103.5, 116.2, 123.6],
            "std": [57.3, 57.1, 58.3],
            "is_scale": False,
        },
        {"type": "Permute"},
    ],
    "normalised first": [
        {"type": "NormalizeImage", "mean": MEAN, "std": STD},
        {"type": "Resize", "target_size": [80, 128], "keep_ratio": True, "interp": 1},
        {"type": "Permute"},
    ],
    "keep ratio, grey pad": [
        {"type": "Resize", "target_size": [128, 128], "keep_ratio": True, "interp": 1},
        {"type": "Pad", "size": [128, 128], "fill_value": [114.0, 114.0, 114.0]},
        {"type": "NormalizeImage", "mean": MEAN, "std": STD, "is_scale": True},
        {"type": "Permute"},
    ],
    "keep ratio, fractional pad": [
        {"type": "Resize", "target_size": [128, 128], "keep_ratio": True, "interp": 2},
        {"type": "Pad", "size": [128, 128], "fill_value": [127.5, 127.5, 127.5]},
        {"type": "NormalizeImage", "mean": MEAN, "std": STD, "is_scale": True},
        {"type": "Permute"},
    ],
    "levels as they are": [
        {"type": "Resize", "target_size": [96, 64], "keep_ratio": False, "interp": 1},
        {"type": "NormalizeImage", "mean": MEAN, "std": STD, "is_scale": False, "norm_type": "none"},
        {"type": "Permute"},
    ],
    "letterbox": [
        {"type": "LetterBoxResize", "target_size": [96, 160]},
        {"type": "NormalizeImage", "mean": MEAN, "std": STD, "is_scale": True},
        {"type": "Permute"},
    ],
}


SIZES = [(37, 200), (200, 37), (96, 96), (241, 333)]


def ppdet_result(entries, source):
    """The sample after ppdet's own operators, from encoded bytes or from an RGB array."""
    from ppdet.data.transform import mot_operators, operators

    sample = operators.Decode()({"image": source})
    for entry in entries:
        arguments = {key: value for key, value in entry.items() if key != "type"}
        if entry["type"] == "LetterBoxResize":
            sample = {**sample, "gt_bbox": np.zeros((0, 4), np.float32)}
            sample = mot_operators.LetterBoxResize(**arguments)(sample)
        else:
            sample = getattr(operators, entry["type"])(**arguments)(sample)
    return sample


def random_image(rng, height, width):
    coarse = rng.integers(0, 256, (max(height // 4, 2), max(width // 4, 2), 3), dtype=np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


@pytest.mark.parametrize("name", CHAINS)
@pytest.mark.parametrize("shape", SIZES)
def test_bit_equal_to_ppdet(name, shape):
    image = random_image(np.random.default_rng(hash(shape) % 1000), *shape)
    _, data = cv2.imencode(".png", image)
    expected = ppdet_result(CHAINS[name], data.tobytes())
    rgb = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    before = rgb.copy()
    got = Preprocess(CHAINS[name])(rgb)
    assert got.pixels.dtype == np.float32
    np.testing.assert_array_equal(got.pixels, expected["image"])
    np.testing.assert_array_equal(got.scale_factor, expected["scale_factor"])
    np.testing.assert_array_equal(got.im_shape, expected["im_shape"])
    np.testing.assert_array_equal(rgb, before)
    batch = np.full((3, *got.pixels.shape), 7, np.float32)
    into = Preprocess(CHAINS[name])(rgb, batch[1])
    assert np.shares_memory(into.pixels, batch)
    np.testing.assert_array_equal(batch[1], expected["image"])
    assert (batch[[0, 2]] == 7).all()


@pytest.mark.parametrize("name", CHAINS)
def test_the_shape_is_known_before_the_first_image(name):
    known = Preprocess(CHAINS[name]).shape
    shapes = {Preprocess(CHAINS[name])(np.zeros((*size, 3), np.uint8)).pixels.shape for size in SIZES}
    assert shapes == {known} if known else len(shapes) > 1


def test_every_fixed_size_is_met_exactly():
    """cv2.resize is given factors, not sizes: their rounding never shows."""
    rng = np.random.default_rng(0)
    for width, height, target in rng.integers(1, 700, (150, 3)).tolist():
        entry = {"type": "Resize", "target_size": [target, target + 1], "keep_ratio": False, "interp": 0}
        preprocess = Preprocess([entry, {"type": "Permute"}])
        out = np.empty(preprocess.shape, np.float32)
        assert preprocess(np.zeros((height // 8 + 1, width // 8 + 1, 3), np.uint8), out).pixels is out


def test_pad_stride_rounds_a_known_size_up():
    chain = [{"type": "Resize", "target_size": [50, 64], "keep_ratio": False}, *CHAINS["ppyoloe"][1:]]
    chain.append({"type": "PadStride", "stride": 32})
    preprocess = Preprocess(chain)
    assert preprocess.shape == (3, 64, 64)
    pixels = preprocess(np.zeros((9, 9, 3), np.uint8)).pixels
    assert pixels.shape == (3, 64, 64)
    black = np.float32(-np.array(MEAN) / STD)[:, None, None]
    np.testing.assert_allclose(pixels[:, :50], np.broadcast_to(black, (3, 50, 64)), rtol=1e-5)
    assert not pixels[:, 50:].any()


def test_an_out_that_does_not_fit():
    image, fits = np.zeros((9, 9, 3), np.uint8), np.zeros((3, 96, 128), np.float32)
    for out in (
        fits[:, :, 1:],
        fits.astype(np.float64),
        np.zeros((3, 128, 96), np.float32).transpose(0, 2, 1),
    ):
        with pytest.raises(ValueError, match=r"give C-contiguous float32 \[3, 96, 128\]"):
            Preprocess(CHAINS["ppyoloe"])(image, out)


def test_pad_stride_and_stack_are_ppdets_pad_batch():
    from ppdet.data.transform.batch_operators import PadBatch

    rng = np.random.default_rng(0)
    chain = [*CHAINS["normalised first"], {"type": "PadStride", "stride": 32}]
    images = [Preprocess(chain)(random_image(rng, *shape)) for shape in ((50, 77), (90, 60))]
    single = [Preprocess(chain[:-1])(random_image(np.random.default_rng(1), 50, 77))]
    padded = Preprocess(chain)(random_image(np.random.default_rng(1), 50, 77))
    expected = PadBatch(32)([{"image": single[0].pixels.copy()}])[0]["image"]
    np.testing.assert_array_equal(padded.pixels, expected)
    together = PadBatch(32)([{"image": image.pixels.copy()} for image in images])
    np.testing.assert_array_equal(stack(images), [sample["image"] for sample in together])


@pytest.mark.parametrize(
    "entry, message",
    [
        ({"type": "TopDownAffine"}, "model/infer_cfg.yml: Preprocess operator 'TopDownAffine' is not known"),
        ({"type": "Resize", "target_siz": 3}, "operator Resize: .*target_siz"),
        ({"type": "Resize", "target_size": [0, 5]}, "operator Resize: size is"),
        ({"type": "NormalizeImage", "std": [1, 0, 1]}, "none of them 0"),
        ("Resize", "operator 'Resize' is not known"),
    ],
)
def test_bad_entries_name_file_and_operator(entry, message):
    with pytest.raises(ValueError, match=message):
        Preprocess([entry, {"type": "Permute"}], "model/infer_cfg.yml")


def test_permute_is_required_and_slim_images_are_named():
    with pytest.raises(ValueError, match="no Permute"):
        Preprocess(CHAINS["ppyoloe"][:2])
    with pytest.raises(ValueError, match="image of 5000x1 px"):
        Preprocess(CHAINS["normalised first"])(np.zeros((1, 5000, 3), np.uint8))


@pytest.mark.parametrize("kind", ["grey", "alpha", "16 bit", "16 bit alpha", "16 bit grey"])
def test_unusual_files_and_arrays_agree_with_ppdet(kind, tmp_path):
    rng = np.random.default_rng(3)
    channels = 1 if "grey" in kind else 4 if "alpha" in kind else 3
    image = rng.integers(0, 65536 if "16" in kind else 256, (20, 30, channels))
    image = image.astype(np.uint16 if "16" in kind else np.uint8)
    path = tmp_path / "größe 1.PNG"
    path.write_bytes(cv2.imencode(".png", image)[1].tobytes())
    expected = ppdet_result([], path.read_bytes())["image"]
    np.testing.assert_array_equal(read_image(path), expected)
    rgb = image[..., [2, 1, 0, 3][:channels]] if channels > 1 else image[..., 0]
    np.testing.assert_array_equal(as_image(rgb), expected)


def test_exif_orientation_as_in_ppdet(tmp_path):
    image = random_image(np.random.default_rng(0), 20, 40)
    jpeg = cv2.imencode(".jpg", image)[1].tobytes()
    # Orientation 6, turned by 90 degrees, in the smallest TIFF header that says so
    tiff = b"MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00\x00\x00\x00\x00"
    body = b"Exif\x00\x00" + tiff
    turned = jpeg[:2] + b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body + jpeg[2:]
    path = tmp_path / "turned.jpg"
    path.write_bytes(turned)
    got = read_image(path)
    assert got.shape == (40, 20, 3)
    np.testing.assert_array_equal(got, ppdet_result([], turned)["image"])


@pytest.mark.parametrize(
    "name, make, message",
    [
        ("empty.jpg", lambda jpeg, png: b"", "0 bytes"),
        ("cut.jpg", lambda jpeg, png: jpeg[: len(jpeg) // 2], "truncated"),
        ("head.jpg", lambda jpeg, png: jpeg[:40], "truncated"),
        ("cut.png", lambda jpeg, png: png[: len(png) // 2], "truncated"),
        ("text.jpg", lambda jpeg, png: b"hello, this is no image", "not an image"),
    ],
)
def test_broken_files_are_named(tmp_path, name, make, message):
    image = random_image(np.random.default_rng(0), 60, 60)
    jpeg, png = (cv2.imencode(suffix, image)[1].tobytes() for suffix in (".jpg", ".png"))
    path = tmp_path / name
    path.write_bytes(make(jpeg, png))
    with pytest.raises(ValueError, match=f"{name}: .*{message}"):
        read_image(path)


def test_bytes_behind_a_jpeg_do_no_harm(tmp_path):
    jpeg = cv2.imencode(".jpg", random_image(np.random.default_rng(0), 60, 60))[1].tobytes()
    (tmp_path / "a.jpg").write_bytes(jpeg)
    (tmp_path / "b.jpg").write_bytes(jpeg + b"\x00" * 50)
    np.testing.assert_array_equal(read_image(tmp_path / "b.jpg"), read_image(tmp_path / "a.jpg"))


def test_missing_files_folders_and_odd_arrays(tmp_path):
    with pytest.raises(ValueError, match="none.jpg: cannot be read"):
        read_image(tmp_path / "none.jpg")
    with pytest.raises(ValueError, match="is a folder"):
        read_image(tmp_path)
    with pytest.raises(ValueError, match="image 4: an array of float64"):
        as_image(np.zeros((4, 4, 3)), "image 4")
    for shape in ((4, 4, 2), (0, 4, 3), (4,)):
        with pytest.raises(ValueError, match="an array of shape"):
            as_image(np.zeros(shape, np.uint8))
