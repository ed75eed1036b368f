#include "image.h"

#include <stdexcept>
#include <string>

namespace ppdet_ext {

Image MakeImage(int width, int height) {
  Image image;
  image.width = width;
  image.height = height;
  image.pixels.resize(size_t{3} * width * height);
  return image;
}

Image CopyAsRGB(const ImageView& view) {
  const bool alpha = view.format == PixelFormat::kRGBA || view.format == PixelFormat::kBGRA;
  const bool blue_first = view.format == PixelFormat::kBGR || view.format == PixelFormat::kBGRA;
  const int channels = alpha ? 4 : 3, red = blue_first ? 2 : 0, blue = 2 - red;
  if (!view.data || view.width < 1 || view.height < 1) {
    throw std::runtime_error("image: it has no pixels; give data, width and height");
  }
  if (view.stride < size_t{1} * view.width * channels) {
    throw std::runtime_error("image: a stride of " + std::to_string(view.stride) +
                             " bytes is less than a row; give bytes, not pixels");
  }
  Image image = MakeImage(view.width, view.height);
  for (int y = 0; y < view.height; ++y) {
    const uint8_t* from = view.data + view.stride * y;
    uint8_t* to = image.row(y);
    for (int x = 0; x < view.width; ++x, from += channels, to += 3) {
      to[0] = from[red];
      to[1] = from[1];
      to[2] = from[blue];
    }
  }
  return image;
}

ImageView ViewOf(const Image& image) {
  return {image.pixels.data(), image.width, image.height, size_t{3} * image.width,
          PixelFormat::kRGB};
}

}  // namespace ppdet_ext
