"""`ppdet-ext threshold`: the score threshold for work: recall, false alarms, the worst errors."""

from pathlib import Path

from .common import add_engine_arguments
from .json_output import add_json_argument, give_json

EXAMPLE = (
    "ppdet-ext threshold --model output/demo/exported --anno dataset/demo/annotations/val.json "
    "--images dataset/demo/images/val --recall 0.9 --pictures output/errors"
)


def add_arguments(parser):
    add_engine_arguments(parser)
    parser.add_argument("--anno", required=True, metavar="FILE", help="COCO instances to judge by")
    parser.add_argument("--images", required=True, metavar="DIR", help="their images")
    parser.add_argument(
        "--iou", type=float, default=0.5, help="a detection is right from this overlap on (%(default)s)"
    )
    parser.add_argument(
        "--recall", type=float, metavar="R", help="find this share, 0..1 (default: the best F score)"
    )
    parser.add_argument("--any-class", action="store_true", help="a box of another class counts as found")
    add_json_argument(parser, "the report")
    parser.add_argument("--pictures", metavar="FOLDER", help="the worst errors close up, and the curves")


def run(args):
    from ppdet_ext.evaluation.coco import load_truths
    from ppdet_ext.evaluation.operating_point import curve
    from ppdet_ext.evaluation.work_report import detect_all, one_class, work_report, work_table
    from ppdet_ext.runtime import Detector

    if not 0 <= args.iou < 1:
        raise ValueError(f"--iou is {args.iou}; give a share from 0 to below 1")
    if args.recall is not None and not 0 < args.recall <= 1:
        raise ValueError(f"--recall is {args.recall}; give a share above 0, at most 1")
    files, truths = load_truths(args.anno, args.images)
    detector = Detector(args.model, args.backend, args.threads, args.device)
    predictions = detect_all(detector, files)
    if args.any_class:
        predictions, truths = one_class(predictions), one_class(truths)
    matches, report = work_report(predictions, truths, args.iou, args.recall)
    print(work_table(report))
    give_json(args, report)
    if args.pictures:
        from ppdet_ext.evaluation.errors import write_errors
        from ppdet_ext.visualize import plot_operating_points

        threshold = report["point"]["threshold"]
        written = write_errors(args.pictures, files, predictions, truths, matches, threshold)
        plot = Path(args.pictures) / "operating_point.png"
        plot_operating_points({args.backend: curve(matches)}, {args.backend: threshold}, plot)
        print("\n".join(map(str, [*written, plot])))
    return 0
