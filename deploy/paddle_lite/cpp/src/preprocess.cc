#include "preprocess.h"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <string>

namespace ppdet_ext {
namespace {

// The two roundings are NumPy's: float32 values, float64 constants.
float Normalized(float value, const Normalize& how, int channel) {
  if (how.is_scale) value *= static_cast<float>(1.0 / 255.0);
  if (how.mean_std) {
    value = static_cast<float>(value - how.mean[channel]);
    value = static_cast<float>(value / how.std[channel]);
  }
  return value;
}

// A picture under way. Its pixels stay bytes; what they stand for is kept in a table, what surrounds them
// in a list, and all is put together once, at the end.
class Canvas {
 public:
  explicit Canvas(Image picture) : picture_(std::move(picture)) {
    for (auto& table : levels_) {
      for (int level = 0; level < 256; ++level) table[level] = static_cast<float>(level);
    }
  }

  void Apply(const Resize& how) {
    const double height = picture_.height, width = picture_.width;
    double scale_y = how.height / height, scale_x = how.width / width;
    if (how.keep_ratio) {
      const auto [short_target, long_target] = std::minmax(how.height, how.width);
      const auto [short_side, long_side] = std::minmax(height, width);
      scale_y = scale_x = std::min(short_target / short_side, long_target / long_side);
    }
    picture_ = ResizeImage(picture_, scale_x, scale_y, how.interpolation);
    scale_y_ = static_cast<float>(scale_y_ * scale_y);
    scale_x_ = static_cast<float>(scale_x_ * scale_x);
  }

  void Apply(const Pad& how) {
    if (height() > how.height || width() > how.width) {
      throw std::runtime_error("image: resized to " + std::to_string(width()) + "x" +
                               std::to_string(height()) + " it is larger than padded, " +
                               std::to_string(how.width) + "x" + std::to_string(how.height) +
                               "; correct target_size or size and export again");
    }
    frames_.push_back({how.height, how.width, how.fill});
  }

  void Apply(const PadStride& how) {
    if (how.stride == 0) return;
    const auto up = [&](int side) { return (side + how.stride - 1) / how.stride * how.stride; };
    frames_.push_back({up(height()), up(width()), {0.f, 0.f, 0.f}});
  }

  void Apply(const Normalize& how) {
    for (int channel = 0; channel < 3; ++channel) {
      for (float& level : levels_[channel]) level = Normalized(level, how, channel);
      for (Frame& frame : frames_) frame.fill[channel] = Normalized(frame.fill[channel], how, channel);
    }
  }

  NetworkInput Finish() const {
    const size_t plane = size_t{1} * height() * width();
    NetworkInput input{height(), width(), std::vector<float>(3 * plane), scale_y_, scale_x_};
    // The outermost frame first: those within and the picture go over it.
    for (auto frame = frames_.rbegin(); frame != frames_.rend(); ++frame) {
      for (int channel = 0; channel < 3; ++channel) {
        for (int y = 0; y < frame->height; ++y) {
          std::fill_n(&input.pixels[channel * plane + size_t{1} * y * input.width], frame->width,
                      frame->fill[channel]);
        }
      }
    }
    for (int y = 0; y < picture_.height; ++y) {
      const uint8_t* from = picture_.row(y);
      float* to = &input.pixels[size_t{1} * y * input.width];
      for (int x = 0; x < picture_.width; ++x, ++to) {
        for (int channel = 0; channel < 3; ++channel) to[channel * plane] = levels_[channel][*from++];
      }
    }
    return input;
  }

 private:
  struct Frame {
    int height;
    int width;
    std::array<float, 3> fill;
  };

  int height() const { return frames_.empty() ? picture_.height : frames_.back().height; }
  int width() const { return frames_.empty() ? picture_.width : frames_.back().width; }

  Image picture_;
  float scale_y_ = 1, scale_x_ = 1;
  std::array<std::array<float, 256>, 3> levels_;
  std::vector<Frame> frames_;
};

}  // namespace

NetworkInput Preprocess(const ImageView& image, const Settings& settings) {
  Canvas canvas(CopyAsRGB(image));
  for (const Operator& step : settings.operators) {
    std::visit([&](const auto& how) { canvas.Apply(how); }, step);
  }
  return canvas.Finish();
}

}  // namespace ppdet_ext
