// Class-wise hard NMS: box for box what ppdet_ext.runtime.nms.multiclass_nms keeps, in the same order.
#pragma once

#include <vector>

#include "settings.h"

namespace ppdet_ext {

struct Box {  // any unit
  float x1, y1, x2, y2;
};

// A box of the network's with one of its classes.
struct Candidate {
  int label;
  int index;
  float score;
};

// boxes: [L]; scores: [classes, L]. By falling score; ties by class, then index.
std::vector<Candidate> MulticlassNMS(const std::vector<Box>& boxes, const float* scores, int classes,
                                     const NMSSettings& settings);

}  // namespace ppdet_ext
