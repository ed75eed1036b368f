// detector.txt: what ppdet_ext.export.device_cfg wrote about a model. A line is a key and its values:
//
//   format 1
//   Resize <height> <width> <keep_ratio> <interp>     input operators, in their order; switches are 0 or 1
//   Pad <height> <width> <red> <green> <blue>
//   NormalizeImage <is_scale> <norm_type> <mean, 3 numbers> <std, 3 numbers>
//   PadStride <stride>
//   score_threshold 0.01                              settings of the NMS, each once
//   label traffic light                               a class, in the order of the scores
#pragma once

#include <array>
#include <string>
#include <variant>
#include <vector>

#include "resize.h"

namespace ppdet_ext {

struct Resize {
  int height;
  int width;
  bool keep_ratio;  // within the size, else to it
  Interpolation interpolation;
};

struct Pad {  // at the right and at the bottom
  int height;
  int width;
  std::array<float, 3> fill;
};

struct Normalize {
  bool is_scale;  // x / 255 first
  bool mean_std;  // then (x - mean) / std
  std::array<double, 3> mean;
  std::array<double, 3> std;
};

struct PadStride {  // with zeros to a multiple, none for 0
  int stride;
};

using Operator = std::variant<Resize, Pad, Normalize, PadStride>;

struct NMSSettings {
  float score_threshold;  // candidates score more
  int nms_top_k;          // best candidates of a class, -1 for all
  int keep_top_k;         // best detections of the image, -1 for all
  float nms_threshold;    // IoU above which a box goes
  bool normalized;        // false: the last pixel counts in, a side is x2 - x1 + 1
  int background_label;   // a class to leave out, -1 for none
};

struct Settings {
  std::string file;
  std::vector<Operator> operators;
  NMSSettings nms;
  std::vector<std::string> labels;
};

// Throws std::runtime_error, one line with file, line and the mend.
Settings ReadSettings(const std::string& path);

}  // namespace ppdet_ext
