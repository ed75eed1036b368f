"""What is seen of a training run: a progress bar and a history file."""

import json
import os

from ppdet.engine.callbacks import Callback
from tqdm import tqdm

from .checkpoints.set_folder import output_folder

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
HISTORY = "history.jsonl"


def history_path(cfg):
    """Where a run's history lies, beside its checkpoints."""
    return os.path.join(output_folder(cfg), HISTORY)


def read_history(path):
    """The records of a history, oldest first; without the line that a kill has cut, and [] without a file."""
    records = []
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            for line in file:
                try:
                    records.append(json.loads(line))
                except ValueError:
                    break
    return records


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

    def on_go_back(self, status):
        self._bar.n = status["steps_per_epoch"] * status["epoch_id"]

    def on_step_end(self, status):
        if status["mode"] == "train":
            # The loss waits for the device, so it is read when the bar is drawn, not in every step.
            if self._bar.update():
                loss = status["training_staus"].meters["loss"].avg
                self._bar.set_postfix_str(f"epoch {status['epoch_id'] + 1} loss {loss:.3f}{self._ap}")

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
        self._path = history_path(trainer.cfg)

    def on_train_begin(self, status):
        os.makedirs(os.path.dirname(self._path), exist_ok=True)
        if not os.path.exists(self._path):
            return
        if status["epoch_id"] == 0:
            os.replace(self._path, self._path + ".previous")
        resumed = self.model.resumed
        if resumed and not resumed["evaluated"]:
            self._cut(status["epoch_id"] - 1, "ap")
        self._cut(status["epoch_id"])

    def on_go_back(self, status):
        self._cut(status["epoch_id"])

    def _cut(self, epoch, having="epoch"):
        """Drops the records of an epoch and later ones: they are of a course that was left."""
        records = read_history(self._path)
        kept = [r for r in records if r["epoch"] < epoch or having not in r]
        if len(kept) < len(records):
            with open(self._path + ".new", "w", encoding="utf-8") as file:
                file.writelines(json.dumps(record) + "\n" for record in kept)
            os.replace(self._path + ".new", self._path)

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
