"""deploy/paddle_lite/cpp, built with the host's g++: every number against ppdet_ext.runtime.

Paddle Lite is not there; a stand-in for the few calls of its C++ API that the program makes takes its place.
"""

import json

import cv2
import numpy as np
import pytest

from ppdet_ext.runtime.postprocess import Postprocess
from ppdet_ext.runtime.preprocess import Preprocess

from .lite_cpp import (
    BYTES,
    CHAINS,
    NMS,
    SAME_SUMS,
    SHAPES,
    STD,
    compile_with,
    crowd,
    needs_compiler,
    pad,
    preprocessed,
    random_image,
    refused,
    resize,
    run,
    sanitised,
    write_folder,
    write_ppm,
)

pytestmark = needs_compiler


@pytest.mark.parametrize("name", CHAINS)
def test_preprocess_is_bit_equal(program, tmp_path, name):
    config = write_folder(tmp_path, CHAINS[name])
    rng = np.random.default_rng(len(name))
    for shape in SHAPES:
        image = random_image(rng, *shape)
        expected = Preprocess(config.preprocess)(image)
        got, report = preprocessed(program, tmp_path, image)
        assert got.shape == expected.pixels.shape
        np.testing.assert_array_equal(np.float32(report["scale"]), expected.scale_factor)
        if SAME_SUMS:
            np.testing.assert_array_equal(got, expected.pixels, err_msg=str(shape))
        else:
            np.testing.assert_allclose(got, expected.pixels, atol=1.01 / min(STD) / 255)


@pytest.mark.parametrize("keep_ratio", [False, True])
@pytest.mark.parametrize("interp", [0, 1, 2, 3])
def test_resize_is_bit_equal(program, tmp_path, interp, keep_ratio):
    """Any factor, up and down; whole and half ones besides, for which OpenCV has ways of its own."""
    rng = np.random.default_rng(interp)
    sizes = [(*rng.integers(2, 130, 2), *rng.integers(1, 130, 2)) for _ in range(8)]
    sizes += [(60, 80, 30, 40), (60, 80, 60, 20), (61, 83, 31, 42), (90, 60, 30, 30), (30, 40, 60, 80)]
    for height, width, target_height, target_width in np.asarray(sizes).tolist():
        config = write_folder(tmp_path, [resize(target_height, target_width, keep_ratio, interp), BYTES])
        image = random_image(rng, height, width)
        try:
            expected = Preprocess(config.preprocess)(image).pixels
        except ValueError:  # a side is lost
            ppm = write_ppm(tmp_path / "slim.ppm", image)
            assert "lose a side when resized" in refused(program, tmp_path, ppm, tmp_path / "input.f32")
            continue
        got, _ = preprocessed(program, tmp_path, image)
        size = (height, width, target_height, target_width)
        if SAME_SUMS or interp != 2:
            np.testing.assert_array_equal(got, expected, err_msg=str(size))
        else:
            np.testing.assert_allclose(got, expected, atol=1, err_msg=str(size))


def test_cubic_is_one_level_from_ipp(program, tmp_path):
    """What the runtime computes where OpenCV has IPP and is left to itself."""
    cv2.ipp.setUseIPP(True)
    config = write_folder(tmp_path, [resize(160, 160, False, 2), BYTES])
    image = random_image(np.random.default_rng(0), 241, 333)
    got, _ = preprocessed(program, tmp_path, image)
    difference = np.abs(got - Preprocess(config.preprocess)(image).pixels)
    assert difference.max() <= 1 and (difference > 0).mean() < 0.1


def test_image_larger_than_its_pad(program, tmp_path):
    write_folder(tmp_path, [resize(64, 64, False, 1), pad(32, 96, 0.0)])
    ppm = write_ppm(tmp_path / "image.ppm", np.zeros((8, 8, 3), np.uint8))
    error = refused(program, tmp_path, ppm, tmp_path / "input.f32")
    assert error.startswith("image: resized to 64x64 it is larger than padded, 96x32; correct")


CAMERA = """
#include <cstdio>
#include <stdexcept>
#include "ppm.h"
#include "preprocess.h"
using namespace ppdet_ext;
int main(int, char** argv) {
  const Settings settings = ReadSettings(argv[1]);
  const Image image = ReadPPM(argv[2]);
  const auto expected = Preprocess(ViewOf(image), settings).pixels;
  const struct { PixelFormat format; int channels, red; } kinds[] = {
      {PixelFormat::kRGB, 3, 0}, {PixelFormat::kBGR, 3, 2},
      {PixelFormat::kRGBA, 4, 0}, {PixelFormat::kBGRA, 4, 2}};
  for (const auto& kind : kinds) {
    for (size_t gap : {0, 13}) {
      const size_t stride = image.width * kind.channels + gap;
      // The last row ends with its last pixel, as a cropped view does.
      std::vector<uint8_t> buffer(stride * image.height - gap, 77);
      for (int y = 0; y < image.height; ++y) {
        for (int x = 0; x < image.width; ++x) {
          uint8_t* to = buffer.data() + y * stride + x * kind.channels;
          const uint8_t* from = image.row(y) + 3 * x;
          to[kind.red] = from[0], to[1] = from[1], to[2 - kind.red] = from[2];
        }
      }
      const ImageView view{buffer.data(), image.width, image.height, stride, kind.format};
      if (Preprocess(view, settings).pixels != expected) return 1;
    }
  }
  for (const ImageView& view : {ImageView{nullptr, 4, 4, 12, PixelFormat::kRGB},
                                ImageView{image.pixels.data(), 4, 4, 12, PixelFormat::kRGBA}}) {
    try {
      Preprocess(view, settings);
      return 1;
    } catch (const std::runtime_error& error) {
      std::puts(error.what());
    }
  }
}
"""


