"""ppdet-ext infer: PaddleDetection's prediction command, its flags included.

It runs a checkpoint with Paddle; 'ppdet-ext predict' runs an exported model with any engine.
"""

import os

import cv2
import numpy as np

from ppdet_ext.runtime.image import find_images

from .common import TRAINED, add_config_arguments, add_tta_arguments, add_tta_to, boolean, prepare_config
from .eval import add_slice_arguments, slice_options
from .json_output import add_json_argument, give_json

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
        "--draw_threshold",
        "--threshold",
        type=float,
        default=0.5,
        help="least score that is drawn, and told by --json",
    )
    parser.add_argument("--save_threshold", type=float, default=0.5, help="least score that is saved")
    parser.add_argument("--save_results", type=boolean, default=False, help="write the boxes as JSON")
    parser.add_argument("--visualize", type=boolean, default=True, help="draw the boxes")
    parser.add_argument("--use_vdl", type=boolean, default=False, help="write VisualDL logs")
    parser.add_argument("--vdl_log_dir", default="vdl_log_dir/image", help="where to")
    add_slice_arguments(parser)
    add_tta_arguments(parser)
    add_json_argument(parser, "all detections")


def _images(args):
    if args.infer_img or not args.infer_list:
        return [str(file) for file, _ in find_images([args.infer_img or args.infer_dir])]
    with open(args.infer_list, encoding="utf-8") as file:
        return [os.path.join(args.infer_dir, line.strip()) for line in file if line.strip()]


def run(args):
    if not args.infer_img and not args.infer_dir:
        raise ValueError("name an image with --infer_img or a folder with --infer_dir")
    if args.json and args.slice_infer:
        raise ValueError(
            "--json: PaddleDetection's --slice_infer hands out no boxes; --save_results true writes bbox.json"
        )
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
        results = trainer.predict(images, **options)
        if args.json:
            give_json(args, _document(trainer, results, args))
    return 0


def _document(trainer, results, args):
    """What was found, as 'ppdet-ext predict' has it.

    Args:
        trainer (Trainer): after the prediction.
        results (list[dict]): a batch each: 'bbox' [sum(N_i), 6] (label, score, xyxy in pixels of the image),
            'bbox_num' [B] and 'im_id' [B].
    """
    from ppdet.data.source.category import get_categories

    from ppdet_ext.runtime.tta import TTA

    cfg = trainer.cfg
    if any("bbox" not in batch for batch in results):
        raise ValueError(f"--json: {cfg.architecture} gives no boxes; leave it out")
    ids, named = get_categories(cfg.metric, anno_file=trainer.dataset.get_anno())
    names = [named[ids[label]] for label in range(len(ids))]
    head = {"config": args.config, "weights": cfg.weights, "threshold": args.draw_threshold, "names": names}
    tta = TTA.of(cfg.get("test_time_augmentation"))
    if tta is not None:
        head["tta"] = {"views": str(tta), "merge": tta.merge}
    return {**head, "images": [image for batch in results for image in _found(trainer, batch, names, args)]}


def _found(trainer, batch, names, args):
    """A record of each image of a batch."""
    from ppdet_ext.runtime.detections import Detections

    files = trainer.dataset.get_imid2path()
    boxes = np.split(batch["bbox"].reshape(-1, 6), np.cumsum(batch["bbox_num"])[:-1])
    for number, rows in zip(np.ravel(batch["im_id"]), boxes):
        rows = rows[rows[:, 0] >= 0]  # a label of -1 is PaddleDetection's word for nothing
        rows = rows[np.argsort(-rows[:, 1], kind="stable")]
        found = Detections(rows[:, 2:], rows[:, 1], rows[:, 0].astype(np.int64), names)
        record = {"file": files[int(number)]}
        if args.visualize:
            record["picture"] = trainer._get_save_image_name(args.output_dir, record["file"])
        yield {**record, "detections": found.filter(args.draw_threshold).to_records()}
