"""ppdet-ext weights convert: weights of other frameworks as checkpoints of ours."""

import argparse

from .json_output import add_json_argument, give_json
from .parser import with_example

EXAMPLE = (
    "ppdet-ext weights convert --from yolov6 yolov6n.pt -c configs/yolov6/yolov6_n_coco.yml "
    "--output yolov6_n.pdparams"
)


def add_arguments(parser):
    """Add the verbs under `weights` to an argparse parser."""
    from .common import add_config_arguments

    verbs = parser.add_subparsers(dest="weights_verb", metavar="VERB", required=True)
    summary = "turn a state dict of another framework into a .pdparams"
    convert = with_example(verbs.add_parser("convert", help=summary, description=summary), EXAMPLE)
    add_config_arguments(convert)
    convert.add_argument("--from", required=True, dest="family", metavar="FAMILY", help="yolov6 or effdet")
    convert.add_argument("state_dict", metavar="STATE_DICT", help="what torch.save wrote, or an .npz")
    convert.add_argument("--output", "--out", required=True, metavar="FILE", help="the .pdparams to write")
    add_json_argument(convert, "the account")


def run(args):
    if args.slim_config:
        raise ValueError("--slim_config: weights of other frameworks are float; convert them without it")
    from .common import prepare_config

    cfg = prepare_config(argparse.Namespace(config=args.config, opt=args.opt, slim_config=None), "test")
    from ppdet.core.workspace import create

    from ppdet_ext.weights.convert import convert

    done = convert(args.family, args.state_dict, create(cfg.architecture), args.output)
    print(f"{args.state_dict}: {done.schema}, {done.mapped} entries mapped")
    for reason, count in done.dropped.items():
        print(f"  {count} dropped: {reason}")
    for reason, count in done.fresh.items():
        print(f"  {count} parameters as the config makes them: {reason}")
    print(f"written to {done.path}")
    give_json(args, done._asdict())
    return 0
