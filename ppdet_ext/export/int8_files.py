"""The files of a quantised model: one Paddle model, and from its ranges a graph for each engine."""

import os
import shutil
import tempfile

from .graph import float_weights
from .lite_model import save_lite_int8
from .onnx_model import write_onnx
from .onnx_qdq import FULL, place
from .onnx_ranges import read_quantized
from .openvino_model import save_openvino

# ONNX files are named after who reads them; their pairs stand in other places.
ONNX_FILES = {"onnx": "model.onnx", "tensorrt": "model_trt.onnx"}


def make_int8_files(raw, quantizer, folder, targets, shape, opset):
    """Makes every target's files in a folder, as the exporter does for a float model.

    Args:
        raw (RawGraph): re-parameterised, in evaluation mode.
        quantizer (PostTraining | Trained): or the like; see `ppdet_ext.quantization.quantizers`.
        folder (str): holds `infer_cfg.yml`.
        targets (list[str]): of the exporter's.
        shape (list): [B, 3, H, W]; None is a free batch.
        opset (int): of the ONNX files.

    Returns:
        dict: target -> 'file', 'precision' and 'max_error' None.
    """
    report = {}

    def add(target, file):
        report[target] = {"file": file, "precision": "int8", "max_error": None}

    with tempfile.TemporaryDirectory() as workplace:
        model_file = quantizer.save(raw, folder, shape)
        add("paddle", model_file)
        onnx_targets = [target for target in ("onnx", "openvino", "tensorrt") if target in targets]
        if onnx_targets:
            quantized = read_quantized(model_file, opset, quantizer.thresholds, float_weights(raw))
        for target in onnx_targets:
            placed = os.path.join(workplace, "model.onnx")
            levels = FULL if target == "tensorrt" else quantizer.weight_levels
            write_onnx(place(quantized, target, weight_levels=levels), placed)
            if target == "openvino":
                add(target, save_openvino(placed, folder))
            else:
                add(target, shutil.copy(placed, os.path.join(folder, ONNX_FILES[target])))
    if "lite" in targets:
        for target, (file, _) in save_lite_int8(model_file, folder, shape[2:]).items():
            add(target, file)
    return report
