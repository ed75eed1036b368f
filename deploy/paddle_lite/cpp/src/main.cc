// Detects in PPM images with an exported folder; prints one JSON object an image.
#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <stdexcept>
#include <string>
#include <vector>

#include "json.h"
#include "lite_network.h"
#include "postprocess.h"
#include "ppm.h"
#include "preprocess.h"

namespace {

constexpr char kUsage[] =
    "usage: detect FOLDER IMAGE.ppm ... [--model FILE] [--threads N] [--threshold S] [--repeat N]";

struct Arguments {
  std::string folder;
  std::vector<std::string> images;
  std::string model;  // by default FOLDER/model_arm.nb
  int threads = 4;
  double threshold = NAN;  // by default the settings'
  int repeat = 0;          // timed runs, after one to warm up
};

double ToNumber(const std::string& option, const char* text) {
  char* end = nullptr;
  const double value = std::strtod(text, &end);
  if (end == text || *end || !std::isfinite(value)) {
    throw std::runtime_error(option + " is '" + text + "'; give a number");
  }
  return value;
}

int ToCount(const std::string& option, const char* text) {
  const double value = ToNumber(option, text);
  if (value < 1 || value > 1e6 || value != std::floor(value)) {
    throw std::runtime_error(option + " is '" + text + "'; give a whole number from 1 up");
  }
  return static_cast<int>(value);
}

Arguments Parse(int argc, char** argv) {
  Arguments arguments;
  std::vector<std::string> names;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word.compare(0, 2, "--") != 0) {
      names.push_back(word);
      continue;
    }
    const char* value = ++i < argc ? argv[i] : "";
    if (word == "--model") {
      arguments.model = value;
    } else if (word == "--threads") {
      arguments.threads = ToCount(word, value);
    } else if (word == "--threshold") {
      arguments.threshold = ToNumber(word, value);
    } else if (word == "--repeat") {
      arguments.repeat = ToCount(word, value);
    } else {
      throw std::runtime_error("'" + word + "' is not an option; " + kUsage);
    }
  }
  if (names.size() < 2) throw std::runtime_error(kUsage);
  arguments.folder = names[0];
  arguments.images.assign(names.begin() + 1, names.end());
  if (arguments.model.empty()) arguments.model = arguments.folder + "/model_arm.nb";
  return arguments;
}

double Median(std::vector<double> values) {
  const auto middle = values.begin() + values.size() / 2;
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

void Run(const Arguments& arguments) {
  ppdet_ext::Settings settings = ppdet_ext::ReadSettings(arguments.folder + "/detector.txt");
  if (!std::isnan(arguments.threshold)) {
    settings.nms.score_threshold = static_cast<float>(arguments.threshold);
  }
  ppdet_ext::LiteNetwork network(arguments.model, arguments.threads);
  using Clock = std::chrono::steady_clock;
  for (const std::string& name : arguments.images) {
    const ppdet_ext::Image image = ppdet_ext::ReadPPM(name);
    std::vector<ppdet_ext::Detection> detections;
    std::array<std::vector<double>, 3> milliseconds;
    for (int run = 0; run <= arguments.repeat; ++run) {
      std::array<Clock::time_point, 4> at;
      at[0] = Clock::now();
      const auto input = ppdet_ext::Preprocess(ppdet_ext::ViewOf(image), settings);
      at[1] = Clock::now();
      const auto outputs = network.Run(input);
      at[2] = Clock::now();
      detections = ppdet_ext::Postprocess(outputs, input, settings);
      at[3] = Clock::now();
      for (int stage = 0; run > 0 && stage < 3; ++stage) {
        const std::chrono::duration<double, std::milli> lap = at[stage + 1] - at[stage];
        milliseconds[stage].push_back(lap.count());
      }
    }
    std::printf("{\"image\": %s, \"detections\": %s", ppdet_ext::Quoted(name).c_str(),
                ppdet_ext::ToJSON(detections, settings).c_str());
    if (arguments.repeat > 0) {
      std::printf(", \"milliseconds\": {\"preprocess\": %.3f, \"network\": %.3f, \"postprocess\": %.3f}",
                  Median(milliseconds[0]), Median(milliseconds[1]), Median(milliseconds[2]));
    }
    std::printf("}\n");
  }
}

}  // namespace

int main(int argc, char** argv) {
  try {
    Run(Parse(argc, argv));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
  }
  return 0;
}
