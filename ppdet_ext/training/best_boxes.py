"""The boxes of the best evaluation, kept for the report after the training."""

import os
import shutil

from ppdet.engine.callbacks import Callback
from ppdet.utils.logger import setup_logger

from .checkpoints.set_folder import output_folder

logger = setup_logger("ppdet.engine")

# What PaddleDetection's COCO metric writes at each evaluation, and the best one's, beside best_model.
LAST, BEST = "bbox.json", "best_bbox.json"


def best_boxes_path(cfg):
    """Where the boxes of a run's best evaluation lie, beside its checkpoints."""
    return os.path.join(output_folder(cfg), BEST)


class BestBoxes(Callback):
    """Keeps ``bbox.json`` of the evaluation that makes ``best_model`` as ``best_bbox.json``.

    Args:
        trainer: in train mode, with `metric: COCO`.
        writer (SetWriter): judges which evaluation is the best; it stands behind this callback.
    """

    def __init__(self, trainer, writer):
        super().__init__(trainer)
        self._writer = writer

    def on_train_begin(self, status):
        path = best_boxes_path(self.model.cfg)
        if status["epoch_id"] == 0 and os.path.exists(path):
            os.remove(path)  # of an earlier run

    def on_epoch_end(self, status):
        if status["mode"] != "eval" or not self.model._metrics:
            return
        results = self.model._metrics[0].get_results()
        if "bbox" not in results or results["bbox"][0] < self._writer.best_ap:
            return
        path = best_boxes_path(self.model.cfg)
        try:
            shutil.copyfile(os.path.join(self.model.cfg["output_eval"], LAST), path + ".new")
            os.replace(path + ".new", path)
        except OSError as error:
            logger.warning(f"{path}: not written ({error.strerror}); the training goes on")
