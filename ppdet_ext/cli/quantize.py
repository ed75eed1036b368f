"""ppdet-ext quantize ptq: a trained model to INT8 files for the engines, after training."""

import os

from .common import TRAINED, add_config_arguments, load_trainer
from .export import TARGETS, add_graph_arguments
from .json_output import add_json_argument, give_json
from .parser import with_example

METHODS = ("hist", "kl", "mse", "absmax")
EXAMPLE = f"""
ppdet-ext quantize ptq {TRAINED} --to onnx --output output/int8
"""


def add_arguments(parser):
    ways = parser.add_subparsers(dest="way", metavar="WAY", required=True)
    summary = "after training, from a folder of images"
    ptq = with_example(ways.add_parser("ptq", help=summary, description=summary), EXAMPLE)
    add_config_arguments(ptq)
    ptq.add_argument(
        "--calibration",
        metavar="FOLDER_OR_COCO",
        help="a folder of images or a COCO instances JSON (default: the config's training set)",
    )
    ptq.add_argument("--image-dir", metavar="FOLDER", help="where the JSON's images are (default: beside it)")
    ptq.add_argument("--images", "--count", type=int, default=64, metavar="N", help="how many, evenly spread")
    ptq.add_argument("--method", default="hist", choices=METHODS, help="how a range is chosen")
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
    ptq.add_argument(
        "--output", "--out", metavar="FOLDER", help="the folder (default: output_inference/CONFIG_int8)"
    )
    add_graph_arguments(ptq)
    add_json_argument(ptq, "what the folder holds")


def run(args):
    if args.slim_config:
        raise ValueError("--slim_config: such a model is quantised in training; run 'ppdet-ext export'")
    if args.max_drop is not None and args.max_drop < 0:
        raise ValueError(f"--max-drop is {args.max_drop}; give points of AP from 0 up, such as 0.5")
    trainer = load_trainer(args)
    from ppdet_ext.export.onnx_qdq import FITTING, FULL
    from ppdet_ext.quantization.ptq import quantize_after_training
    from ppdet_ext.runtime.manifest import load_manifest

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
    give_json(args, {"folder": folder, **load_manifest(folder)})
    return 0
