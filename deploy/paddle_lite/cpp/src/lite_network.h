// A model in Paddle Lite: the only part that knows the engine.
#pragma once

#include <memory>
#include <string>

#include "postprocess.h"

namespace paddle {
namespace lite_api {
class PaddlePredictor;
}
}  // namespace paddle

namespace ppdet_ext {

class LiteNetwork {
 public:
  // Loads model_arm.nb or model_arm_fp16.nb. Throws std::runtime_error for a file that is none; where a
  // model is damaged inside, or the library lacks its kernels, Paddle Lite aborts.
  LiteNetwork(const std::string& model_file, int threads);

  // One image, of the size that the model was exported for. The outputs stay valid until the next call.
  RawOutputs Run(const NetworkInput& input);

 private:
  const std::string file_;
  std::shared_ptr<paddle::lite_api::PaddlePredictor> predictor_;
};

}  // namespace ppdet_ext
