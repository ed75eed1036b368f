"""`ppdet-ext data check`: what is wrong with a dataset, before a training finds out."""

import os
from pathlib import Path

from ..json_output import STDOUT, add_json_argument, give_json

EXAMPLE = (
    "ppdet-ext data check --anno dataset/demo/annotations/train.json --images dataset/demo/images/train "
    "--other dataset/demo/annotations/val.json --other-images dataset/demo/images/val"
)


def add_arguments(parser):
    parser.add_argument("--anno", metavar="FILE", help="COCO annotation file")
    parser.add_argument("--images", metavar="DIR", help="folder that its file names are relative to")
    parser.add_argument(
        "--other", nargs="+", default=[], metavar="FILE", help="other splits: same classes, no picture in two"
    )
    parser.add_argument(
        "--other-images", nargs="+", default=[], metavar="DIR", help="their folders (that of --images)"
    )
    parser.add_argument(
        "-c",
        "--config",
        metavar="FILE",
        help="the config that is to be trained: its num_classes, and without --anno its datasets",
    )
    parser.add_argument("-o", "--opt", nargs="*", metavar="KEY=VALUE", help="with -c: override keys")
    parser.add_argument("--num-classes", type=int, metavar="N", help="of the model that is to be trained")
    parser.add_argument("--write", metavar="FILE", help="write a cleaned copy of --anno; never over a file")
    add_json_argument(parser, "every finding, with file and record,")
    parser.add_argument("--pictures", metavar="FOLDER", help="draw what is suspicious, a sheet a kind")
    parser.add_argument("--quick", action="store_true", help="annotations alone: open no picture")
    parser.add_argument("--limit", type=int, default=5, metavar="N", help="findings shown of a kind")
    parser.add_argument(
        "--similarity",
        type=float,
        default=0.98,
        metavar="R",
        help="correlation from which pictures look alike, up to 1",
    )
    parser.add_argument("--workers", type=int, metavar="N", help="threads that read pictures")
    parser.add_argument("--strict", action="store_true", help="warnings count as errors")
    parser.epilog = (
        "exit status: 0 without errors (there may be warnings and notes), 1 with errors, 2 where nothing "
        "could be checked or written"
    )


def run(args):
    from ppdet_ext.data.check import Report, check_categories, check_leaks, check_part

    sets, num_classes = _sets(args)
    _check_targets(args)
    options = {
        "num_classes": num_classes,
        "read_pictures": not args.quick,
        "similar": args.similarity,
        "workers": args.workers,
    }
    parts = [check_part(anno, images, **options) for anno, images in sets]
    leaks, between = [], []
    for other in parts[1:]:
        between += check_categories(parts[0].data, other.data)
    for number, first in enumerate(parts):
        for other in parts[number + 1 :]:
            found = check_leaks(first, other, args.similarity)
            between += found
            leaks += found if number == 0 else []
    report = Report(parts, between)
    print("\n".join(report.lines(args.limit)))
    if args.pictures:
        _draw(args.pictures, report)
    give_json(args, report.as_dict())
    if args.json not in (None, STDOUT):
        print(f"{args.json}: every finding")
    if args.write:
        _write_copy(args.write, parts[0], leaks, args.limit)
    return int(report.count("error") > 0 or args.strict and report.count("warning") > 0)


def _sets(args):
    """The pairs of annotation file and folder to be checked, and num_classes."""
    num_classes, sets = args.num_classes, []
    if args.config:
        from ppdet_ext.config import load_config
        from ppdet_ext.training.preflight import configured_sets

        cfg = load_config(args.config, args.opt)
        num_classes = num_classes or cfg.num_classes
        if not args.anno:
            sets = [(found.anno, found.images) for found in configured_sets(cfg)]
            if not sets:
                raise ValueError(
                    f"{args.config}: none of its datasets is a COCO file that is there; give --anno"
                )
    if args.anno:
        if not args.images:
            raise ValueError(f"--anno {args.anno}: give its folder of pictures, too: --images DIR")
        sets = [(args.anno, args.images)]
    if not sets:
        raise ValueError("nothing to check: give --anno FILE and --images DIR, or --config FILE")
    folders = args.other_images or [sets[0][1]]
    if len(folders) == 1:
        folders = folders * len(args.other)
    if len(folders) != len(args.other):
        raise ValueError(f"{len(args.other)} files in --other, but {len(folders)} folders in --other-images")
    return sets + list(zip(args.other, folders)), num_classes


def _check_targets(args):
    """Refuses outputs that would replace something, before the work is done."""
    from ppdet_ext.data.check.report import is_report
    from ppdet_ext.data.coco_file import check_free

    if args.write:
        if args.quick:
            raise ValueError("--write needs to see the pictures; leave out --quick")
        check_free([args.write], force=True)
        if os.path.lexists(args.write):
            raise ValueError(
                f"{args.write}: is already there, and no copy replaces a file; choose another name"
            )
    if args.json and args.json != STDOUT and os.path.lexists(args.json) and not is_report(args.json):
        raise ValueError(f"{args.json}: is already there, and no report of this; choose another name")


def _write_copy(path, part, leaks, limit):
    """Writes the cleaned copy and says what is different in it."""
    from ppdet_ext.data.check import KINDS, clean_part
    from ppdet_ext.data.coco_file import write_json

    content, changes = clean_part(part, leaks)
    write_json(path, content)
    print(
        f"{path}: cleaned copy, {len(content['images'])} of {len(part.data.images)} images and "
        f"{len(content['annotations'])} of {len(part.data.annotations)} annotations, {len(changes)} changes"
    )
    for kind in KINDS:
        found = [change for change in changes if change.kind == kind]
        for change in found[:limit]:
            print(f"    {kind}: {change.record}: {change.done}")
        if len(found) > limit:
            print(f"    {kind}: ... and {len(found) - limit} more")


def _draw(folder, report):
    """A sheet for each kind of suspicious sample."""
    from ppdet_ext.visualize import write_image
    from ppdet_ext.visualize.findings_sheet import MOST, findings_sheet

    shown = {}
    for finding in report.findings:
        if finding.image and (finding.twin or finding.severity != "note"):
            shown.setdefault(finding.kind, []).append(finding)
    for kind, found in shown.items():
        tiles = [_tile(finding, report.parts) for finding in found[:MOST]]
        path = Path(folder) / f"check_{kind}.png"
        write_image(path, findings_sheet(tiles))
        print(f"{path}: {len(tiles)} of {len(found)}")


def _tile(finding, parts):
    """A sample of a sheet: the box in question, or all boxes of a picture that is in question."""
    from ppdet_ext.visualize.findings_sheet import Tile

    (kind, row), boxes = finding.at, ()
    if kind == "images" and finding.twin is None:
        part = next(p for p in parts if len(p.files.paths) > row and p.files.paths[row] == finding.image)
        boxes = [tuple(box) for box in part.data.boxes_of(row)]
    return Tile(finding.image, [finding.record, finding.message], finding.box, finding.twin, boxes)
