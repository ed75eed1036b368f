"""ppdet-ext quantize ptq: a trained model to INT8 files for the engines, after training."""

import os

from .common import add_config_arguments, load_trainer
from .export import TARGETS, add_graph_arguments

METHODS = ("hist", "kl", "mse", "absmax")


def add_arguments(parser):
    ways = parser.add_subparsers(dest="way", metavar="WAY", required=True)
    ptq = ways.add_parser("ptq", help="after training, from a folder of images")
    add_config_arguments(ptq)
    ptq.add_argument(
        "--calibration",
        metavar="FOLDER_OR_COCO",
        help="a folder of images or a COCO instances JSON (default: the config's training set)",
    )
    ptq.add_argument("--image-dir", metavar="FOLDER", help="where the JSON's images are (default: beside it)")
    ptq.add_argument("--images", type=int, default=64, metavar="N", help="how many, evenly spread (64)")
    ptq.add_argument("--method", default="hist", choices=METHODS, help="how a range is chosen (hist)")
    ptq.add_argument(
        "--max-drop",
        type=float,
        metavar="AP",
        help="points of AP that may be lost on EvalDataset; the fewest most sensitive layers stay float",
    )
    ptq.add_argument(
        "--rank", action="store_true", help="rank the layers and draw it even where --max-drop needs none"
    )
    ptq.add_argument(
        "--float-layers",
        nargs="+",
        default=[],
        metavar="NAME",
        help="convolutions that stay float, such as 'yolo_head.pred_reg.*'",
    )
    ptq.add_argument(
        "--full-range",
        action="store_true",
        help="8-bit weights in ONNX and OpenVINO, a little nearer to FP32, for processors with VNNI only "
        "(default: 7 bits, right on every x86)",
    )
    ptq.add_argument(
        "--to", nargs="+", default=["onnx"], metavar="TARGET", help=f"{', '.join(TARGETS)} (default: onnx)"
    )
    ptq.add_argument("--output", metavar="FOLDER", help="the folder (default: output_inference/CONFIG_int8)")
    add_graph_arguments(ptq)


def run(args):
    if args.slim_config:
        raise ValueError("--slim_config: such a model is quantised in training; run 'ppdet-ext export'")
    if args.max_drop is not None and args.max_drop < 0:
        raise ValueError(f"--max-drop is {args.max_drop}; give points of AP from 0 up, such as 0.5")
    trainer = load_trainer(args)
    from ppdet_ext.export.onnx_qdq import FITTING, FULL
    from ppdet_ext.quantization.ptq import quantize_after_training

    folder = args.output or os.path.join("output_inference", f"{trainer.cfg.filename}_int8")
    quantize_after_training(
        trainer,
        folder,
        args.to,
        calibration=args.calibration,
        image_dir=args.image_dir,
        count=args.images,
        method=args.method,
        max_drop=args.max_drop,
        rank=args.rank,
        float_layers=args.float_layers,
        weight_levels=FULL if args.full_range else FITTING,
        image_size=args.size,
        batch=args.batch,
        opset=args.opset,
        fold_normalization=args.fold_normalization,
    )
    print(f"INT8 model: {folder}")
    print(f"check it:   ppdet-ext verify --model {folder} -c {args.config} -o weights={trainer.cfg.weights}")
    return 0
