"""An exported folder with a real, tiny ONNX model whose answers are known."""

import numpy as np
import onnx
import yaml
from onnx import TensorProto, helper, numpy_helper

NAMES = ["cat", "dog"]
# Network pixels of a 32 x 64 input. The second lies on the first, the last scores below the threshold.
BOXES = np.array([[8, 4, 40, 20], [9, 4, 41, 20], [0, 0, 16, 8], [30, 10, 50, 30]], np.float32)
SCORES = np.array([[0.9, 0.8, 0.1, 0.005], [0.2, 0.1, 0.6, 0.001]], np.float32)
# What NMS leaves: by falling score, boxes as indices into BOXES
KEPT = {"indices": [0, 2, 0, 2], "labels": [0, 1, 1, 0], "scores": [0.9, 0.6, 0.2, 0.1]}
INFER_CFG = {
    "mode": "paddle",
    "arch": "YOLO",
    "label_list": NAMES,
    "outputs": "raw",
    "NMS": {
        "name": "MultiClassNMS",
        "nms_top_k": 1000,
        "keep_top_k": 300,
        "score_threshold": 0.01,
        "nms_threshold": 0.7,
    },
    "Preprocess": [
        {"type": "Resize", "target_size": [32, 64], "keep_ratio": False, "interp": 1},
        {"type": "NormalizeImage", "mean": [0.0, 0.0, 0.0], "std": [1.0, 1.0, 1.0], "norm_type": "none"},
        {"type": "Permute"},
    ],
}


def write_folder(folder, **changes):
    """Write infer_cfg.yml, with some keys changed or (None) left out, and model.onnx.

    The model gives BOXES, and SCORES times the image's largest value: an all-black image scores nothing, a
    white one SCORES itself.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = {key: value for key, value in {**INFER_CFG, **changes}.items() if value is not None}
    (folder / "infer_cfg.yml").write_text(yaml.safe_dump(config))
    constants = {"base_boxes": BOXES[None], "base_scores": SCORES[None], "zero": np.zeros(1, np.float32)}
    nodes = [
        helper.make_node("ReduceMax", ["image"], ["light"], axes=[1, 2, 3], keepdims=1),
        helper.make_node("Squeeze", ["light", "last"], ["level"]),  # [B, 1, 1]
        helper.make_node("Mul", ["base_scores", "level"], ["scores"]),
        helper.make_node("Mul", ["level", "zero"], ["nothing"]),
        helper.make_node("Add", ["base_boxes", "nothing"], ["boxes"]),  # one copy an image
    ]
    constants["last"] = np.array([3], np.int64)
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, 32, 64])
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *shape])
        for name, shape in (("boxes", BOXES.shape), ("scores", SCORES.shape))
    ]
    initializers = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "tiny", [image], outputs, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, str(folder / "model.onnx"))
    return folder


def change_onnx(folder, change):
    """Rewrite model.onnx with `change(graph)` applied."""
    model = onnx.load(str(folder / "model.onnx"))
    change(model.graph)
    onnx.save(model, str(folder / "model.onnx"))


def write_paddle_model(folder):
    """The same model as a Paddle program, `model.pdmodel` (Paddle 3: `model.json`) and `model.pdiparams`."""
    import paddle

    class Tiny(paddle.nn.Layer):
        def __init__(self):
            super().__init__()
            self.register_buffer("boxes", paddle.to_tensor(BOXES[None]))
            self.register_buffer("scores", paddle.to_tensor(SCORES[None]))

        def forward(self, image):
            level = paddle.max(image, axis=[1, 2, 3]).reshape([-1, 1, 1])
            return self.boxes + level * 0, self.scores * level

    spec = paddle.static.InputSpec([-1, 3, 32, 64], "float32", "image")
    paddle.jit.save(paddle.jit.to_static(Tiny(), [spec], full_graph=True), str(folder / "model"))
    return folder
