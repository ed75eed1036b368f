"""The program for the phone, on a stand-in for Paddle Lite."""

import json

import numpy as np
import pytest

from ppdet_ext.runtime.postprocess import Postprocess
from ppdet_ext.runtime.preprocess import Preprocess

from .lite_cpp import (
    CHAINS,
    HERE,
    compile_with,
    crowd,
    needs_compiler,
    random_image,
    refused,
    run,
    sanitised,
    write_folder,
    write_ppm,
)

pytestmark = needs_compiler


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
