"""What the exporter asks of a quantizer."""

import yaml

from ppdet_ext.export.onnx_qdq import place
from ppdet_ext.export.onnx_ranges import read_quantized
from ppdet_ext.quantization.calibration import find_calibration_images
from ppdet_ext.quantization.layers import convolution_weights
from ppdet_ext.quantization.quantizers import PostTraining
from tests.quantization.tiny_int8 import SIDE, relative, run_onnx


def test_a_swish_network_has_every_range_that_the_engines_need(swish, tmp_path):
    """Without those of what goes into SiLU, which PaddleSlim does not write, its convolutions stay float."""
    resize = {"type": "Resize", "target_size": [SIDE, SIDE], "keep_ratio": False, "interp": 2}
    normalize = {"type": "NormalizeImage", "norm_type": "none", "mean": [0.0] * 3, "std": [1.0] * 3}
    config = {"arch": "YOLO", "outputs": "raw", "label_list": ["thing"], "NMS": {"nms_threshold": 0.7}}
    config["Preprocess"] = [resize, {**normalize, "is_scale": True}, {"type": "Permute"}]
    (tmp_path / "infer_cfg.yml").write_text(yaml.safe_dump(config))
    files = find_calibration_images(str(swish.folder / "demo" / "images" / "train"), 8)
    kept, said = ["backbone.stem.conv1.conv", "yolo_head.pred_cls.1"], []
    quantizer = PostTraining(files, float_layers=["*pred_cls.1"], say=said.append)
    file = quantizer.save(swish.raw, str(tmp_path), [None, 3, SIDE, SIDE])
    assert quantizer.float_layers == kept and said == ["calibration: 8 images, method hist"]
    account = quantizer.account()
    assert account["float_layers"] == kept and account["calibration_images"] == 8
    assert account["ranking"] == [] and account["ap_drop"] is None and account["method"] == "hist"
    assert any(type(layer).__name__ == "Swish" for layer in swish.raw.sublayers()), "SiLU is for the capture"
    quantized = read_quantized(file, more=quantizer.thresholds)
    weights = convolution_weights(swish.raw)
    expected = {weights[name] for name in (*kept, "yolo_head.proj_conv")}
    for target in ("onnx", "openvino"):
        model = place(quantized, target)
        names = [node.input[1] for node in model.graph.node if node.op_type == "Conv"]
        assert {name for name in names if not name.endswith(".dequantized")} == expected
        scores = run_onnx(model, swish.pixels, ["scores"])[0]
        assert relative(scores, swish.outputs[1]) < 0.1
