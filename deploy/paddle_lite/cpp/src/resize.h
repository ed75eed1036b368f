// cv2.resize of 8-bit images, without OpenCV.
#pragma once

#include "image.h"

namespace ppdet_ext {

// OpenCV's numbers, as `interp` in infer_cfg.yml has them.
enum class Interpolation { kNearest = 0, kLinear = 1, kCubic = 2, kArea = 3 };

// cv2.resize(image, None, None, fx, fy, interpolation): the size is rounded from the factors, and the
// factors, not the rounded size, place the samples. Throws std::runtime_error where a side is lost.
Image ResizeImage(const Image& image, double fx, double fy, Interpolation interpolation);

// Its parts, one a file; `target` has the rounded size.
void ResizeSeparable(const Image& image, double fx, double fy, Interpolation kind, Image* target);
void ResizeArea(const Image& image, double fx, double fy, Image* target);

}  // namespace ppdet_ext
