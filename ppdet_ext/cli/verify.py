"""`ppdet-ext verify`: does the exported model do what the trained one does, in every engine that is here?"""

import tempfile

from .common import TRAINED, add_device_arguments, load_trainer
from .json_output import add_json_argument, give_json

EXAMPLE = f"""
ppdet-ext verify --model output/demo/exported
ppdet-ext verify --model output/demo/exported {TRAINED}
"""


def add_arguments(parser):
    parser.add_argument("--model", required=True, metavar="FOLDER", help="the exported folder")
    parser.add_argument(
        "-c",
        "--config",
        metavar="CFG",
        help="the config it was exported from: compare with the model as trained, on its EvalDataset",
    )
    parser.add_argument("-o", "--opt", nargs="*", metavar="KEY=VALUE", help="with -c: weights=FILE, ...")
    parser.add_argument("--slim_config", metavar="CFG", help="with -c: config of a compression method")
    parser.add_argument(
        "--images", metavar="FOLDER", help="without -c: images to compare on (default: generated ones)"
    )
    parser.add_argument("--backends", "--backend", nargs="+", metavar="NAME", help="engines (default: all)")
    add_device_arguments(parser)
    parser.add_argument(
        "--compared", type=int, default=16, metavar="N", help="images whose raw outputs are compared"
    )
    add_json_argument(parser, "the report")
    parser.epilog = "exit status: 0 when nothing failed, 1 when a hop did, 2 for bad input"


def run(args):
    from ppdet_ext.evaluation.bench.images import photographs
    from ppdet_ext.evaluation.verify import verify
    from ppdet_ext.evaluation.verify_table import verify_table
    from ppdet_ext.runtime.backends import check_backends, check_engine
    from ppdet_ext.runtime.image import find_images

    if args.compared < 1:
        raise ValueError(f"--compared is {args.compared}; give a whole number from 1 up")
    backends = check_backends(args.backends) if args.backends else None
    check_engine(args.threads, args.device)
    with tempfile.TemporaryDirectory() as workplace:
        trained = None
        if args.config:
            trained = _trained(args)
            files = trained.files()
        elif args.images:
            files = [file for file, _ in find_images([args.images])]
        else:
            files = photographs(workplace, min(args.compared, 8))
        report = verify(
            args.model, files, trained, backends, args.compared, threads=args.threads, device=args.device
        )
    give_json(args, report)
    print(verify_table(report))
    return 0 if report["ok"] else 1


def _trained(args):
    """The model of the config with its weights."""
    trainer = load_trainer(args)
    from ppdet_ext.evaluation.trained import TrainedModel

    return TrainedModel(trainer.cfg, trainer.model)
