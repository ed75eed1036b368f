"""deploy/paddle_lite/cpp, built with the host's g++: every number against ppdet_ext.runtime.

Paddle Lite is not there; a stand-in for the few calls of its C++ API that the program makes takes its place.
"""

import json
import platform
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from ppdet_ext.export.device_cfg import write_device_cfg
from ppdet_ext.runtime.config import InferConfig
from ppdet_ext.runtime.postprocess import Postprocess
from ppdet_ext.runtime.preprocess import Preprocess

pytestmark = pytest.mark.skipif(not shutil.which("g++"), reason="g++ is not installed")

HERE = Path(__file__).parents[2] / "deploy" / "paddle_lite" / "cpp"
# As CMakeLists.txt has it: no fused multiply-add.
COMMON = ["-std=c++17", "-Wall", "-Wextra", "-Werror", "-ffp-contract=off", f"-I{HERE / 'src'}"]
BUILDS = {
    "optimised": ["-O2"],
    "sanitised": ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"],
}
# OpenCV's own cubic sums in floats, eight at a time, on this processor only; elsewhere it may fuse or widen.
SAME_SUMS = platform.machine() in ("x86_64", "AMD64")

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
NORMALIZE = {"type": "NormalizeImage", "mean": MEAN, "std": STD, "is_scale": True}
BYTES = {"type": "NormalizeImage", "is_scale": False, "norm_type": "none"}
NMS = {
    "name": "MultiClassNMS",
    "score_threshold": 0.01,
    "nms_top_k": 1000,
    "keep_top_k": 300,
    "nms_threshold": 0.7,
}


def resize(height, width, keep_ratio, interp):
    return {"type": "Resize", "target_size": [height, width], "keep_ratio": keep_ratio, "interp": interp}


def pad(height, width, level):
    return {"type": "Pad", "size": [height, width], "fill_value": [level, level + 1, level + 2.5]}


CHAINS = {
    "ppyoloe": [resize(96, 128, False, 2), NORMALIZE],
    "ppyoloe_plus": [resize(96, 96, False, 2), {**NORMALIZE, "norm_type": "none"}],
    "raw levels": [
        resize(64, 96, False, 0),
        {**NORMALIZE, "mean": [103.53, 116.28, 123.675], "std": [57.375, 57.12, 58.395], "is_scale": False},
    ],
    "keep ratio, grey pad": [resize(128, 96, True, 1), pad(128, 128, 114.0), NORMALIZE],
    "pad behind": [
        resize(100, 120, True, 2),
        NORMALIZE,
        pad(128, 128, 0.1),
        {"type": "PadStride", "stride": 48},
    ],
    "area, stride": [resize(80, 120, True, 3), {"type": "PadStride", "stride": 32}, NORMALIZE],
    "two resizes": [resize(150, 90, False, 1), resize(64, 64, True, 3), NORMALIZE],
    "no resize": [NORMALIZE, {"type": "PadStride", "stride": 32}],
}
SHAPES = [(37, 200), (200, 37), (96, 128), (192, 256), (241, 333), (48, 64), (9, 7), (720, 1280)]


@pytest.fixture(autouse=True)
def opencvs_own_arithmetic():
    """On Intel's and AMD's processors OpenCV leaves cubic resizing to IPP, whose rounding is its secret."""
    before = cv2.ipp.useIPP()
    cv2.ipp.setUseIPP(False)
    yield
    cv2.ipp.setUseIPP(before)


def compile_with(flags, folder, *arguments):
    command = ["g++", *COMMON, *flags, *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session", params=BUILDS)
def build(request, tmp_path_factory):
    """A folder with `process_check` and the objects it is made of, and the flags of the build."""
    folder = tmp_path_factory.mktemp(request.param)
    flags = BUILDS[request.param]
    sources = [
        file for file in (HERE / "src").glob("*.cc") if file.name not in ("main.cc", "lite_network.cc")
    ]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda source: compile_with(flags, folder, "-c", source), sources))
    compile_with(flags, folder, *folder.glob("*.o"), "-o", "process_check")
    (folder / "process_check.o").unlink()
    return folder, flags