@sanitised
def test_camera_buffers(build, tmp_path):
    folder, flags = build
    write_folder(tmp_path, CHAINS["ppyoloe"])
    ppm = write_ppm(tmp_path / "image.ppm", random_image(np.random.default_rng(0), 21, 30))
    (tmp_path / "camera.cc").write_text(CAMERA)
    compile_with(flags, tmp_path, "camera.cc", *folder.glob("*.o"), "-o", "camera")
    status, out, error = run(tmp_path / "camera", tmp_path / "detector.txt", ppm)
    assert status == 0, error
    assert out.splitlines() == [
        "image: it has no pixels; give data, width and height",
        "image: a stride of 12 bytes is less than a row; give bytes, not pixels",
    ]


def both(program, folder, config, boxes, scores, shape=(240, 330)):
    """Rows (label, score, x1, y1, x2, y2) of the program and of the runtime."""
    image = np.zeros((*shape, 3), np.uint8)
    ppm = write_ppm(folder / "image.ppm", image)
    boxes.tofile(folder / "boxes.f32")
    scores.tofile(folder / "scores.f32")
    raw = [folder / "boxes.f32", folder / "scores.f32"]
    status, out, error = run(program, folder, ppm, folder / "input.f32", *raw)
    assert status == 0, error
    found = json.loads(out)["detections"]
    assert all(one["name"] == config.names[one["label"]] for one in found)
    rows = [(one["label"], one["score"], *one["box"]) for one in found]
    prepared = Preprocess(config.preprocess)(image)
    (expected,) = Postprocess(config.nms, config.names)(boxes[None], scores[None], [prepared])
    return (
        np.float32(rows).reshape(-1, 6),
        np.column_stack([expected.labels, expected.scores, expected.boxes]).astype(np.float32),
    )


@pytest.mark.parametrize(
    "count, classes, step", [(60, 3, None), (3000, 10, None), (1500, 80, None), (400, 4, 0.05)]
)
@pytest.mark.parametrize(
    "change",
    [
        {},
        {"nms_top_k": 40},
        {"keep_top_k": 7},
        {"nms_top_k": -1, "keep_top_k": -1, "score_threshold": 0.2},
        {"normalized": False},
        {"background_label": 1},
        {"nms_threshold": 0.0},
        {"nms_threshold": 1},
        {"score_threshold": 0.3},
    ],
)
def test_detections_are_equal(program, tmp_path, count, classes, step, change):
    names = [f"class {number}" for number in range(classes)]
    config = write_folder(tmp_path, [resize(640, 416, False, 1)], {**NMS, **change}, names)
    boxes, scores = crowd(count, count, classes, step)
    got, expected = both(program, tmp_path, config, boxes, scores)
    assert len(expected)
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("normalized", [True, False])
def test_empty_and_swapped_boxes(program, tmp_path, normalized):
    config = write_folder(tmp_path, [resize(64, 64, True, 1)], {**NMS, "normalized": normalized})
    base = [[10, 10, 10, 10], [10, 10, 10, 30], [30, 30, 10, 10], [5, 5, 40, 40], [10, 10, 9, 30]]
    boxes = np.repeat(np.float32(base), 2, 0)
    scores = np.linspace(0.9, 0.1, 20, dtype=np.float32).reshape(2, 10)
    got, expected = both(program, tmp_path, config, boxes, scores)
    np.testing.assert_array_equal(got, expected)


def test_nothing_found(program, tmp_path):
    config = write_folder(tmp_path, [resize(64, 64, False, 1)])
    got, expected = both(program, tmp_path, config, np.ones((5, 4), np.float32), np.zeros((2, 5), np.float32))
    assert len(got) == len(expected) == 0


def test_names_of_any_kind(program, tmp_path):
    names = ["traffic light", "Fußgänger 人", ' "quoted" \\ back', "tab\there", ""]
    config = write_folder(tmp_path, [resize(64, 64, False, 1)], names=names)
    boxes = np.arange(5, dtype=np.float32)[:, None] * 50 + np.float32([0, 0, 9, 9])
    got, expected = both(program, tmp_path, config, boxes, np.eye(5, dtype=np.float32) * np.float32(0.7))
    assert len(got) == 5
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize(
    "boxes, scores, said",
    [
        (np.ones((3, 4)), np.ones((3, 3)), "has 2 labels, but the model scores 3 classes"),
        (np.ones((3, 4)), np.ones((2, 5)), "does not fit the boxes"),
        (np.full((3, 4), np.nan), np.ones((2, 3)), "NaN or infinite"),
    ],
)
def test_outputs_that_do_not_fit(program, tmp_path, boxes, scores, said):
    write_folder(tmp_path, [resize(64, 64, False, 1)])
    ppm = write_ppm(tmp_path / "image.ppm", np.zeros((8, 8, 3), np.uint8))
    boxes.astype(np.float32).tofile(tmp_path / "b.f32")
    scores.astype(np.float32).tofile(tmp_path / "s.f32")
    raw = [tmp_path / "b.f32", tmp_path / "s.f32"]
    assert said in refused(program, tmp_path, ppm, tmp_path / "input.f32", *raw)
