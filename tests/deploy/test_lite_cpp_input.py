"""What the C++ program says of folders, settings and pictures that it cannot use."""

import numpy as np
import pytest

from ppdet_ext.runtime.preprocess import Preprocess

from .lite_cpp import CHAINS, needs_compiler, random_image, refused, run, write_folder, write_ppm

pytestmark = needs_compiler


@pytest.mark.parametrize(
    "old, new, said",
    [
        ("format 1", "format 2", ":1: this program reads format 1"),
        ("format 1", "{}", ":1: is no detector.txt"),
        ("Resize 96", "Rezise 96", ":2: 'Rezise' is not known, or given twice"),
        ("Resize 96 128 0 2", "Resize 96 128 0", ":2: '' is not a number"),
        ("Resize 96 128 0 2", "Resize 96 128 0 4", ":2: interp is none of 0, 1, 2, 3"),
        ("Resize 96 128 0 2", "Resize 96 0 0 2", ":2: a whole number from 1 up is due here"),
        ("Resize 96 128 0 2", "Resize 96 128 yes 2", ":2: 'yes' is not a switch"),
        ("Resize 96 128 0 2", "Resize 96 128 0 2 7", ":2: '7' is too much"),
        ("Resize 96 128 0 2", "PadStride 2\nResize 96 128 0 2", ":3: Resize stands behind another operator"),
        ("NormalizeImage 1 mean_std", "NormalizeImage 1 meanstd", ":3: norm_type is neither"),
        ("0.229", "0", ":3: std is 0"),
        ("0.229", "nan", ":3: 'nan' is not a number"),
        ("nms_top_k 1000", "nms_top_k 1e99", ":5: a whole number from -1 up"),
        ("nms_top_k 1000", "nms_top_k 1000\nnms_top_k 1000", ":6: 'nms_top_k' is not known, or given twice"),
        ("nms_threshold 0.7\n", "", ":10: the file ends without 'nms_threshold'"),
        ("label person\nlabel traffic light\n", "", ":9: the file ends without a label"),
    ],
)
def test_bad_settings(program, tmp_path, old, new, said):
    write_folder(tmp_path, CHAINS["ppyoloe"])
    file = tmp_path / "detector.txt"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    error = refused(program, tmp_path, "no.ppm", tmp_path / "input.f32")
    assert error.startswith(str(file) + said), error
    assert error.endswith("; write the file again with ppdet_ext")


@pytest.mark.parametrize(
    "data, said",
    [
        (b"", "is not a binary PPM (P6)"),
        (b"P3\n1 1\n255\n0 0 0\n", "is not a binary PPM (P6)"),
        (b"P6\n4 4", "its header is damaged"),
        (b"P6\n# no end", "its header is damaged"),
        (b"P6\n0 4\n255\n", "its header is damaged"),
        (b"P6\n99999999999999999999 4\n255\n", "its header is damaged"),
        (b"P6\n1 1\n65535\n" + bytes(6), "its largest value is not 255"),
        (b"P6\n4 4\n255\n" + bytes(47), "is truncated, 47 of 48 bytes are there"),
        (b"P6\n1000000 1000000\n255\n" + bytes(48), "is truncated, 48 of 3000000000000 bytes are there"),
        (None, "cannot be opened"),
    ],
)
def test_bad_ppm(program, tmp_path, data, said):
    write_folder(tmp_path, CHAINS["ppyoloe"])
    ppm = tmp_path / "bad.ppm"
    if data is not None:
        ppm.write_bytes(data)
    assert refused(program, tmp_path, ppm, tmp_path / "input.f32").startswith(f"{ppm}: {said}")


def test_ppm_with_comments_and_settings_from_windows(program, tmp_path):
    config = write_folder(tmp_path, CHAINS["ppyoloe"])
    file = tmp_path / "detector.txt"
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    image = random_image(np.random.default_rng(0), 10, 12)
    ppm = tmp_path / "image.ppm"
    ppm.write_bytes(b"P6 # by hand\n# of 12 by 10\n12\t10 255\n" + image.tobytes() + b"more")
    assert run(program, tmp_path, ppm, tmp_path / "input.f32")[0] == 0
    got = np.fromfile(tmp_path / "input.f32", np.float32)
    np.testing.assert_allclose(got, Preprocess(config.preprocess)(image).pixels.ravel(), atol=0.02)


def test_missing_files_and_arguments(program, tmp_path):
    assert refused(program).startswith("usage: process_check FOLDER IMAGE.ppm")
    assert "detector.txt: cannot be opened" in refused(program, tmp_path, "image.ppm", "input.f32")
    write_folder(tmp_path, CHAINS["ppyoloe"])
    ppm = write_ppm(tmp_path / "image.ppm", np.zeros((8, 8, 3), np.uint8))
    assert "cannot be written" in refused(program, tmp_path, ppm, tmp_path / "none" / "input.f32")
