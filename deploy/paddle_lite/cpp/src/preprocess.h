// From an image to the tensor that the network takes, bit for bit as ppdet_ext.runtime.preprocess.
#pragma once

#include <vector>

#include "image.h"
#include "settings.h"

namespace ppdet_ext {

struct NetworkInput {
  int height;
  int width;
  std::vector<float> pixels;  // [3, height, width] RGB
  float scale_y;              // network pixels per input pixel
  float scale_x;
};

// Runs the operators of the settings. Throws std::runtime_error, one line, for an image that does not fit.
NetworkInput Preprocess(const ImageView& image, const Settings& settings);

}  // namespace ppdet_ext
