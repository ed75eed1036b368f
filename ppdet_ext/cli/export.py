"""ppdet-ext export: a trained model to files for the engines. PaddleDetection's flags work, too."""

import os

from .common import TRAINED, add_config_arguments, boolean, prepare_config
from .json_output import add_json_argument, give_json

TARGETS = ("paddle", "onnx", "openvino", "tensorrt", "lite")
EXAMPLE = f"""
ppdet-ext export {TRAINED} --to onnx --output output/exported
"""


def add_arguments(parser):
    add_config_arguments(parser)
    parser.add_argument("--to", nargs="+", default=["paddle"], metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--output", "--out", metavar="FOLDER", help="the exported folder itself")
    parser.add_argument(
        "--output_dir",
        default="output_inference",
        help="parent of the exported folder, which is named after the config",
    )
    add_graph_arguments(parser)
    parser.add_argument(
        "--nms",
        action="store_true",
        help="NMS inside: PaddleDetection's form for its deploy programs in the Paddle model, "
        "NonMaxSuppression in ONNX and OpenVINO, the EfficientNMS plugin for TensorRT",
    )
    parser.add_argument(
        "--fp16",
        action="store_true",
        help="half precision where the target has it: ONNX and TensorRT (GPU), OpenVINO weights, Lite on arm",
    )
    parser.add_argument("--export_serving_model", type=boolean, default=False, help="not supported")
    parser.add_argument("--for_fd", action="store_true", help="not supported")
    add_json_argument(parser, "what the folder holds")


def add_graph_arguments(parser):
    """What an exported graph takes, for every verb that makes one."""
    parser.add_argument(
        "--size",
        nargs=2,
        type=int,
        metavar=("H", "W"),
        help="input size in pixels; -1 -1 for a free one (default: the config's)",
    )
    parser.add_argument("--batch", type=int, help="fixed batch size (default: free)")
    parser.add_argument("--opset", type=int, default=13, help="of the ONNX file")
    parser.add_argument(
        "--fold-normalization",
        action="store_true",
        help="the model takes plain pixels, 0..255 (default: normalised by whoever runs it)",
    )


def run(args):
    if args.export_serving_model or args.for_fd:
        raise ValueError(
            "--export_serving_model and --for_fd are not supported; run PaddleDetection's own "
            "tools/export_model.py with this config for them"
        )
    cfg = prepare_config(args, "test")
    from ppdet_ext.export import export_model
    from ppdet_ext.runtime.manifest import load_manifest
    from ppdet_ext.training.trainer import Trainer

    trainer = Trainer(cfg, mode="test")
    trainer.load_weights(cfg.weights)
    quantizer = _trained_quantization(cfg, trainer.model)
    if quantizer and (args.nms or args.fp16):
        raise ValueError("--nms and --fp16 are for float models; this one was trained for INT8")
    folder = args.output or os.path.join(args.output_dir, cfg.filename)
    export_model(
        trainer.cfg,
        trainer.model,
        folder,
        args.to,
        args.size,
        args.batch,
        args.nms,
        args.opset,
        args.fold_normalization,
        args.fp16,
        quantizer=quantizer,
    )
    print(f"exported to {folder}")
    give_json(args, {"folder": folder, **load_manifest(folder)})
    return 0


def _trained_quantization(cfg, model):
    """The quantizer of a model of quantisation-aware training, None for a float one."""
    if not cfg.get("slim"):
        return None
    from ppdet_ext.quantization.ptq import calibration_files
    from ppdet_ext.quantization.qat import is_quantized
    from ppdet_ext.quantization.quantizers import Trained

    if not is_quantized(model):
        return None
    try:
        files = calibration_files()
    except ValueError as error:
        print(f"warning: {error}; tensors whose range training did not learn stay float, which is slower")
        files = ()
    return Trained(cfg.slim, files)
