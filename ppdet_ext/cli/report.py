"""`ppdet-ext report`: what a checkpoint came to: pictures, tables, a model card, and one page of all."""

import argparse
import os

from .common import TRAINED, add_config_arguments, prepare_config
from .json_output import add_json_argument, give_json

EXAMPLE = f"""
ppdet-ext report {TRAINED}
ppdet-ext report {TRAINED} --exported output/demo/exported
"""


def add_arguments(parser):
    add_config_arguments(parser)
    parser.add_argument(
        "--out", "--output", metavar="FOLDER", help="where it goes (default: report, beside the weights)"
    )
    parser.add_argument(
        "--exported",
        metavar="FOLDER",
        help="a folder exported from these weights: its files say speed, parity and INT8",
    )
    parser.add_argument(
        "--threshold", type=float, metavar="SCORE", help="score of a detection that counts (default: best F1)"
    )
    add_json_argument(parser, "the model card")


def run(args):
    from ppdet_ext.report.settings import ReportSettings, checked_threshold

    threshold = checked_threshold(args.threshold, "--threshold")
    cfg = prepare_config(
        argparse.Namespace(config=args.config, opt=args.opt, slim_config=args.slim_config), "eval"
    )
    if cfg.metric != "COCO":
        raise ValueError(f"{args.config}: metric is {cfg.metric}; a report needs metric: COCO")
    if threshold is None:
        threshold = ReportSettings.of(cfg.get("report")).threshold
    _check_exported(args.exported, cfg.weights)
    folder = args.out or os.path.join(os.path.dirname(cfg.weights), "report")
    os.makedirs(folder, exist_ok=True)
    config, boxes = _evaluate(cfg, folder)

    from ppdet_ext.evaluation.datasets import dataset_files
    from ppdet_ext.report.write import write_report
    from ppdet_ext.training.callbacks import HISTORY, read_history

    page, card = write_report(
        folder,
        boxes,
        dataset_files(),
        cfg.weights,
        config,
        cfg.filename,
        f"-c {args.config} -o weights={cfg.weights}",
        read_history(os.path.join(os.path.dirname(cfg.weights), HISTORY)),
        threshold,
        args.exported,
    )
    give_json(args, card)
    print(f"report: {page}")
    return 0


def _check_exported(folder, weights):
    """Refuses a folder that can't be used now, not after the evaluation."""
    from ppdet_ext.report.card import about_weights
    from ppdet_ext.report.exported import exported_facts

    about = about_weights(weights)
    if folder:
        exported_facts(folder, about)


def _evaluate(cfg, folder):
    """Evaluates the weights; the merged config, and the file of the boxes found."""
    from ppdet_ext.evaluation.evaluation_result import EvaluationResult
    from ppdet_ext.training.best_boxes import LAST
    from ppdet_ext.training.trainer import Trainer

    boxes = os.path.join(folder, LAST)
    if os.path.exists(boxes):
        os.remove(boxes)
    cfg["output_eval"] = folder
    trainer = Trainer(cfg, mode="eval")
    trainer.load_weights(cfg.weights)
    trainer.register_callbacks([EvaluationResult(trainer)])
    trainer.evaluate()
    if not os.path.exists(boxes):
        raise ValueError(f"{cfg.weights}: finds nothing in any image; there is nothing to report yet")
    return trainer.config_as_run, boxes
