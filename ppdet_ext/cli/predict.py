"""`ppdet-ext predict`: detect in images with an exported model."""

import argparse
import json
import os
import sys
from pathlib import Path

# Pictures smaller than this are enlarged, so that the labels on them can be read.
MIN_PICTURE_SIDE = 320


def add_arguments(parser):
    """Add the arguments of `predict` to an argparse parser."""
    parser.formatter_class = argparse.ArgumentDefaultsHelpFormatter
    parser.add_argument(
        "images", nargs="+", metavar="IMAGE_OR_FOLDER", help="image files, or folders of images"
    )
    parser.add_argument(
        "--model", required=True, metavar="FOLDER", default=argparse.SUPPRESS, help="the exported folder"
    )
    parser.add_argument("--backend", default="onnxruntime", metavar="NAME", help="the engine")
    parser.add_argument(
        "--threads",
        type=int,
        metavar="N",
        default=argparse.SUPPRESS,
        help="CPU threads (default: the engine's choice)",
    )
    parser.add_argument(
        "--threshold", type=float, default=0.5, metavar="SCORE", help="least score of a detection"
    )
    parser.add_argument("--output", default="output/predict", metavar="FOLDER", help="where the pictures go")
    parser.add_argument(
        "--json",
        metavar="FILE",
        default=argparse.SUPPRESS,
        help="all detections (default: predictions.json in the output folder)",
    )


def run(args):
    """Detect and draw; 0, 1 when some images could not be read, 2 when none could."""
    from tqdm import tqdm

    from ..runtime import Detector
    from ..runtime.image import find_images

    if not 0 <= args.threshold <= 1:
        raise ValueError(f"--threshold is {args.threshold}; give a score from 0 to 1")
    pictures = _name_pictures(find_images(args.images), Path(args.output))
    detector = Detector(args.model, backend=args.backend, threads=getattr(args, "threads", None))
    records, failures = [], []
    for file, picture in tqdm(pictures.items(), desc="predict", unit="img", disable=None):
        try:
            detections = _predict(detector, file, picture, args.threshold)
        except _Unreadable as error:
            failures.append(str(error))
            continue
        records.append({"file": str(file), "picture": str(picture), "detections": detections.to_records()})
    for failure in failures:
        print(failure, file=sys.stderr)
    if not records:
        print(f"none of the {len(failures)} images could be read", file=sys.stderr)
        return 2
    report = Path(getattr(args, "json", Path(args.output) / "predictions.json"))
    _write_report(
        report,
        {
            "model": str(args.model),
            "backend": args.backend,
            "threshold": args.threshold,
            "names": detector.names,
            "images": records,
        },
    )
    found = sum(len(record["detections"]) for record in records)
    print(f"{found} detections in {len(records)} images; pictures in {args.output}, detections in {report}")
    if failures:
        print(f"{len(failures)} of {len(pictures)} images skipped", file=sys.stderr)
    return 1 if failures else 0


class _Unreadable(ValueError):
    """An image that cannot be read, told apart from a model that cannot run."""


def _predict(detector, file, picture, threshold):
    """Detect in one file and write its picture."""
    from ..runtime.image import read_image
    from ..visualize import draw_detections, write_image

    try:
        image = read_image(file)
    except ValueError as error:
        raise _Unreadable(str(error)) from None
    (detections,) = detector.predict(image, score_threshold=threshold)
    write_image(picture, draw_detections(image, detections, threshold, MIN_PICTURE_SIDE))
    return detections


def _name_pictures(files, output):
    """Where the picture of each file goes: {file: picture}, never two to one place, never onto an input.

    Args:
        files (list): pairs of a file and its name relative to the folder given.
        output (Path): folder of the pictures.
    """
    inputs = {file.resolve() for file, _ in files}
    pictures, taken = {}, set()
    for file, name in files:
        if file in pictures:
            continue
        suffix = ".png" if name.suffix.lower() == ".png" else ".jpg"
        picture, number = output / name.with_suffix(suffix), 1
        while picture in taken or picture.resolve() in inputs:
            number += 1
            picture = output / name.with_name(f"{name.stem}-{number}{suffix}")
        taken.add(picture)
        pictures[file] = picture
    return pictures


def _write_report(path, report):
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".part")
    partial.write_text(json.dumps(report, indent=1, ensure_ascii=False), encoding="utf-8")
    os.replace(partial, path)
