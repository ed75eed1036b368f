"""`ppdet-ext data split`: parts for training and validation, without leaks."""

import argparse
import re
from pathlib import Path

from ..json_output import add_json_argument, give_json

EXAMPLE = r"""
ppdet-ext data split dataset/demo/annotations/train.json --images dataset/demo/images/train \
    --parts fit,tune=0.2 --out output/split
ppdet-ext data split annotations/all.json --images images --parts train,val=200,test=200 --seed 1
ppdet-ext data split annotations/all.json --images images --parts train,val=0.2 --group-by '^(scene\d+)_'
"""


def add_arguments(parser):
    parser.add_argument("annotations", metavar="ANNO.json", help="COCO file of all images; it stays as it is")
    parser.add_argument(
        "--images", metavar="FOLDER", help="the folder that the names of the images count from"
    )
    parser.add_argument(
        "--parts",
        required=True,
        type=_parts,
        metavar="NAME[=SHARE],...",
        help="parts, each with a share of the images (0.2) or a number (200); one without takes the rest",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="another seed, another split")
    parser.add_argument(
        "--out", "--output", metavar="FOLDER", help="where NAME.json of each part goes (beside ANNO.json)"
    )
    alike = parser.add_mutually_exclusive_group()
    alike.add_argument(
        "--similarity",
        type=float,
        default=0.9,
        metavar="R",
        help="pictures whose thumbnails correlate by this or more stay together",
    )
    alike.add_argument("--no-similarity", action="store_true", help="don't compare pictures")
    parser.add_argument(
        "--group-by",
        metavar="REGEX",
        help="images whose names have the same text in the first parentheses of this stay together",
    )
    add_json_argument(parser, "what the parts hold")
    parser.add_argument("--force", action="store_true", help="replace NAME.json where it is there")


def run(args):
    from ppdet_ext.data.coco_file import check_free, read_coco, write_json
    from ppdet_ext.data.grouping import group_images
    from ppdet_ext.data.split import split_dataset, wanted_images

    from .printing import class_table, counts

    source = Path(args.annotations)
    files = {name: Path(args.out or source.parent) / f"{name}.json" for name in args.parts}
    if source.resolve() in [file.resolve() for file in files.values()]:
        raise ValueError(f"{source}: a part of this name would replace it; name the part otherwise")
    check_free(files.values(), args.force)
    threshold = None if args.no_similarity else args.similarity
    if threshold is not None and args.images is None:
        raise ValueError("--images FOLDER is missing, to compare the pictures; or say --no-similarity")
    dataset = read_coco(source)
    wanted = wanted_images(args.parts, len(dataset["images"]))
    groups = group_images(dataset, args.images, threshold, args.group_by)
    parts = split_dataset(dataset, args.parts, groups.keys, args.seed)
    for line in class_table(parts):
        print(line)
    notes = list(_said(dataset, parts, wanted, groups, threshold))
    for line in notes:
        print(line)
    for name, part in parts.items():
        write_json(files[name], part)
        print(f"{files[name]}: {len(part['images'])} images, {len(part['annotations'])} boxes")
    written = {name: {"file": files[name], **counts(part)} for name, part in parts.items()}
    give_json(args, {"parts": written, "notes": notes})
    return 0


def _said(dataset, parts, wanted, groups, threshold):
    """Lines about how even the parts are, and what was kept together."""
    from ppdet_ext.data.coco_records import some
    from ppdet_ext.data.counts import count_classes

    total = {name: boxes for name, (boxes, _) in count_classes(dataset).items() if boxes}
    for name, part in parts.items():
        counts = count_classes(part)
        shares = [100 * counts[label][0] / boxes for label, boxes in total.items()]
        if shares:
            yield f"{name} has {min(shares):.1f} to {max(shares):.1f} % of the boxes of each class"
        without = [label for label in total if not counts[label][0]]
        if without:
            yield f"{name} has no box of {some(without)}; there are too few to go round"
    if threshold is not None:
        yield f"{groups.similar} images look like another one (correlation of {threshold:g} or more)"
    if groups.unmatched:
        yield f"{len(groups.unmatched)} names don't fit the pattern of --group-by: {some(groups.unmatched)}"
    sizes = groups.sizes
    if sizes:
        yield f"{sum(sizes)} images stay together in {len(sizes)} groups, the largest of {sizes[0]}"
    small = min(wanted, key=wanted.get)
    if sizes and sizes[0] > wanted[small]:
        yield f"the largest group, {sizes[0]} images, is too big for {small} and lies elsewhere"
        if threshold is not None:
            yield "  if they don't show the same, but chain up by similarity: raise --similarity"
    for name, count in wanted.items():
        if abs(len(parts[name]["images"]) - count) >= 1:
            yield f"{name} has {len(parts[name]['images'])} images instead of {count:g}: groups stay whole"
    left_out = len(dataset["images"]) - sum(len(part["images"]) for part in parts.values())
    if left_out:
        yield f"{left_out} images are in no part"


def _parts(text):
    """{'train': None, 'val': 0.2} of 'train,val=0.2'."""
    shares = {}
    for entry in text.split(","):
        name, equals, share = (piece.strip() for piece in entry.partition("="))
        if not re.fullmatch(r"[\w.-]+", name) or name in shares:
            raise argparse.ArgumentTypeError(f"'{name}' is no name for a part, or is there twice")
        if share == "1":
            raise argparse.ArgumentTypeError(
                f"'{entry}': all images, or one? give a share below 1, or 2 and more"
            )
        try:
            shares[name] = float(share) if equals else None
        except ValueError:
            raise argparse.ArgumentTypeError(f"'{entry}': '{share}' is neither share nor number") from None
    return shares
