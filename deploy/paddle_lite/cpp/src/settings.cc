#include "settings.h"

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <limits>
#include <map>
#include <stdexcept>

namespace ppdet_ext {
namespace {

// One line of the file, taken word by word; errors name it.
class Line {
 public:
  Line(const std::string& file, int number, const std::string& text)
      : place_(file + ":" + std::to_string(number) + ": "), text_(text) {}

  [[noreturn]] void Fail(const std::string& what) const {
    throw std::runtime_error(place_ + what + "; write the file again with ppdet_ext");
  }

  // The next word, "" at the end.
  std::string Word() {
    const size_t end = std::min(text_.find(' ', at_), text_.size());
    const std::string word = text_.substr(at_, end - at_);
    at_ = std::min(end + 1, text_.size());
    return word;
  }

  // All that is left, spaces and all.
  std::string Rest() {
    const size_t from = at_;
    at_ = text_.size();
    return text_.substr(from);
  }

  double Number() {
    const std::string word = Word();
    char* end = nullptr;
    const double value = std::strtod(word.c_str(), &end);
    if (word.empty() || *end || !std::isfinite(value)) Fail("'" + word + "' is not a number");
    return value;
  }

  int Whole(int least = std::numeric_limits<int>::min()) {
    const double value = Number();
    if (value != std::floor(value) || value < least || value > std::numeric_limits<int>::max()) {
      Fail("a whole number from " + std::to_string(least) + " up is due here");
    }
    return static_cast<int>(value);
  }

  bool Switch() {
    const std::string word = Word();
    if (word != "0" && word != "1") Fail("'" + word + "' is not a switch, 0 or 1");
    return word == "1";
  }

  void End() const {
    if (at_ < text_.size()) Fail("'" + text_.substr(at_) + "' is too much");
  }

 private:
  const std::string place_;
  const std::string text_;
  size_t at_ = 0;
};

Resize ReadResize(Line* line) {
  Resize resize;
  resize.height = line->Whole(1);
  resize.width = line->Whole(1);
  resize.keep_ratio = line->Switch();
  const int interp = line->Whole(0);
  if (interp > static_cast<int>(Interpolation::kArea)) line->Fail("interp is none of 0, 1, 2, 3");
  resize.interpolation = static_cast<Interpolation>(interp);
  return resize;
}

Pad ReadPad(Line* line) {
  Pad pad;
  pad.height = line->Whole(1);
  pad.width = line->Whole(1);
  for (float& level : pad.fill) level = static_cast<float>(line->Number());
  return pad;
}

Normalize ReadNormalize(Line* line) {
  Normalize normalize;
  normalize.is_scale = line->Switch();
  const std::string type = line->Word();
  if (type != "mean_std" && type != "none") line->Fail("norm_type is neither mean_std nor none");
  normalize.mean_std = type == "mean_std";
  for (double& mean : normalize.mean) mean = line->Number();
  for (double& std : normalize.std) {
    std = line->Number();
    if (std == 0) line->Fail("std is 0");
  }
  return normalize;
}

}  // namespace

Settings ReadSettings(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  if (!stream) throw std::runtime_error(path + ": cannot be opened; copy it from the exported folder");
  Settings settings{path, {}, {}, {}};
  NMSSettings& nms = settings.nms;
  auto& operators = settings.operators;
  const std::map<std::string, std::function<void(Line*)>> readers = {
      {"Pad", [&](Line* line) { operators.push_back(ReadPad(line)); }},
      {"NormalizeImage", [&](Line* line) { operators.push_back(ReadNormalize(line)); }},
      {"PadStride", [&](Line* line) { operators.push_back(PadStride{line->Whole(0)}); }},
      {"Resize",
       [&](Line* line) {
         if (!operators.empty() && !std::holds_alternative<Resize>(operators.back())) {
           line->Fail("Resize stands behind another operator, but takes 8-bit pixels");
         }
         operators.push_back(ReadResize(line));
       }},
      {"label", [&](Line* line) { settings.labels.push_back(line->Rest()); }},
  };
  // Each once.
  std::map<std::string, std::function<void(Line*)>> missing = {
      {"score_threshold", [&](Line* l) { nms.score_threshold = static_cast<float>(l->Number()); }},
      {"nms_threshold", [&](Line* l) { nms.nms_threshold = static_cast<float>(l->Number()); }},
      {"nms_top_k", [&](Line* l) { nms.nms_top_k = l->Whole(-1); }},
      {"keep_top_k", [&](Line* l) { nms.keep_top_k = l->Whole(-1); }},
      {"normalized", [&](Line* l) { nms.normalized = l->Switch(); }},
      {"background_label", [&](Line* l) { nms.background_label = l->Whole(); }},
  };
  std::string text;
  int number = 0;
  while (std::getline(stream, text)) {
    if (!text.empty() && text.back() == '\r') text.pop_back();  // a copy through Windows
    Line line(path, ++number, text);
    const std::string key = line.Word();
    if (number == 1) {
      if (key != "format") line.Fail("is no detector.txt, which begins with 'format'");
      if (line.Rest() != "1") line.Fail("this program reads format 1");
    } else if (const auto reader = readers.find(key); reader != readers.end()) {
      reader->second(&line);
    } else if (auto once = missing.extract(key)) {
      once.mapped()(&line);
    } else {
      line.Fail("'" + key + "' is not known, or given twice");
    }
    line.End();
  }
  const Line end(path, number, "");
  if (!missing.empty()) end.Fail("the file ends without '" + missing.begin()->first + "'");
  if (settings.labels.empty()) end.Fail("the file ends without a label");
  return settings;
}

}  // namespace ppdet_ext
