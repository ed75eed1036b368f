"""`ppdet-ext predict`: detect in images, videos and cameras with an exported model."""

import json
import sys
from pathlib import Path

from .common import add_tta_arguments, tta_of
from .json_output import STDOUT, add_json_argument, give_json
from .sources import add_source_arguments, check_numbers, check_report, count_frames

EPILOG = """
An INPUT is an image, a video, a folder of these, a quoted pattern such as
'in/**/*.jpg', a camera (camera:0, a number or a device path) or the address of
a stream (rtsp://..., http://...). Images come first, then videos, then all
cameras and streams at once, in batches across them; of frames that come faster
than they can be taken the last one counts.

The ids in --coco: with --anno, those of the annotation file, by file name and
category. Without it, image ids count images and then frames from 1 in the
order given, also those that cannot be read (the JSON has them as "id"), and
category ids are the labels plus 1.

Ctrl-C ends in order: what is done by then is written whole (status 130).
"""

EXAMPLE = """
ppdet-ext predict --model output/demo/exported dataset/demo/images/val
ppdet-ext predict --model output/demo/exported dataset/demo/images/val --backend paddle_inference --json
"""


def add_arguments(parser):
    """Add the arguments of `predict` to an argparse parser."""
    parser.epilog = EPILOG
    add_source_arguments(parser, "images, videos, folders, patterns, cameras")
    add = parser.add_argument
    add("--batch", type=int, default=4, metavar="N", help="images a run of the network")
    add("--threshold", type=float, default=0.5, metavar="SCORE", help="least score of a detection")
    add_tta_arguments(parser)
    add("--frames", type=int, metavar="N", help="end each video and camera after N frames")
    add("--output", "--out", default="output/predict", metavar="FOLDER", help="where pictures and videos go")
    add("--no-pictures", action="store_true", help="draw and write none, which is faster")
    add_json_argument(parser, "all detections (default: predictions.json in the output folder)")
    add("--csv", metavar="FILE", help="write a line a detection, too")
    add("--coco", metavar="FILE", help="write COCO results, too")
    add("--anno", metavar="FILE", help="COCO annotations that --coco takes its ids from")


def run(args):
    """Detect and draw; 0, 1 when something could not be read, 2 when nothing could, 130 after Ctrl-C."""
    from tqdm import tqdm

    from ..prediction.inputs import find_inputs
    from ..prediction.interrupt import on_interrupt
    from ..prediction.outputs import Names
    from ..prediction.reports import Reports
    from ..prediction.run import Run
    from ..runtime import Detector

    _check(args)
    inputs = find_inputs(args.inputs)
    kept = [file for file, _ in inputs.images + inputs.videos] + ([Path(args.anno)] if args.anno else [])
    names = Names(Path(args.output), kept)
    files = {
        "json": Path(args.output) / "predictions.json" if args.json in (None, STDOUT) else args.json,
        "coco": args.coco,
        "csv": args.csv,
    }
    files = {kind: names.report(f"--{kind}", file) for kind, file in files.items() if file}
    check_report(args.json)
    detector = Detector(args.model, args.backend, args.threads, args.device, tta_of(args))
    ids, categories = _coco_ids(args.anno, inputs, detector.names)
    head = {
        "model": str(args.model),
        "backend": args.backend,
        "threshold": args.threshold,
        "names": detector.names,
    }
    if detector.tta is not None:
        head["tta"] = {"views": str(detector.tta), "merge": detector.tta.merge}
    bar = tqdm(total=count_frames(inputs, args.frames), desc="predict", unit="img", disable=None)
    with on_interrupt() as stop, bar, Reports(files, head, categories) as reports:
        pictures = None if args.no_pictures else names
        work = Run(detector, args, reports, pictures, stop, bar.update)
        if inputs.images:
            work.take_images(inputs.images, ids)
        for video in inputs.videos:
            if not stop.is_set():
                work.take_video(*video)
        if inputs.cameras and not stop.is_set():
            work.take_cameras(inputs.cameras)
    if args.json == STDOUT and (work.images or work.frames):
        give_json(args, json.loads(Path(files["json"]).read_text(encoding="utf-8")))
    where = "" if args.no_pictures else f"pictures in {args.output}, "
    return _tell(work, inputs, stop.is_set(), f"{where}detections in {files['json']}")


def _check(args):
    """Refuse options that no work could follow."""
    check_numbers(args)
    if args.anno and not args.coco:
        raise ValueError("--anno gives ids to COCO results; name their file with --coco")


def _coco_ids(anno, inputs, names):
    """Ids of the images (None for 1, 2, ...) and of the model's labels in COCO results."""
    from ..prediction.coco_ids import CocoIds

    if not anno:
        return None, [label + 1 for label in range(len(names))]
    others = [str(file) for file, _ in inputs.videos] + inputs.cameras
    if others:
        raise ValueError(f"{others[0]}: is no image, and --anno knows images only; leave one of them out")
    known = CocoIds(anno, names)
    owners = {}
    for file, name in inputs.images:
        first = owners.setdefault(known.image_id(file, name), file)
        if first is not file:
            raise ValueError(f"{file}: has the name of {first} in {anno}; leave one of them out")
    return list(owners), known.categories


def _tell(work, inputs, interrupted, where):
    """Print what was done; the exit status."""
    for failure in work.failures:
        print(failure, file=sys.stderr)
    total = sum(map(len, inputs))
    kind = "images" if total == len(inputs.images) else "inputs"
    done = [f"{count} {what}" for count, what in ((work.images, "images"), (work.frames, "frames")) if count]
    if not done:
        print("interrupted" if interrupted else f"none of the {total} {kind} could be read", file=sys.stderr)
        return 130 if interrupted else 2
    summary = f"{work.found} detections in {' and '.join(done)}; {where}"
    if interrupted:
        print(f"interrupted: {summary}", file=sys.stderr)
        return 130
    print(summary)
    if work.failures:
        print(f"{len(work.failures)} of {total} {kind} skipped or cut short", file=sys.stderr)
    return 1 if work.failures else 0
