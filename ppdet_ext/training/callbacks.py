"""What is seen of a training run: a progress bar and a history file."""

import json
import os

from ppdet.engine.callbacks import Callback
from tqdm import tqdm

# Terms whose weighted sum is the loss; which there are depends on head and recipe.
LOGGED = (
    "loss",
    "loss_cls",
    "loss_box",
    "loss_iou",
    "loss_dfl",
    "loss_direct_iou",
    "loss_aided_cls",
    "loss_aided_iou",
    "loss_distill",
)


class ProgressBar(Callback):
    """One bar over all steps of the run, with the loss and, after an evaluation, AP."""

    def __init__(self, trainer):
        super().__init__(trainer)
        self._bar = None
        self._ap = ""

    def on_train_begin(self, status):
        steps = status["steps_per_epoch"]
        self._bar = tqdm(
            total=steps * self.model.cfg.epoch,
            initial=steps * status["epoch_id"],
            desc="training",
            unit="step",
            dynamic_ncols=True,
            mininterval=2,
            disable=None,
        )

    def on_step_end(self, status):
        if status["mode"] == "train":
            loss = status["training_staus"].meters["loss"].avg
            self._bar.set_postfix_str(f"epoch {status['epoch_id'] + 1} loss {loss:.3f}{self._ap}", False)
            self._bar.update()

    def on_epoch_end(self, status):
        if status["mode"] == "eval":
            results = self.model._metrics[0].get_results()
            if "bbox" in results:
                self._ap = f" AP50 {results['bbox'][1]:.3f}"

    def on_train_end(self, status):
        self._bar.close()


class History(Callback):
    """Writes ``history.jsonl`` beside the checkpoints: one record each ``log_iter`` steps and evaluation.

    A step's record has epoch, step, lr and the losses; an evaluation's has epoch, ap and ap50.
    """

    def __init__(self, trainer):
        super().__init__(trainer)
        cfg = trainer.cfg
        self._path = os.path.join(cfg.save_dir, cfg.filename, "history.jsonl")

    def on_train_begin(self, status):
        os.makedirs(os.path.dirname(self._path), exist_ok=True)
        if status["epoch_id"] == 0 and os.path.exists(self._path):
            os.replace(self._path, self._path + ".previous")

    def _write(self, record):
        with open(self._path, "a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    def on_step_end(self, status):
        if status["mode"] != "train" or status["step_id"] % self.model.cfg.log_iter:
            return
        meters = status["training_staus"].meters
        record = {
            "epoch": status["epoch_id"],
            "step": status["step_id"],
            "steps_per_epoch": status["steps_per_epoch"],
            "lr": float(status["learning_rate"]),
        }
        record.update({name: float(meters[name].median) for name in LOGGED if name in meters})
        self._write(record)

    def on_epoch_end(self, status):
        if status["mode"] != "eval":
            return
        results = self.model._metrics[0].get_results() if self.model._metrics else {}
        if "bbox" in results:
            ap, ap50 = (float(v) for v in results["bbox"][:2])
            self._write({"epoch": status["epoch_id"], "ap": ap, "ap50": ap50})
