#include "ppm.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace ppdet_ext {
namespace {

// Longest side that is taken; its square still counts in an int64.
constexpr int64_t kLongestSide = 1 << 20;

bool IsSpace(char byte) { return byte == ' ' || (byte >= '\t' && byte <= '\r'); }

// The next number of the header, behind white space and comments; -1 where there is none.
int64_t HeaderNumber(const std::string& data, size_t* at) {
  while (*at < data.size() && (IsSpace(data[*at]) || data[*at] == '#')) {
    *at = data[*at] == '#' ? std::min(data.find('\n', *at), data.size()) : *at + 1;
  }
  int64_t number = -1;
  for (; *at < data.size() && data[*at] >= '0' && data[*at] <= '9'; ++*at) {
    number = std::min(std::max<int64_t>(number, 0) * 10 + (data[*at] - '0'), kLongestSide + 1);
  }
  return number;
}

}  // namespace

Image ReadPPM(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error(path + ": cannot be opened; check the path");
  const std::string data((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (data.compare(0, 2, "P6") != 0) {
    throw std::runtime_error(path + ": is not a binary PPM (P6); convert it, e.g. with ImageMagick");
  }
  size_t at = 2;
  const int64_t width = HeaderNumber(data, &at), height = HeaderNumber(data, &at);
  const int64_t levels = HeaderNumber(data, &at);
  if (width < 1 || height < 1 || width > kLongestSide || height > kLongestSide ||
      at >= data.size() || !IsSpace(data[at])) {
    throw std::runtime_error(path + ": its header is damaged; convert the image again");
  }
  if (levels != 255) {
    throw std::runtime_error(path + ": its largest value is not 255; convert it to 8 bits");
  }
  ++at;  // the one white space that ends the header
  const size_t size = 3 * width * height;
  if (data.size() - at < size) {
    throw std::runtime_error(path + ": is truncated, " + std::to_string(data.size() - at) + " of " +
                             std::to_string(size) + " bytes are there; copy it again");
  }
  Image image = MakeImage(width, height);
  std::copy_n(data.begin() + at, size, image.pixels.begin());
  return image;
}

}  // namespace ppdet_ext
