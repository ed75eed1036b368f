#include "json.h"

#include <cstdio>

namespace ppdet_ext {

std::string Quoted(const std::string& text) {
  std::string quoted = "\"";
  for (const char letter : text) {
    if (static_cast<unsigned char>(letter) < 0x20) {
      char escape[8];
      std::snprintf(escape, sizeof(escape), "\\u%04x", letter);
      quoted += escape;
      continue;
    }
    if (letter == '"' || letter == '\\') quoted += '\\';
    quoted += letter;
  }
  return quoted + "\"";
}

std::string Digits(float value) {
  char digits[32];
  std::snprintf(digits, sizeof(digits), "%.9g", value);
  return digits;
}

std::string ToJSON(const std::vector<Detection>& detections, const Settings& settings) {
  std::string json = "[";
  for (const Detection& found : detections) {
    if (json.size() > 1) json += ", ";
    json += "{\"label\": " + std::to_string(found.label);
    json += ", \"name\": " + Quoted(settings.labels[found.label]);
    json += ", \"score\": " + Digits(found.score);
    json += ", \"box\": [" + Digits(found.box.x1) + ", " + Digits(found.box.y1) + ", " +
            Digits(found.box.x2) + ", " + Digits(found.box.y2) + "]}";
  }
  return json + "]";
}

}  // namespace ppdet_ext
