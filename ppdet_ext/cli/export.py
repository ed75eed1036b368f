"""ppdet-ext export: a trained model to files for the engines. PaddleDetection's flags work, too."""

import os

from .common import add_config_arguments, boolean, prepare_config

TARGETS = ("paddle", "onnx", "openvino", "tensorrt", "lite")


def add_arguments(parser):
    add_config_arguments(parser)
    parser.add_argument("--to", nargs="+", default=["paddle"], metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--output", metavar="FOLDER", help="the exported folder itself")
    parser.add_argument(
        "--output_dir",
        default="output_inference",
        help="parent of the exported folder, which is named after the config (default: output_inference)",
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
    parser.add_argument("--opset", type=int, default=13, help="of the ONNX file (default: 13)")
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
    from ppdet_ext.training.trainer import Trainer

    trainer = Trainer(cfg, mode="test")
    trainer.load_weights(cfg.weights)
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
    )
    print(f"exported to {folder}")
    return 0
