// From the raw outputs of the network to detections in pixels of the input image.
#pragma once

#include <vector>

#include "nms.h"
#include "preprocess.h"

namespace ppdet_ext {

// Raw outputs of one image, in memory of the engine's.
struct RawOutputs {
  const float* boxes;   // [count, 4] xyxy, network pixels
  const float* scores;  // [classes, count] after the sigmoid
  int count;
  int classes;
};

struct Detection {
  int label;  // into Settings::labels
  float score;
  Box box;  // pixels of the input image, not cut at its border
};

// By falling score. Throws std::runtime_error where outputs and labels disagree or a number is not finite.
std::vector<Detection> Postprocess(const RawOutputs& outputs, const NetworkInput& input,
                                   const Settings& settings);

}  // namespace ppdet_ext
