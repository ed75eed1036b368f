"""ppdet-ext train: PaddleDetection's training command, its flags included."""

import json
import os
import re
import tempfile
from pathlib import Path

from . import describe, train_folder
from .common import add_config_arguments, boolean, prepare_config
from .json_output import add_json_argument, give_json, write_document

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
    add_json_argument(parser, "where weights and report are, and the best AP")


def run(args):
    options, no_eval = train_folder.take_options(args), vars(args).pop("no_eval")
    if options:
        args.eval = not no_eval
        args.config = train_folder.write_config(args, options)
    result = _run_processes(args) if args.processes > 1 else _train(args)
    if result is not None:
        give_json(args, result)
    return 0


def _run_processes(args):
    """Trains data-parallel on this machine's CPU; a failure in one process ends all."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "result.json")
        _spawn(args, file)
        return json.loads(file.read_text(encoding="utf-8"))


def _spawn(args, file):
    from paddle.distributed import spawn

    try:
        spawn(_train_in_child, args=(args, file), nprocs=args.processes, backend="gloo")
    except Exception as error:
        # Paddle hands over what ended the process, or the traceback that it left, as text.
        bad_input, killed = BAD_INPUT.search(str(error)), KILLED.search(str(error))
        if killed:
            rank, cause = killed.groups()
            raise ValueError(f"process {rank} of 0..{args.processes - 1} was ended by {cause}") from None
        if bad_input is None:
            raise
        raise ValueError(bad_input.group(1)) from None


def _train_in_child(args, file):
    """Trains; the first process leaves its result in the file."""
    from ppdet_ext.training.peers import end_with_parent

    end_with_parent()
    try:
        result = _train(args)
        if result is not None:
            write_document(file, result)
    except (ValueError, OSError) as error:
        if "Error Message Summary" in str(error):  # Paddle's own fault
            raise
        raise ValueError(describe(error)) from None


def _train(args):
    """Trains; the result of :func:`_result`, None in other processes than the first."""
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
    page = None
    if args.eval:
        from ppdet_ext.report.after_training import report_after_training

        page = report_after_training(trainer, args.config)
    import paddle.distributed as dist

    return _result(trainer.cfg, args.config, page) if dist.get_rank() == 0 else None


def _result(cfg, config, page):
    """What a training came to, for --json; epochs count from 1, as in the report."""
    from ppdet_ext.training.callbacks import history_path
    from ppdet_ext.training.checkpoints.set_folder import CheckpointFolder, output_folder

    folder = output_folder(cfg)
    sets, _ = CheckpointFolder(folder).sets()
    best = next((one for one in reversed(sets) if "best_model" in one.facts["names"]), None)
    return {
        "config": config,
        "folder": folder,
        "epochs": sets[-1].epoch + 1,
        "best_epoch": best and best.epoch + 1,
        "ap": best and best.facts["best_ap"],
        "weights": {
            "best": best and os.path.join(folder, "best_model.pdparams"),
            "last": os.path.join(folder, "model_final.pdparams"),
        },
        "history": history_path(cfg),
        "report": page,
    }
