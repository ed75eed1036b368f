"""What benchmarks/compatibility.py runs: the families, and each step from training to INT8 as a command."""

from typing import NamedTuple

# family: (the demo's config, its head)
FAMILIES = {
    "PP-YOLOE": ("ppyoloe_nano_demo", "ETHead"),
    "YOLOv6": ("yolov6_nano_demo", "EfficientRepHead"),
    "EfficientDet": ("efficientdet_nano_demo", "EfficientDetHead"),
    "PP-YOLOE with BiFPN": ("ppyoloe_bifpn_nano_demo", "ETHead"),
}
OURS, VERB, THEIRS = "tools", "ppdet-ext", "checkout"


class Step(NamedTuple):
    """One command.

    whose: OURS, a file of tools/; VERB, of ppdet-ext; THEIRS, a file of tools/ of a checkout.
    command: with {config}, {options}, {weights}, {start} and {slim} to be filled in.
    needs: the step whose files it takes.
    engine: whether PaddleDetection's code has no part in it.
    """

    whose: str
    command: str
    needs: str = None
    engine: bool = False


MODEL = "-c {config} -o {options} {weights}"
FINE_TUNE = "-c {config} --eval -o {options} {start} LearningRate.base_lr=0.0003"
PTQ = "quantize ptq --to onnx openvino --output int8"
QAT = "-c {config} --slim_config {slim} --eval -o {options} {start}"
TRAINED = "training"
ENGINES = {"Paddle": "paddle_inference", "ONNX": "onnxruntime", "OpenVINO": "openvino", "Lite": "paddle_lite"}


def _export(name):
    return Step(VERB, f"export --to {name.lower()} --output {name.lower()} {MODEL}", TRAINED, name != "ONNX")


def _parity(name):
    command = f"verify --model {name.lower()} --backends {ENGINES[name]} {MODEL}"
    return Step(VERB, command, f"export to {name}", name != "ONNX")


STEPS = {
    TRAINED: Step(OURS, f"train.py {FINE_TUNE} save_dir=output"),
    "evaluation": Step(OURS, f"eval.py {MODEL}", TRAINED),
    "prediction": Step(OURS, f"infer.py --infer_dir demo/images/val {MODEL}", TRAINED),
    **{f"export to {name}": _export(name) for name in ENGINES},
    "export with NMS inside": Step(VERB, f"export --to paddle onnx --nms --output nms {MODEL}", TRAINED),
    **{f"parity in {engine}": _parity(name) for name, engine in ENGINES.items()},
    "INT8 after training": Step(VERB, f"{PTQ} {MODEL}", TRAINED, engine=True),
    "INT8 in training": Step(OURS, f"train.py {QAT} save_dir=qat", TRAINED),
    "its own train.py": Step(THEIRS, f"train.py {FINE_TUNE} save_dir=theirs"),
    "its own eval.py": Step(THEIRS, f"eval.py {MODEL}", TRAINED),
    "its own export_model.py": Step(THEIRS, f"export_model.py --output_dir theirs {MODEL}", TRAINED),
}
