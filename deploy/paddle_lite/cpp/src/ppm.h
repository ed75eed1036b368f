// Binary PPM, the one image format that needs no library: `convert photo.jpg photo.ppm`.
#pragma once

#include <string>

#include "image.h"

namespace ppdet_ext {

// Reads a P6 file of 8 bits a channel. Throws std::runtime_error, one line with the file's name.
Image ReadPPM(const std::string& path);

}  // namespace ppdet_ext
