"""Writing of checkpoint sets in the course of a training."""

import os
import shutil

import paddle
import yaml
from ppdet.engine.callbacks import Checkpointer
from ppdet.utils.logger import setup_logger

from . import run_record
from .run_state import collect, meters
from .set_folder import CheckpointFolder, output_folder

logger = setup_logger("ppdet.engine")

MEGABYTE = 2**20
# Tensors of a parameter's size that an optimizer keeps.
KEPT_BY_OPTIMIZERS = {"SGD": 0, "Momentum": 1, "LarsMomentum": 1, "Adagrad": 1, "RMSProp": 3}


def check_output(trainer):
    """Refuses (ValueError) an output folder that nothing can be written to, or without room for one set."""
    folder = CheckpointFolder(output_folder(trainer.cfg))
    probe = os.path.join(folder.path, ".probe")
    try:
        os.makedirs(folder.path, exist_ok=True)
        with open(probe, "wb") as file:
            file.write(b"0")
        os.remove(probe)
        free = shutil.disk_usage(folder.path).free
    except OSError as error:
        raise ValueError(
            f"{folder.path}: checkpoints can't be written there ({error.strerror}); give another folder with "
            "-o save_dir=FOLDER"
        ) from None
    weights = sum(value.size * value.element_size() for value in trainer.model.state_dict().values())
    kept = KEPT_BY_OPTIMIZERS.get(type(trainer.optimizer).__name__, 2)
    needed = weights * (1 + kept + (2 if trainer.use_ema else 0))
    if free < needed:
        raise ValueError(
            f"{folder.path}: {free / MEGABYTE:.0f} MB are free, a checkpoint takes about "
            f"{needed / MEGABYTE:.0f} MB; make room, or give another folder with -o save_dir=FOLDER"
        )


class SetWriter(Checkpointer):
    """Writes a checkpoint set at each snapshot, under PaddleDetection's names as well.

    ``EPOCH`` or ``model_final`` and, after an evaluation that was the best so far, ``best_model``. With
    ``keep_checkpoints: N`` the sets before the last N are deleted, but not the best one, and not before a
    newer one is whole; 0 keeps all, as PaddleDetection does.

    A set that can't be written is said at once and the training goes on; the next epoch's end tries again. A
    training whose last set could not be written ends as a failure.

    Args:
        trainer: whose output folder it is.

    Raises:
        ValueError: ``keep_checkpoints`` is no number of sets.
    """

    def __init__(self, trainer):
        super().__init__(trainer)
        self.save_dir = output_folder(trainer.cfg)
        self.folder = CheckpointFolder(self.save_dir)
        self._keep = trainer.cfg.get("keep_checkpoints", 0)
        if type(self._keep) is not int or self._keep < 0:
            raise ValueError(f"keep_checkpoints is {self._keep!r}; give a number of checkpoints, 0 for all")
        self._newest = None
        self._failure = None

    def on_train_begin(self, status):
        trainer = self.model
        self.folder.clean()
        retired = self.folder.retire(trainer.start_epoch)
        if retired:
            logger.info(
                f"{retired} checkpoint sets of an earlier run are in {self.folder.path}.previous now, until "
                "the next training begins"
            )
        if trainer.resumed:
            self.best_ap = trainer.resumed.get("best_ap", self.best_ap)
        for one in self.folder.sets()[0][-1:]:
            # What a kill between a set and its names has left undone.
            self._newest = one
            for name in one.facts["names"]:
                self.folder.publish(one, name)

    def on_epoch_end(self, status):
        if status["mode"] == "train":
            epoch, cfg = status["epoch_id"], self.model.cfg
            last = epoch == cfg.epoch - 1
            if last or self._failure or (epoch + 1) % cfg.snapshot_epoch == 0:
                self._attempt(self._save, status, "model_final" if last else str(epoch))
        elif status.get("save_best_model"):
            self._judge(status)

    def on_train_end(self, status):
        if getattr(self.model, "stop_training", None) and self._newest is not None:
            self._attempt(self._note, ["model_final"])
        if self._failure:
            raise OSError(
                f"the last checkpoint is missing: {self._failure}; the last good one is "
                f"{self._newest.path if self._newest else 'none'}"
            )

    def _attempt(self, write, *arguments):
        try:
            write(*arguments)
            self._failure = None
        except OSError as error:
            self._failure = f"{self.save_dir}: {error.strerror or error}"
            good = f"the last good one is {self._newest.path}" if self._newest else "there is none yet"
            logger.error(
                f"checkpoint not written: {self._failure}; {good}. The training goes on and tries again "
                "after the next epoch"
            )

    def _save(self, status, name):
        trainer, epoch = self.model, status["epoch_id"]
        states = collect(trainer, trainer.loop.step.scaler, status.get("weight"))
        files = {file: lambda path, state=state: paddle.save(state, path) for file, state in states.items()}
        files["config.yml"] = self._write_config
        facts = {
            "names": [name],
            "evaluated": False,
            "best_ap": float(self.best_ap),
            "run": trainer.run,
            "attempt": trainer.attempt,
            "ema": {"step": trainer.ema.step, "epoch": trainer.ema.epoch} if trainer.use_ema else None,
            "step": (epoch + 1) * status["steps_per_epoch"],
            "meters": meters(status),
            "versions": run_record.versions(),
        }
        self._newest = self.folder.write(epoch, files, facts)
        self.folder.publish(self._newest, name)
        logger.info(f"Save checkpoint: {self._newest.path} (as {name})")
        self._prune()

    def _write_config(self, path):
        with open(path, "w", encoding="utf-8") as file:
            yaml.safe_dump(self.model.config_as_run, file, sort_keys=False, allow_unicode=True)

    def _judge(self, status):
        """Notes an evaluation in the newest set, and makes it the best one where it is."""
        names = None
        for metric in self.model._metrics:
            results = metric.get_results()
            known = ("pose3d", "bbox", "keypoint", "mask")
            key = self.model.cfg.get("target_metrics") or next((k for k in known if k in results), None)
            if key not in results:
                logger.warning(
                    "the evaluation found nothing to measure; the best checkpoint stays what it is"
                )
                continue
            value = results[key][0]
            if value >= self.best_ap:
                self.best_ap = value
                names = ["best_model"]
            measure = "mpjpe" if key == "pose3d" else "ap"
            logger.info(f"Best test {key} {measure} is {abs(self.best_ap):0.3f}.")
        if self._newest is not None and self._newest.epoch == status["epoch_id"]:
            self._attempt(self._note, names or [])

    def _note(self, names):
        one = self._newest
        all_names = list(dict.fromkeys(one.facts["names"] + names))
        one.update(evaluated=True, best_ap=float(self.best_ap), names=all_names)
        for name in names:
            self.folder.publish(one, name)
            logger.info(f"{name} is the checkpoint of epoch {one.epoch}")

    def _prune(self):
        if not self._keep:
            return
        found, _ = self.folder.sets()
        best = [one for one in found if "best_model" in one.facts["names"]][-1:]
        for one in found[: -self._keep]:
            if one not in best:
                self.folder.withdraw(one)
