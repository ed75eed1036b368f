// What the programs print: one JSON object a line.
#pragma once

#include <string>
#include <vector>

#include "postprocess.h"

namespace ppdet_ext {

// A string in quotes; UTF-8 passes as it is.
std::string Quoted(const std::string& text);

// A number with all its digits.
std::string Digits(float value);

// [{"label": 0, "name": "person", "score": 0.9, "box": [x1, y1, x2, y2]}, ...]
std::string ToJSON(const std::vector<Detection>& detections, const Settings& settings);

}  // namespace ppdet_ext