# For tests that compile more: once is enough.
sanitised = pytest.mark.parametrize("build", ["sanitised"], indirect=True)


@pytest.fixture
def program(build):
    return build[0] / "process_check"


def run(program, *arguments):
    done = subprocess.run([program, *map(str, arguments)], capture_output=True)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def refused(program, *arguments):
    """The one line that a program says when it refuses."""
    status, out, error = run(program, *arguments)
    assert status == 2 and not out, (status, out, error)
    assert error.endswith("\n") and error.count("\n") == 1, error
    return error[:-1]


def write_folder(folder, operators, nms=NMS, names=("person", "traffic light")):
    folder.mkdir(exist_ok=True)
    content = {"outputs": "raw", "label_list": list(names), "NMS": nms}
    content["Preprocess"] = [*operators, {"type": "Permute"}]
    (folder / "infer_cfg.yml").write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    write_device_cfg(folder)
    return InferConfig.load(folder)


def write_ppm(path, image):
    path.write_bytes(b"P6\n%d %d\n255\n" % image.shape[1::-1] + image.tobytes())
    return path


def random_image(rng, height, width):
    """Smooth areas and edges: the levels between 0 and 255 and the ends, where interpolation saturates."""
    coarse = rng.integers(0, 256, (height // 4 + 2, width // 4 + 2, 3), dtype=np.uint8)
    image = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    image[: height // 3] = rng.integers(0, 2, (height // 3, width, 3), dtype=np.uint8) * 255
    return image


def preprocessed(program, folder, image):
    """The network's input as `process_check` writes it, and what it printed."""
    ppm = write_ppm(folder / "image.ppm", image)
    status, out, error = run(program, folder, ppm, folder / "input.f32")
    assert status == 0, error
    report = json.loads(out)
    return np.fromfile(folder / "input.f32", np.float32).reshape(report["shape"])[0], report


# Preprocessing


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


# Postprocessing


def crowd(seed, count, classes, step=None):
    """Boxes in heaps around a few objects; with `step` rounded, so that boxes and scores coincide."""
    rng = np.random.default_rng(seed)
    objects = max(count // 25, 2)
    centres, sides = rng.uniform(0, 600, (objects, 2)), rng.uniform(30, 200, (objects, 2))
    owner = rng.integers(objects, size=count)
    centre = centres[owner] + rng.normal(0, 0.15, (count, 2)) * sides[owner]
    side = sides[owner] * np.exp(rng.normal(0, 0.15, (count, 2)))
    boxes = np.concatenate([centre - side / 2, centre + side / 2], 1)
    scores = rng.beta(0.3, 8, (classes, count))
    scores[rng.integers(classes, size=objects)[owner], np.arange(count)] = rng.beta(1, 2, count)
    if step:
        boxes, scores = np.round(boxes / 40) * 40, np.round(scores / step) * step
    return boxes.astype(np.float32), scores.astype(np.float32)


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


# Files that are wrong


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


# The program for the phone


# Signatures as in Paddle Lite's lite/api/paddle_api.h. A model is the two bytes of its format, then as text
# rank, shape and numbers of each output; what the network was given is written beside it.
PADDLE_API = """
#pragma once
#include <cstdint>
#include <fstream>
#include <memory>
#include <numeric>
#include <string>
#include <vector>
namespace paddle { namespace lite_api {
using shape_t = std::vector<int64_t>;
enum class TargetType : int { kHost = 1 };
typedef enum { LITE_POWER_HIGH = 0, LITE_POWER_NO_BIND = 3 } PowerMode;
struct Storage { shape_t shape; std::vector<float> values; };
struct Tensor {
  explicit Tensor(Storage* storage) : storage_(storage) {}
  void Resize(const shape_t& shape) {
    storage_->shape = shape;
    storage_->values.resize(std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>()));
  }
  template <typename T> const T* data() const { return storage_->values.data(); }
  template <typename T> T* mutable_data(TargetType = TargetType::kHost) const {
    return storage_->values.data();
  }
  shape_t shape() const { return storage_->shape; }
 private:
  Storage* storage_;
};
class PaddlePredictor {
 public:
  virtual ~PaddlePredictor() = default;
  virtual std::unique_ptr<Tensor> GetInput(int i) = 0;
  virtual std::unique_ptr<const Tensor> GetOutput(int i) const = 0;
  virtual void Run() = 0;
  virtual std::vector<std::string> GetInputNames() = 0;
  virtual std::vector<std::string> GetOutputNames() = 0;
};
class ConfigBase {
 public:
  void set_threads(int threads) { threads_ = threads; }
  void set_power_mode(PowerMode) {}
  int threads_ = 1;
};
class MobileConfig : public ConfigBase {
 public:
  void set_model_from_file(const std::string& x) { file_ = x; }
  std::string file_;
};
template <typename ConfigT> std::shared_ptr<PaddlePredictor> CreatePaddlePredictor(const ConfigT&);
class Fake : public PaddlePredictor {
 public:
  explicit Fake(const std::string& file) : file_(file) {
    std::ifstream stream(file);
    stream.ignore(2);
    for (int64_t rank; stream >> rank;) {
      outputs_.emplace_back(new Storage);
      shape_t shape(rank);
      for (auto& side : shape) stream >> side;
      Tensor(outputs_.back().get()).Resize(shape);
      for (auto& value : outputs_.back()->values) stream >> value;
    }
  }
  std::unique_ptr<Tensor> GetInput(int) override { return std::make_unique<Tensor>(&input_); }
  std::unique_ptr<const Tensor> GetOutput(int i) const override {
    return std::make_unique<const Tensor>(outputs_.at(i).get());
  }
  void Run() override {
    std::ofstream(file_ + ".seen", std::ios::binary)
        .write(reinterpret_cast<const char*>(input_.values.data()), 4 * input_.values.size());
  }
  std::vector<std::string> GetInputNames() override { return {"image"}; }
  std::vector<std::string> GetOutputNames() override {
    return std::vector<std::string>(outputs_.size());
  }
 private:
  std::string file_;
  Storage input_;
  std::vector<std::unique_ptr<Storage>> outputs_;
};
template <> inline std::shared_ptr<PaddlePredictor> CreatePaddlePredictor(const MobileConfig& config) {
  return std::make_shared<Fake>(config.file_);
}
}}
"""


@pytest.fixture(scope="session")
def detect(build):
    folder, flags = build
    (folder / "paddle_api.h").write_text(PADDLE_API)
    sources = [HERE / "src" / name for name in ("main.cc", "lite_network.cc")]
    compile_with([*flags, "-I."], folder, *sources, *folder.glob("*.o"), "-o", "detect")
    return folder / "detect"


def write_model(path, *outputs):
    flat = [[output.ndim, *output.shape, *map(repr, output.ravel().tolist())] for output in outputs]
    path.write_text("\2\0" + " ".join(str(word) for words in flat for word in words))


@sanitised
def test_detect(detect, tmp_path):
    config = write_folder(tmp_path, CHAINS["keep ratio, grey pad"])
    boxes, scores = crowd(0, 200, 2)
    write_model(tmp_path / "model_arm.nb", boxes[None], scores[None])
    write_model(tmp_path / "other.nb", boxes[None], scores[None] / 2)
    image = random_image(np.random.default_rng(0), 120, 90)
    ppms = [write_ppm(tmp_path / name, image) for name in ("a.ppm", 'b "2".ppm')]
    prepared = Preprocess(config.preprocess)(image)
    postprocess = Postprocess(config.nms, config.names)
    for options, scale, threshold in [
        ([], 1, None),
        (["--threshold", "0.2", "--model", tmp_path / "other.nb"], 2, 0.2),
    ]:
        status, out, error = run(detect, tmp_path, *ppms, *options)
        assert status == 0, error
        lines = [json.loads(line) for line in out.splitlines()]
        assert [line["image"] for line in lines] == [str(ppm) for ppm in ppms]
        (expected,) = postprocess(boxes[None], scores[None] / scale, [prepared], threshold)
        assert len(expected)
        for line in lines:
            found = line["detections"]
            assert [one["label"] for one in found] == expected.labels.tolist()
            np.testing.assert_array_equal(np.float32([one["score"] for one in found]), expected.scores)
            np.testing.assert_array_equal(np.float32([one["box"] for one in found]), expected.boxes)
    seen = np.fromfile(tmp_path / "model_arm.nb.seen", np.float32).reshape(prepared.pixels.shape)
    np.testing.assert_array_equal(seen, prepared.pixels)


@sanitised
def test_detect_repeated(detect, tmp_path):
    write_folder(tmp_path, CHAINS["ppyoloe"])
    write_model(tmp_path / "model_arm.nb", np.ones((1, 3, 4)), np.ones((1, 2, 3)))
    ppm = write_ppm(tmp_path / "a.ppm", np.zeros((8, 8, 3), np.uint8))
    status, out, error = run(detect, tmp_path, ppm, "--repeat", "3", "--threads", "2")
    assert status == 0, error
    milliseconds = json.loads(out)["milliseconds"]
    assert list(milliseconds) == ["preprocess", "network", "postprocess"]
    assert all(value >= 0 for value in milliseconds.values())


@sanitised
@pytest.mark.parametrize(
    "arguments, said",
    [
        (["{folder}"], "usage: detect FOLDER IMAGE.ppm"),
        (["{folder}", "{ppm}", "--thread", "2"], "'--thread' is not an option; usage: "),
        (["{folder}", "{ppm}", "--threads", "0"], "--threads is '0'; give a whole number from 1 up"),
        (["{folder}", "{ppm}", "--threshold"], "--threshold is ''; give a number"),
        (["{folder}", "{ppm}", "--model", "none.nb"], "none.nb: cannot be opened; copy it"),
        (
            ["{folder}", "{ppm}", "--model", "{folder}/model.onnx"],
            "{folder}/model.onnx: is no model of Paddle Lite",
        ),
        (
            ["{folder}", "{ppm}", "--model", "{folder}/empty.nb"],
            "{folder}/empty.nb: is no model of Paddle Lite",
        ),
        (["{folder}", "{ppm}"], "{folder}/model_arm.nb: its outputs are not boxes [1, L, 4] and scores"),
        (
            ["{folder}", "{ppm}", "--model", "{folder}/one.nb"],
            "{folder}/one.nb: does not take one image and give",
        ),
    ],
)
def test_detect_refuses(detect, tmp_path, arguments, said):
    write_folder(tmp_path, CHAINS["ppyoloe"])
    write_model(tmp_path / "model_arm.nb", np.ones((1, 3, 6)), np.ones((1, 2, 3)))
    write_model(tmp_path / "one.nb", np.ones((1, 3, 6)))
    (tmp_path / "model.onnx").write_bytes(b"\x08\x07other")
    (tmp_path / "empty.nb").touch()
    places = {"folder": tmp_path, "ppm": write_ppm(tmp_path / "a.ppm", np.zeros((8, 8, 3), np.uint8))}
    error = refused(detect, *[argument.format(**places) for argument in arguments])
    assert error.startswith(said.format(**places)), error


def test_cmake_builds_every_source():
    text = (HERE / "CMakeLists.txt").read_text()
    assert all(f"src/{source.name}" in text for source in (HERE / "src").glob("*.cc"))
