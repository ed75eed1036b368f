"""ppdet-ext infer: PaddleDetection's prediction command, its flags included.

It runs a checkpoint with Paddle; 'ppdet-ext predict' runs an exported model with any engine.
"""

import os

import cv2

from ppdet_ext.runtime.image import find_images

from .common import TRAINED, add_config_arguments, add_tta_arguments, add_tta_to, boolean, prepare_config
from .eval import add_slice_arguments, slice_options

EXAMPLE = f"""
ppdet-ext infer {TRAINED} --infer_dir dataset/demo/images/val --output_dir output/infer
"""


def add_arguments(parser):
    add_config_arguments(parser)
    parser.add_argument("--infer_img", help="one image; comes before --infer_dir")
    parser.add_argument("--infer_dir", help="folder of images")
    parser.add_argument("--infer_list", help="text file that lists images under --infer_dir")
    parser.add_argument("--output_dir", "--output", "--out", default="output", help="folder for the pictures")
    parser.add_argument(
        "--draw_threshold", "--threshold", type=float, default=0.5, help="least score that is drawn"
    )
    parser.add_argument("--save_threshold", type=float, default=0.5, help="least score that is saved")
    parser.add_argument("--save_results", type=boolean, default=False, help="write the boxes as JSON")
    parser.add_argument("--visualize", type=boolean, default=True, help="draw the boxes")
    parser.add_argument("--use_vdl", type=boolean, default=False, help="write VisualDL logs")
    parser.add_argument("--vdl_log_dir", default="vdl_log_dir/image", help="where to")
    add_slice_arguments(parser)
    add_tta_arguments(parser)


def _images(args):
    if args.infer_img or not args.infer_list:
        return [str(file) for file, _ in find_images([args.infer_img or args.infer_dir])]
    with open(args.infer_list, encoding="utf-8") as file:
        return [os.path.join(args.infer_dir, line.strip()) for line in file if line.strip()]


def run(args):
    if not args.infer_img and not args.infer_dir:
        raise ValueError("name an image with --infer_img or a folder with --infer_dir")
    cfg = prepare_config(args, "test")
    add_tta_to(cfg, args)
    from ppdet_ext.training.trainer import Trainer

    images = _images(args)
    for image in images:
        if not cv2.haveImageReader(image):
            raise ValueError(f"{image}: not a picture that OpenCV can read; remove it or give another")
    trainer = Trainer(cfg, mode="test")
    trainer.load_weights(cfg.weights)
    options = {
        "draw_threshold": args.draw_threshold,
        "output_dir": args.output_dir,
        "save_results": args.save_results,
        "visualize": args.visualize,
    }
    if args.slice_infer:
        trainer.slice_predict(images, **slice_options(args), **options)
    else:
        trainer.predict(images, **options)
    return 0
