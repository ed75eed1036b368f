// Linear and cubic interpolation in OpenCV's fixed-point arithmetic: weights of 11 bits, rows first.
#include <algorithm>
#include <array>
#include <cmath>

#include "resize.h"

namespace ppdet_ext {
namespace {

constexpr int kWeightBits = 11;

// Where a target pixel takes its value from: source pixels along one axis, with their weights.
struct Taps {
  std::array<int, 4> from;
  std::array<int, 4> weight;
};

// Keys' cubic kernel with a = -0.75; the order of operations is OpenCV's, for the last bit counts.
std::array<float, 4> CubicWeights(float t) {
  const float a = -0.75f, u = 1 - t;
  std::array<float, 4> weights;
  weights[0] = ((a * (t + 1) - 5 * a) * (t + 1) + 8 * a) * (t + 1) - 4 * a;
  weights[1] = ((a + 2) * t - (a + 3)) * t * t + 1;
  weights[2] = ((a + 2) * u - (a + 3)) * u * u + 1;
  weights[3] = 1.f - weights[0] - weights[1] - weights[2];
  return weights;
}

// The taps of every target pixel along one axis.
std::vector<Taps> MakeTaps(int source, int target, double factor, Interpolation kind, bool rows) {
  const double step = 1.0 / factor;
  const bool cubic = kind == Interpolation::kCubic;
  std::vector<Taps> all(target);
  for (int i = 0; i < target; ++i) {
    int first;
    float t;
    if (kind == Interpolation::kArea) {  // enlarging: source pixels stay flat, their seams are linear
      first = static_cast<int>(std::floor(i * step));
      t = static_cast<float>((i + 1) - (first + 1) * factor);
      t = t <= 0 ? 0.f : t - std::floor(t);
    } else {
      t = static_cast<float>((i + 0.5) * step - 0.5);
      first = static_cast<int>(std::floor(t));
      t -= first;
    }
    // Beyond the edge OpenCV drops the second column, but weighs a second row, though it is the same.
    if (!cubic && !rows && (first < 0 || first >= source - 1)) t = 0;
    const auto weights = cubic ? CubicWeights(t) : std::array<float, 4>{1.f - t, t, 0.f, 0.f};
    for (int k = 0; k < 4; ++k) {
      all[i].from[k] = std::clamp(first + k - (cubic ? 1 : 0), 0, source - 1);
      all[i].weight[k] = static_cast<int>(std::nearbyint(weights[k] * (1 << kWeightBits)));
    }
  }
  return all;
}

template <int count>
void Horizontal(const uint8_t* row, const std::vector<Taps>& columns, int* sums) {
  for (const Taps& taps : columns) {
    for (int channel = 0; channel < 3; ++channel) {
      int sum = 0;
      for (int k = 0; k < count; ++k) sum += taps.weight[k] * row[3 * taps.from[k] + channel];
      *sums++ = sum;
    }
  }
}

uint8_t Saturated(int value) { return static_cast<uint8_t>(std::clamp(value, 0, 255)); }

void VerticalLinear(const std::array<const int*, 4>& rows, const Taps& taps, int size, uint8_t* to) {
  for (int i = 0; i < size; ++i) {
    const int upper = (taps.weight[0] * (rows[0][i] >> 4)) >> 16;
    const int lower = (taps.weight[1] * (rows[1][i] >> 4)) >> 16;
    to[i] = static_cast<uint8_t>((upper + lower + 2) >> 2);
  }
}

// OpenCV sums eight values at a time in floats and what is left of the row in integers.
void VerticalCubic(const std::array<const int*, 4>& rows, const Taps& taps, int size, uint8_t* to) {
  const float unit = 1.f / (1 << 2 * kWeightBits);
  std::array<float, 4> weights;
  for (int k = 0; k < 4; ++k) weights[k] = taps.weight[k] * unit;
  int i = 0;
  for (; i < size / 8 * 8; ++i) {
    float sum = rows[3][i] * weights[3];
    for (int k = 2; k >= 0; --k) sum = rows[k][i] * weights[k] + sum;
    to[i] = Saturated(static_cast<int>(std::nearbyint(sum)));
  }
  for (; i < size; ++i) {
    int sum = 1 << (2 * kWeightBits - 1);
    for (int k = 0; k < 4; ++k) sum += taps.weight[k] * rows[k][i];
    to[i] = Saturated(sum >> 2 * kWeightBits);
  }
}

}  // namespace

void ResizeSeparable(const Image& image, double fx, double fy, Interpolation kind, Image* target) {
  const auto columns = MakeTaps(image.width, target->width, fx, kind, false);
  const auto rows = MakeTaps(image.height, target->height, fy, kind, true);
  const bool cubic = kind == Interpolation::kCubic;
  const int count = cubic ? 4 : 2, size = 3 * target->width;
  // The last source rows, resized; those under one target row lie less than `count` apart.
  std::vector<int> sums(size_t{1} * count * size);
  std::array<int, 4> held = {-1, -1, -1, -1};
  for (int y = 0; y < target->height; ++y) {
    std::array<const int*, 4> under{};
    for (int k = 0; k < count; ++k) {
      const int row = rows[y].from[k], slot = row % count;
      int* const place = sums.data() + size_t{1} * slot * size;
      if (held[slot] != row) (cubic ? Horizontal<4> : Horizontal<2>)(image.row(row), columns, place);
      held[slot] = row;
      under[k] = place;
    }
    (cubic ? VerticalCubic : VerticalLinear)(under, rows[y], size, target->row(y));
  }
}

}  // namespace ppdet_ext
