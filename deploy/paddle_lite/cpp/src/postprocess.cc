#include "postprocess.h"

#include <cmath>
#include <stdexcept>
#include <string>

namespace ppdet_ext {

std::vector<Detection> Postprocess(const RawOutputs& outputs, const NetworkInput& input,
                                   const Settings& settings) {
  if (static_cast<size_t>(outputs.classes) != settings.labels.size()) {
    throw std::runtime_error(settings.file + ": has " + std::to_string(settings.labels.size()) +
                             " labels, but the model scores " + std::to_string(outputs.classes) +
                             " classes; copy both from one exported folder");
  }
  // Before NMS, as the runtime does it: IoU of pixels that count in depends on the scale.
  std::vector<Box> boxes(outputs.count);
  for (int i = 0; i < outputs.count; ++i) {
    const float* raw = outputs.boxes + size_t{4} * i;
    boxes[i] = {raw[0] / input.scale_x, raw[1] / input.scale_y, raw[2] / input.scale_x,
                raw[3] / input.scale_y};
  }
  std::vector<Detection> detections;
  for (const auto& kept : MulticlassNMS(boxes, outputs.scores, outputs.classes, settings.nms)) {
    const Box& box = boxes[kept.index];
    if (!std::isfinite(box.x1 + box.y1 + box.x2 + box.y2 + kept.score)) {
      throw std::runtime_error("model: a box or a score is NaN or infinite; check its weights, or "
                               "take the FP32 model");
    }
    detections.push_back({kept.label, kept.score, box});
  }
  return detections;
}

}  // namespace ppdet_ext
