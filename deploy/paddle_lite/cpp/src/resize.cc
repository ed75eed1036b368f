#include "resize.h"

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <stdexcept>
#include <string>

namespace ppdet_ext {
namespace {

void ResizeNearest(const Image& image, double fx, double fy, Image* target) {
  const double step_x = 1.0 / fx, step_y = 1.0 / fy;
  for (int y = 0; y < target->height; ++y) {
    const uint8_t* from = image.row(std::min<int>(std::floor(y * step_y), image.height - 1));
    uint8_t* to = target->row(y);
    for (int x = 0; x < target->width; ++x, to += 3) {
      std::copy_n(from + 3 * std::min<int>(std::floor(x * step_x), image.width - 1), 3, to);
    }
  }
}

bool IsHalf(double factor) { return std::abs(1.0 / factor - 2) < DBL_EPSILON; }

}  // namespace

Image ResizeImage(const Image& image, double fx, double fy, Interpolation interpolation) {
  // Halves go to the even number, as in OpenCV's rounding.
  const double width = std::nearbyint(image.width * fx);
  const double height = std::nearbyint(image.height * fy);
  if (width < 1 || height < 1) {
    throw std::runtime_error("image: " + std::to_string(image.width) + "x" +
                             std::to_string(image.height) +
                             " px lose a side when resized; crop it to a less extreme shape");
  }
  Image target = MakeImage(static_cast<int>(width), static_cast<int>(height));
  if (target.width == image.width && target.height == image.height) {
    target.pixels = image.pixels;
    return target;
  }
  // OpenCV, too, takes the mean of four pixels for half the size.
  const bool halves = interpolation == Interpolation::kLinear && IsHalf(fx) && IsHalf(fy);
  const bool shrinks = 1.0 / fx >= 1 && 1.0 / fy >= 1;
  if (interpolation == Interpolation::kNearest) {
    ResizeNearest(image, fx, fy, &target);
  } else if (halves || (interpolation == Interpolation::kArea && shrinks)) {
    ResizeArea(image, fx, fy, &target);
  } else {
    ResizeSeparable(image, fx, fy, interpolation, &target);
  }
  return target;
}

}  // namespace ppdet_ext
