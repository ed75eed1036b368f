"""ppdet-ext train: PaddleDetection's training command, its flags included."""

import re

from . import describe, train_folder
from .common import add_config_arguments, boolean, prepare_config

# The last line of a traceback that bad input leaves in a child.
BAD_INPUT = re.compile(r"^ValueError: (.+?)\s*\Z", re.MULTILINE | re.DOTALL)
EXAMPLE = """
ppdet-ext train --data dataset/demo --model ppyoloe_nano --size 128 --epochs 8
ppdet-ext train -c configs/demo/ppyoloe_nano_demo.yml --eval --processes 2
"""
KILLED = re.compile(r"^Process (\d+) terminated with (signal \w+|exit code \d+)\.")


def add_arguments(parser):
    add_config_arguments(parser, required=False)
    train_folder.add_arguments(parser)
    evaluate = parser.add_mutually_exclusive_group()
    evaluate.add_argument("--eval", action="store_true", help="evaluate after each snapshot (on with --data)")
    evaluate.add_argument("--no-eval", action="store_true", help="with --data: don't")
    parser.add_argument(
        "-r",
        "--resume",
        nargs="?",
        const="auto",
        metavar="PATH",
        help="go on from a checkpoint or a set's folder; without PATH, from the last good set of this config",
    )
    # Flags that are keys of the config, too, whose value stands where the flag is not given.
    key = {"action": "store_true", "default": None}
    parser.add_argument("--amp", **key, help="mixed precision (GPU)")
    parser.add_argument("--fleet", **key, help="train through Paddle's fleet")
    parser.add_argument("--to_static", **key, help="train the static graph")
    parser.add_argument("--use_vdl", type=boolean, help="write VisualDL logs")
    parser.add_argument("--vdl_log_dir", default="vdl_log_dir/scalar", help="where to")
    parser.add_argument("--use_wandb", type=boolean, help="log to Weights & Biases")
    parser.add_argument("--save_prediction_only", action="store_true", help="write boxes, compute no AP")
    parser.add_argument("--profiler_options", help="'key1=value1;key2=value2', see ppdet/utils/profiler.py")
    parser.add_argument("--save_proposals", action="store_true", help="save proposals (SNIPER)")
    parser.add_argument("--proposals_path", default="sniper/proposals.json", help="where to")
    parser.add_argument(
        "--processes",
        type=int,
        default=1,
        metavar="N",
        help="train data-parallel in N processes on the CPU, where each uses one core "
        "(GPUs: python -m paddle.distributed.launch tools/train.py ...)",
    )
    parser.add_argument("--seed", type=int, metavar="N", help="fix the random seeds; another N, another run")
    parser.add_argument("--enable_ce", type=boolean, default=False, help="the same as --seed 0")


def run(args):
    options, no_eval = train_folder.take_options(args), vars(args).pop("no_eval")
    if options:
        args.eval = not no_eval
        args.config = train_folder.write_config(args, options)
    if args.processes > 1:
        return _run_processes(args)
    return _train(args)


def _run_processes(args):
    """Trains data-parallel on this machine's CPU; a failure in one process ends all."""
    from paddle.distributed import spawn

    try:
        spawn(_train_in_child, args=(args,), nprocs=args.processes, backend="gloo")
    except Exception as error:
        # Paddle hands over what ended the process, or the traceback that it left, as text.
        bad_input, killed = BAD_INPUT.search(str(error)), KILLED.search(str(error))
        if killed:
            rank, cause = killed.groups()
            raise ValueError(f"process {rank} of 0..{args.processes - 1} was ended by {cause}") from None
        if bad_input is None:
            raise
        raise ValueError(bad_input.group(1)) from None
    return 0


def _train_in_child(args):
    from ppdet_ext.training.peers import end_with_parent

    end_with_parent()
    try:
        _train(args)
    except (ValueError, OSError) as error:
        if "Error Message Summary" in str(error):  # Paddle's own fault
            raise
        raise ValueError(describe(error)) from None


def _train(args):
    cfg = prepare_config(args, "train")
    from ppdet.engine import init_fleet_env, init_parallel_env, set_random_seed

    from ppdet_ext.report.settings import ReportSettings
    from ppdet_ext.training.peers import Peers
    from ppdet_ext.training.trainer import Trainer

    ReportSettings.of(cfg.get("report"))  # refused now, not after the training
    if cfg.get("fleet"):
        init_fleet_env(cfg.get("find_unused_parameters", False))
    else:
        init_parallel_env()
    if args.enable_ce or args.seed is not None:
        cfg["seed"] = args.seed or 0
        set_random_seed(cfg["seed"])
    with Peers():
        trainer = Trainer(cfg, mode="train")
        resumed = args.resume and trainer.resume_weights(args.resume)
        if not resumed and cfg.get("pretrain_weights"):
            trainer.load_weights(cfg.pretrain_weights)
        trainer.train(args.eval)
    if args.eval:
        from ppdet_ext.report.after_training import report_after_training

        report_after_training(trainer, args.config)
    return 0
