// INTER_AREA for images that shrink: a target pixel is the mean of the source pixels it covers.
#include <algorithm>
#include <cfloat>
#include <cmath>

#include "resize.h"

namespace ppdet_ext {
namespace {

uint8_t Rounded(float value) {
  return static_cast<uint8_t>(std::clamp(std::nearbyint(value), 0.f, 255.f));
}

// Means of whole pixels, where both steps are whole numbers.
void ResizeWhole(const Image& image, int step_x, int step_y, Image* target) {
  const bool quarters = step_x == 2 && step_y == 2;
  for (int y = 0; y < target->height; ++y) {
    const int top = y * step_y, bottom = std::min(top + step_y, image.height);
    for (int x = 0; x < target->width; ++x) {
      const int left = x * step_x, right = std::min(left + step_x, image.width);
      // A size that was rounded up reaches beyond the image: fewer pixels there, or none.
      const int count = std::max(bottom - top, 0) * std::max(right - left, 0);
      for (int channel = 0; channel < 3; ++channel) {
        int sum = 0;
        for (int row = top; row < bottom; ++row) {
          for (int column = left; column < right; ++column) {
            sum += image.row(row)[3 * column + channel];
          }
        }
        uint8_t& to = target->row(y)[3 * x + channel];
        if (count == 0) {
          to = 0;
        } else if (count < step_x * step_y) {
          to = Rounded(static_cast<float>(sum) / count);
        } else {  // halves go up among four pixels, to the even number among others
          to = quarters ? static_cast<uint8_t>((sum + 2) >> 2) : Rounded(sum * (1.f / count));
        }
      }
    }
  }
}

// A source pixel under a target pixel, along one axis, and its share.
struct Share {
  int to;
  int from;
  float weight;
};

std::vector<Share> MakeShares(int source, int target, double step) {
  const double least = 1e-3;  // OpenCV drops what covers less of a pixel
  std::vector<Share> shares;
  for (int i = 0; i < target; ++i) {
    const double begin = i * step, end = begin + step;
    const double width = std::min(step, source - begin);
    const int last = std::min(static_cast<int>(std::floor(end)), source - 1);
    const int first = std::min(static_cast<int>(std::ceil(begin)), last);
    if (first - begin > least) {
      shares.push_back({i, first - 1, static_cast<float>((first - begin) / width)});
    }
    for (int from = first; from < last; ++from) {
      shares.push_back({i, from, static_cast<float>(1.0 / width)});
    }
    if (end - last > least) {
      const double part = std::min(std::min(end - last, 1.0), width);
      shares.push_back({i, last, static_cast<float>(part / width)});
    }
  }
  return shares;
}

void ResizeFractional(const Image& image, double step_x, double step_y, Image* target) {
  const auto columns = MakeShares(image.width, target->width, step_x);
  const auto rows = MakeShares(image.height, target->height, step_y);
  std::vector<float> line(size_t{3} * target->width), sums(line.size());
  for (size_t r = 0; r < rows.size(); ++r) {
    const uint8_t* from = image.row(rows[r].from);
    std::fill(line.begin(), line.end(), 0.f);
    for (const Share& share : columns) {
      for (int c = 0; c < 3; ++c) line[3 * share.to + c] += from[3 * share.from + c] * share.weight;
    }
    const bool first = r == 0 || rows[r].to != rows[r - 1].to;
    for (size_t i = 0; i < line.size(); ++i) {
      sums[i] = (first ? 0.f : sums[i]) + rows[r].weight * line[i];
    }
    if (r + 1 == rows.size() || rows[r + 1].to != rows[r].to) {
      std::transform(sums.begin(), sums.end(), target->row(rows[r].to), Rounded);
    }
  }
}

}  // namespace

void ResizeArea(const Image& image, double fx, double fy, Image* target) {
  const double step_x = 1.0 / fx, step_y = 1.0 / fy;
  const int whole_x = static_cast<int>(std::nearbyint(step_x));
  const int whole_y = static_cast<int>(std::nearbyint(step_y));
  if (std::abs(step_x - whole_x) < DBL_EPSILON && std::abs(step_y - whole_y) < DBL_EPSILON) {
    ResizeWhole(image, whole_x, whole_y, target);
  } else {
    ResizeFractional(image, step_x, step_y, target);
  }
}

}  // namespace ppdet_ext
