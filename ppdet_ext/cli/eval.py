"""ppdet-ext eval: PaddleDetection's evaluation command, its flags included."""

import os

from .common import TRAINED, add_config_arguments, add_tta_arguments, add_tta_to, prepare_config
from .json_output import add_json_argument, give_json

EXAMPLE = f"ppdet-ext eval {TRAINED}"
# What PaddleDetection writes in an evaluation, and what pycocotools calls it.
STYLES = {"proposal": "proposal", "bbox": "bbox", "mask": "segm"}


def add_arguments(parser):
    add_config_arguments(parser)
    parser.add_argument(
        "--output_eval", "--output", "--out", help="folder for the boxes found (default: the current one)"
    )
    parser.add_argument("--json_eval", action="store_true", help="evaluate the bbox.json of an earlier run")
    parser.add_argument("--bias", action="store_true", help="count the last pixel into width and height")
    parser.add_argument("--classwise", action="store_true", help="AP of each class, PR curves")
    parser.add_argument("--save_prediction_only", action="store_true", help="write boxes, compute no AP")
    parser.add_argument("--amp", action="store_true", help="mixed precision (GPU)")
    add_json_argument(parser, "AP and what else the metric says")
    add_slice_arguments(parser)
    add_tta_arguments(parser)


def add_slice_arguments(parser):
    """PaddleDetection's flags for cutting large images into tiles."""
    parser.add_argument("--slice_infer", action="store_true", help="cut images into overlapping tiles")
    parser.add_argument("--slice_size", nargs="+", type=int, default=[640, 640], help="height and width")
    parser.add_argument("--overlap_ratio", nargs="+", type=float, default=[0.25, 0.25], help="of tiles")
    parser.add_argument("--combine_method", default="nms", choices=["nms", "nmm", "concat"], help="of tiles")
    parser.add_argument("--match_threshold", type=float, default=0.6, help="for combining")
    parser.add_argument("--match_metric", default="ios", choices=["iou", "ios"], help="for combining")


def slice_options(args):
    """The keyword arguments that PaddleDetection's sliced evaluation and prediction take."""
    return {
        "slice_size": args.slice_size,
        "overlap_ratio": args.overlap_ratio,
        "combine_method": args.combine_method,
        "match_threshold": args.match_threshold,
        "match_metric": args.match_metric,
    }


def run(args):
    if args.json and args.save_prediction_only:
        raise ValueError("--json: --save_prediction_only computes no AP; leave one of them out")
    cfg = prepare_config(args, "eval")
    add_tta_to(cfg, args)
    if args.slice_infer:
        _check_sliced(cfg)
    if args.json_eval:
        return _evaluate_json(cfg, args)
    from ppdet.engine import init_parallel_env

    from ppdet_ext.evaluation.evaluation_result import EvaluationResult
    from ppdet_ext.training.peers import Peers
    from ppdet_ext.training.trainer import Trainer

    init_parallel_env()
    with Peers():
        trainer = Trainer(cfg, mode="eval")
        trainer.load_weights(cfg.weights)
        result = EvaluationResult(trainer)
        trainer.register_callbacks([result])
        if args.slice_infer:
            trainer.evaluate_slice(**slice_options(args))
        else:
            trainer.evaluate()
    give_json(args, {"config": args.config, "weights": cfg.weights, **result.document})
    return 0


def _check_sliced(cfg):
    """PaddleDetection's sliced evaluation puts together what its own dataset cut apart, and that alone."""
    name = cfg["EvalDataset"]["name"]
    if name != "SlicedCOCODataSet":
        raise ValueError(
            f"--slice_infer: EvalDataset is a {name}, which cuts nothing; give it name: SlicedCOCODataSet "
            "with sliced_size and overlap_ratio, and 'pip install sahi'"
        )


def _evaluate_json(cfg, args):
    """AP of the boxes, and of what else an earlier run has written beside them."""
    from ppdet.core.workspace import create
    from ppdet.metrics.coco_utils import cocoapi_eval
    from pycocotools.coco import COCO

    from ppdet_ext.evaluation.coco import STATS

    if cfg.metric != "COCO":
        raise ValueError(f"--json_eval works with metric: COCO, not {cfg.metric}")
    files = {kind: os.path.join(args.output_eval or "", f"{kind}.json") for kind in STYLES}
    if not os.path.exists(files["bbox"]):
        raise ValueError(f"{files['bbox']}: no such file; run once without --json_eval to write it")
    truth = COCO(create("EvalDataset")().get_anno())
    metrics = {}
    for kind, file in files.items():
        if os.path.exists(file):
            stats = cocoapi_eval(_results(file, truth), STYLES[kind], truth, classwise=args.classwise)
            values = [None if value == -1 else float(value) for value in stats]
            metrics[kind] = dict(zip(STATS, values))
    give_json(
        args,
        {"config": args.config, "boxes": files["bbox"], "images": len(truth.imgs), "metrics": metrics},
    )
    return 0


def _results(file, truth):
    """COCO's results in a file, which belong to the images of a COCO."""
    from ppdet_ext.data.json_file import read_json

    results, _ = read_json(file)
    if not isinstance(results, list) or not all(isinstance(one, dict) for one in results):
        raise ValueError(f"{file}: is no list of COCO results; run once without --json_eval to write it")
    if not results:
        raise ValueError(f"{file}: holds no results, the model found nothing; there is no AP of it")
    for result in results:
        if result.get("image_id") not in truth.imgs:
            raise ValueError(
                f"{file}: has a result of image {result.get('image_id')}, which EvalDataset does not hold; "
                "run once without --json_eval to write it anew"
            )
    return results
