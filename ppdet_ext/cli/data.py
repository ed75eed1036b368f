"""`ppdet-ext data`: datasets, made and checked."""

import argparse
from pathlib import Path


def add_arguments(parser):
    """Add the verbs under `data` to an argparse parser."""
    verbs = parser.add_subparsers(dest="data_verb", metavar="VERB", required=True)
    demo = verbs.add_parser(
        "demo",
        help="make a small set of handwritten digits, without a download",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    demo.add_argument("--out", default="dataset/demo", metavar="FOLDER", help="where the dataset goes")
    demo.add_argument("--size", type=int, default=128, metavar="PIXELS", help="side of the square scenes")
    demo.add_argument("--train", type=int, default=1500, metavar="N", help="training images")
    demo.add_argument("--val", type=int, default=200, metavar="N", help="validation images")
    demo.add_argument("--seed", type=int, default=0, metavar="N", help="another seed, other scenes")
    demo.set_defaults(data_run=_demo)


def run(args):
    """Run the chosen verb; the exit status."""
    return args.data_run(args)


def _demo(args):
    from ..data import make_demo

    made = make_demo(args.out, size=args.size, train=args.train, val=args.val, seed=args.seed)
    state = "made" if made else "kept, it was already there"
    print(
        f"{Path(args.out)}: {args.train} training and {args.val} validation images of {args.size} px, {state}"
    )
    return 0
