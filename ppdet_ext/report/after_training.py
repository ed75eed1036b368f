"""The report that a training ends with."""

import os

import paddle.distributed as dist

from ppdet_ext.evaluation.datasets import dataset_files
from ppdet_ext.training.best_boxes import best_boxes_path
from ppdet_ext.training.callbacks import history_path, read_history
from ppdet_ext.training.checkpoints.set_folder import output_folder

from .settings import ReportSettings
from .write import write_report

FOLDER = "report"


def report_after_training(trainer, config_file, say=print):
    """Writes the report on `best_model` into the run's folder, from the boxes of its evaluation.

    Whatever goes wrong is one line: the training is done, and its checkpoints are there.

    Args:
        trainer: after a training with evaluation.
        config_file (str): for the commands that the report names.
        say (callable): is told how far it is.

    Returns:
        Path | None: the page; None where there is none: not the first process, switched off, another metric
        than COCO's, or it failed.
    """
    cfg = trainer.cfg
    settings = ReportSettings.of(cfg.get("report"))
    if dist.get_rank() != 0 or not settings.wanted or cfg.metric != "COCO":
        return None
    folder = output_folder(cfg)
    weights = os.path.join(folder, "best_model")
    command = f"-c {config_file} -o weights={weights}"
    if not os.path.isfile(best_boxes_path(cfg)):
        say(f"report: none, no evaluation of this run found anything; ppdet-ext report {command} tries again")
        return None
    try:
        page, _ = write_report(
            os.path.join(folder, FOLDER),
            best_boxes_path(cfg),
            dataset_files(),
            weights,
            trainer.config_as_run,
            cfg.filename,
            command,
            read_history(history_path(cfg)),
            settings.threshold,
            say=say,
        )
    except Exception as error:  # also our own faults: nothing here may cost a training
        why = " ".join(str(error).split()) or type(error).__name__
        say(f"report: not written ({why}); the training is complete. ppdet-ext report {command} tries again")
        return None
    say(f"report: {page}")
    return page
