#include "lite_network.h"

#include <algorithm>
#include <fstream>
#include <stdexcept>

#include "paddle_api.h"

namespace ppdet_ext {

namespace lite = paddle::lite_api;

LiteNetwork::LiteNetwork(const std::string& model_file, int threads) : file_(model_file) {
  std::ifstream stream(file_, std::ios::binary);
  if (!stream) throw std::runtime_error(file_ + ": cannot be opened; copy it from the exported folder");
  // A model begins with its format, 16 bits; Paddle Lite aborts on others than these.
  const int format = stream.get(), high = stream.get();
  if (format < 1 || format > 2 || high != 0) {
    throw std::runtime_error(file_ + ": is no model of Paddle Lite's; copy model_arm.nb again");
  }
  lite::MobileConfig config;
  config.set_model_from_file(file_);
  config.set_threads(threads);
  config.set_power_mode(lite::LITE_POWER_HIGH);  // the big cores
  predictor_ = lite::CreatePaddlePredictor<lite::MobileConfig>(config);
  if (!predictor_) {
    throw std::runtime_error(file_ + ": Paddle Lite cannot load it; make it with the library's version");
  }
  if (predictor_->GetInputNames().size() != 1 || predictor_->GetOutputNames().size() != 2) {
    throw std::runtime_error(file_ + ": does not take one image and give boxes and scores; "
                             "export the model with raw outputs");
  }
}

RawOutputs LiteNetwork::Run(const NetworkInput& input) {
  const auto image = predictor_->GetInput(0);
  image->Resize({1, 3, input.height, input.width});
  std::copy(input.pixels.begin(), input.pixels.end(), image->mutable_data<float>());
  predictor_->Run();
  const auto boxes = predictor_->GetOutput(0), scores = predictor_->GetOutput(1);
  const lite::shape_t box_shape = boxes->shape(), score_shape = scores->shape();
  if (box_shape.size() != 3 || score_shape.size() != 3 || box_shape[0] != 1 || score_shape[0] != 1 ||
      box_shape[2] != 4 || box_shape[1] != score_shape[2]) {
    throw std::runtime_error(file_ + ": its outputs are not boxes [1, L, 4] and scores [1, C, L]; "
                             "export the model with raw outputs");
  }
  return {boxes->data<float>(), scores->data<float>(), static_cast<int>(box_shape[1]),
          static_cast<int>(score_shape[1])};
}

}  // namespace ppdet_ext
