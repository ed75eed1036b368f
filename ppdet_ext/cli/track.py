"""`ppdet-ext track`: follow objects through videos and cameras with an exported model."""

import sys
from pathlib import Path

from .json_output import STDOUT, add_json_argument, give_json, write_document
from .sources import add_source_arguments, check_numbers, check_report, count_frames

EPILOG = """
An INPUT is a video, a folder of these, a quoted pattern such as 'in/*.mp4', a
camera (camera:0, a number or a device path) or the address of a stream
(rtsp://..., http://...). Videos come first, eight at once, then all cameras and
streams at once; each has a tracker of its own, the network takes their frames
together.

For NAME.mp4 the output folder has NAME.mp4, with numbered objects, their trails
and 'class now/so far'; NAME.tracks.txt in MOTChallenge's format, the label as
an 11th number; NAME.tracks.jsonl with a line of JSON a frame.

Ctrl-C ends in order: what is done by then is written whole (status 130).
"""

EXAMPLE = """
ppdet-ext track --model output/demo/exported street.mp4
ppdet-ext track --model output/demo/exported east.mp4 west.mp4 --classes 3 7 --json
ppdet-ext track --model output/demo/exported street.mp4 --truth street/gt.txt
"""


def add_arguments(parser):
    """Add the arguments of `track` to an argparse parser."""
    parser.epilog = EPILOG
    add_source_arguments(parser, "videos, folders, patterns, cameras")
    add = parser.add_argument
    add("--batch", type=int, default=4, metavar="N", help="frames a run of the network")
    add(
        "--threshold",
        type=float,
        default=0.5,
        metavar="SCORE",
        help="least score that begins a track; weaker detections, down to 0.1, only go on with one",
    )
    add("--patience", type=float, default=1.0, metavar="SECONDS", help="how long an unseen object is known")
    add("--classes", nargs="+", metavar="NAME", help="follow these alone (default: all)")
    add("--frames", type=int, metavar="N", help="end each video and camera after N frames")
    add("--truth", action="append", metavar="FILE", help="print MOTA and IDF1; once a video, in their order")
    add("--output", "--out", default="output/track", metavar="FOLDER", help="where videos and tracks go")
    add("--no-pictures", action="store_true", help="draw no videos, which is faster")
    add_json_argument(parser, "all tracks and counts (default: tracks.json in the output folder)")


def run(args):
    """Follow; 0, 1 when something could not be read, 2 when nothing could, 130 after Ctrl-C."""
    from tqdm import tqdm

    from ..prediction.inputs import find_inputs
    from ..prediction.interrupt import on_interrupt
    from ..prediction.outputs import Names
    from ..runtime import Detector
    from ..tracking.run import Run

    _check(args)
    check_report(args.json)
    inputs = find_inputs(args.inputs)
    truths = _truths(args, inputs)
    names = Names(Path(args.output), [file for file, _ in inputs.videos] + list(map(Path, args.truth or [])))
    report = args.json if args.json not in (None, STDOUT) else Path(args.output) / "tracks.json"
    report = names.report("--json", report)
    detector = Detector(args.model, args.backend, args.threads, args.device)
    args.classes = _labels(args.classes, detector.names)
    bar = tqdm(total=count_frames(inputs, args.frames), desc="track", unit="frame", disable=None)
    with on_interrupt() as stop, bar:
        work = Run(detector, args, names, not args.no_pictures, stop, bar.update)
        work.take_videos(inputs.videos, truths)
        if not stop.is_set():
            work.take_cameras(inputs.cameras)
    document = {
        "model": str(args.model),
        "backend": args.backend,
        "threshold": args.threshold,
        "patience": args.patience,
        "names": detector.names,
        "streams": work.records,
    }
    if any(record["frames"] for record in work.records):
        write_document(report, document)
        if args.json == STDOUT:
            give_json(args, document)
    return _tell(work, inputs, stop.is_set(), args.output, report)


def _check(args):
    """Refuse options that no work could follow."""
    check_numbers(args)
    if not 0 <= args.patience < float("inf"):
        raise ValueError(f"--patience is {args.patience}; give seconds from 0 up")
    if len(args.truth or []) > len(set(args.truth or [])):
        raise ValueError("--truth names a file twice; give each video its own")


def _truths(args, inputs):
    """The truth of each video, None where there is none."""
    if inputs.images:
        raise ValueError(
            f"{inputs.images[0][0]}: is a picture, and objects are followed through videos and cameras; "
            f"for pictures there is 'ppdet-ext predict', for the videos of a folder a pattern: 'in/*.mp4'"
        )
    if args.truth is None:
        return [None] * len(inputs.videos)
    if len(args.truth) != len(inputs.videos):
        raise ValueError(
            f"--truth: {len(args.truth)} files, but {len(inputs.videos)} videos; give one a video, in order"
        )
    return args.truth


def _labels(classes, names):
    """The labels of classes, None for all."""
    from ..nearest import choice

    if classes is None:
        return None
    for name in classes:
        if name not in names:
            raise ValueError(f"--classes {name}: the model knows no such class; {choice(name, names)}")
    return {names.index(name) for name in classes}


def _tell(work, inputs, interrupted, folder, report):
    """Print what was done; the exit status."""
    for failure in work.failures:
        print(failure, file=sys.stderr)
    total = len(inputs.videos) + len(inputs.cameras)
    if not any(record["frames"] for record in work.records):
        print("interrupted" if interrupted else f"none of the {total} inputs could be read", file=sys.stderr)
        return 130 if interrupted else 2
    for record in work.records:
        _tell_stream(record)
    what = "videos and tracks" if any(record["video"] for record in work.records) else "tracks"
    print(f"{what} in {folder}, the summary in {report}")
    if interrupted:
        print("interrupted", file=sys.stderr)
        return 130
    if work.failures:
        print(f"{len(work.failures)} of {total} inputs skipped or cut short", file=sys.stderr)
    return 1 if work.failures else 0


def _tell_stream(record):
    """Print what a stream held."""
    count = len(record["tracks"])
    print(f"{record['file']}: {record['frames']} frames, {count} track{'' if count == 1 else 's'}")
    for name, objects in record["objects"].items():
        seconds = [track["seconds"] for track in record["tracks"] if track["name"] == name]
        print(
            f"  {name}: {objects['total']} in all, {objects['most_at_once']} at most at once, "
            f"{objects['now']} at the end, {sum(seconds) / len(seconds):.1f} s each on average"
        )
    if "truth" in record:
        print("  " + _score(record["truth"]))


def _score(truth):
    """A line on how the tracks compare with the truth."""
    shares = [
        f"{title} {'unknown' if truth[key] is None else format(truth[key], '.3f')}"
        for key, title in (
            ("mota", "MOTA"),
            ("idf1", "IDF1"),
            ("recall", "recall"),
            ("precision", "precision"),
        )
    ]
    return (
        f"{', '.join(shares)}; {truth['misses']} misses, {truth['false_alarms']} false alarms, "
        f"{truth['switches']} switches of number, {truth['objects']} objects in {truth['file']}"
    )
