"""`ppdet-ext data demo`: the demo set."""

from pathlib import Path

from ..json_output import add_json_argument, give_json

EXAMPLE = "ppdet-ext data demo --out dataset/demo --train 1500 --val 200"


def add_arguments(parser):
    parser.add_argument(
        "--out", "--output", default="dataset/demo", metavar="FOLDER", help="where the dataset goes"
    )
    parser.add_argument("--size", type=int, default=128, metavar="PIXELS", help="side of the square scenes")
    parser.add_argument("--train", type=int, default=1500, metavar="N", help="training images")
    parser.add_argument("--val", type=int, default=200, metavar="N", help="validation images")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="another seed, other scenes")
    add_json_argument(parser, "the folder and what it holds")


def run(args):
    from ppdet_ext.data import make_demo

    made = make_demo(args.out, size=args.size, train=args.train, val=args.val, seed=args.seed)
    state = "made" if made else "kept, it was already there"
    print(
        f"{Path(args.out)}: {args.train} training and {args.val} validation images of {args.size} px, {state}"
    )
    give_json(
        args, {"folder": args.out, "train": args.train, "val": args.val, "size": args.size, "made": made}
    )
    return 0
