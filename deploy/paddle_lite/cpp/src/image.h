// Images in memory, as a camera gives them and as preprocessing takes them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace ppdet_ext {

enum class PixelFormat { kRGB, kBGR, kRGBA, kBGRA };

// Pixels of someone else: `height` rows of `width` pixels, a row every `stride` bytes.
struct ImageView {
  const uint8_t* data;
  int width;
  int height;
  size_t stride;
  PixelFormat format;
};

// Own pixels: [height, width, 3] uint8 RGB.
struct Image {
  int width = 0;
  int height = 0;
  std::vector<uint8_t> pixels;

  const uint8_t* row(int y) const { return pixels.data() + size_t{3} * width * y; }
  uint8_t* row(int y) { return pixels.data() + size_t{3} * width * y; }
};

// A black image of the size.
Image MakeImage(int width, int height);

// The picture as RGB; alpha is dropped. Throws std::runtime_error for an empty or impossible view.
Image CopyAsRGB(const ImageView& view);

// The same pixels without a copy, valid as long as the image.
ImageView ViewOf(const Image& image);

}  // namespace ppdet_ext
