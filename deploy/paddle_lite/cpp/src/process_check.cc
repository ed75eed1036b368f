// Pre- and postprocessing without an engine, for comparison with Python:
//
//   process_check FOLDER IMAGE.ppm INPUT.f32 [BOXES.f32 SCORES.f32]
//
// writes the network's input tensor to INPUT.f32 and prints its shape and scale as JSON, with raw outputs
// also the detections. Files are bare float32: boxes [L, 4], scores [C, L].
#include <cstdio>
#include <exception>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "json.h"
#include "postprocess.h"
#include "ppm.h"
#include "preprocess.h"

namespace {

std::vector<float> ReadFloats(const std::string& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) throw std::runtime_error(path + ": cannot be opened; check the path");
  std::vector<float> values(static_cast<size_t>(file.tellg()) / sizeof(float));
  file.seekg(0);
  file.read(reinterpret_cast<char*>(values.data()), values.size() * sizeof(float));
  return values;
}

void WriteFloats(const std::string& path, const std::vector<float>& values) {
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
  if (!file.flush()) throw std::runtime_error(path + ": cannot be written; check the path");
}

void Run(int argc, char** argv) {
  if (argc != 4 && argc != 6) {
    throw std::runtime_error("usage: process_check FOLDER IMAGE.ppm INPUT.f32 [BOXES.f32 SCORES.f32]");
  }
  const auto settings = ppdet_ext::ReadSettings(std::string(argv[1]) + "/detector.txt");
  const auto image = ppdet_ext::ReadPPM(argv[2]);
  const auto input = ppdet_ext::Preprocess(ppdet_ext::ViewOf(image), settings);
  WriteFloats(argv[3], input.pixels);
  std::string report = "{\"shape\": [1, 3, " + std::to_string(input.height) + ", " +
                       std::to_string(input.width) + "], \"scale\": [" +
                       ppdet_ext::Digits(input.scale_y) + ", " + ppdet_ext::Digits(input.scale_x) + "]";
  if (argc == 6) {
    const auto boxes = ReadFloats(argv[4]), scores = ReadFloats(argv[5]);
    const size_t count = boxes.size() / 4;
    if (count == 0 || boxes.size() % 4 || scores.size() % count) {
      throw std::runtime_error(std::string(argv[5]) + ": does not fit the boxes; give [C, L] to [L, 4]");
    }
    const ppdet_ext::RawOutputs outputs{boxes.data(), scores.data(), static_cast<int>(count),
                                        static_cast<int>(scores.size() / count)};
    const auto detections = ppdet_ext::Postprocess(outputs, input, settings);
    report += ", \"detections\": " + ppdet_ext::ToJSON(detections, settings);
  }
  std::printf("%s}\n", report.c_str());
}

}  // namespace

int main(int argc, char** argv) {
  try {
    Run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
  }
  return 0;
}
