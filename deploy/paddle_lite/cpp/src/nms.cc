#include "nms.h"

#include <algorithm>
#include <iterator>

namespace ppdet_ext {
namespace {

bool Better(const Candidate& a, const Candidate& b) {
  if (a.score != b.score) return a.score > b.score;
  return a.label != b.label ? a.label < b.label : a.index < b.index;
}

// All that enter, best first.
std::vector<Candidate> Choose(const float* scores, int classes, int count, const NMSSettings& settings) {
  std::vector<Candidate> chosen, of_class;
  for (int label = 0; label < classes; ++label) {
    if (label == settings.background_label) continue;
    of_class.clear();
    const float* row = scores + size_t{1} * label * count;
    for (int index = 0; index < count; ++index) {
      if (row[index] > settings.score_threshold) of_class.push_back({label, index, row[index]});
    }
    if (settings.nms_top_k >= 0 && of_class.size() > static_cast<size_t>(settings.nms_top_k)) {
      const auto end = of_class.begin() + settings.nms_top_k;
      std::nth_element(of_class.begin(), end, of_class.end(), Better);
      of_class.erase(end, of_class.end());
    }
    std::copy(of_class.begin(), of_class.end(), std::back_inserter(chosen));
  }
  std::sort(chosen.begin(), chosen.end(), Better);
  return chosen;
}

// 0 for a box whose corners are swapped; `one` is the last pixel, where it counts in.
float Area(const Box& box, float one) {
  const float width = box.x2 - box.x1, height = box.y2 - box.y1;
  return width < 0 || height < 0 ? 0.f : (width + one) * (height + one);
}

// Whether IoU exceeds the threshold; two empty boxes at one place do, with 0 / 0, as in Paddle.
bool Overlap(const Box& a, const Box& b, float threshold, float one) {
  const float width = std::min(a.x2, b.x2) - std::max(a.x1, b.x1);
  const float height = std::min(a.y2, b.y2) - std::max(a.y1, b.y1);
  if (width < 0 || height < 0) return false;
  const float common = (width + one) * (height + one);
  return !(common / (Area(a, one) + Area(b, one) - common) <= threshold);
}

}  // namespace

std::vector<Candidate> MulticlassNMS(const std::vector<Box>& boxes, const float* scores, int classes,
                                     const NMSSettings& settings) {
  const float one = settings.normalized ? 0.f : 1.f;
  std::vector<Candidate> kept;
  std::vector<std::vector<int>> kept_of_class(classes);
  // In this order a class sees its own boxes best first, and the walk may stop at keep_top_k.
  for (const auto& candidate : Choose(scores, classes, static_cast<int>(boxes.size()), settings)) {
    if (settings.keep_top_k >= 0 && kept.size() >= static_cast<size_t>(settings.keep_top_k)) break;
    auto& rivals = kept_of_class[candidate.label];
    const bool goes = std::any_of(rivals.begin(), rivals.end(), [&](int rival) {
      return Overlap(boxes[rival], boxes[candidate.index], settings.nms_threshold, one);
    });
    if (goes) continue;
    rivals.push_back(candidate.index);
    kept.push_back(candidate);
  }
  return kept;
}

}  // namespace ppdet_ext
