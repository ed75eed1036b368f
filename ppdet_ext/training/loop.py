"""The course of a training: epochs of steps, snapshots and evaluations.

Callbacks are called in PaddleDetection's order with its keys in ``status``, so that its own (VisualDL, wandb)
work here as there.
"""

import contextlib
import copy
import time

import paddle
import paddle.distributed as dist
from ppdet.core.workspace import create
from ppdet.utils import profiler, stats
from ppdet.utils.logger import setup_logger

from .checkpoints.resume import go_back
from .checkpoints.run_state import evaluated_weights, restore_meters
from .epoch_reader import EpochReader
from .loss_meters import LossMeters
from .nan_guard import NonFinite, Reload
from .sharded_eval import is_shared, leave_own_batches
from .step import TrainStep

logger = setup_logger("ppdet.engine")


class TrainingLoop:
    """Trains what a trainer holds, from its ``start_epoch`` to the config's ``epoch``.

    A callback ends the training early, after the epoch, by setting ``trainer.stop_training`` to the reason;
    in distributed training one process's word is enough.

    Args:
        trainer: with the config, the model, the optimizer, the reader and the callbacks.
        validate (bool): evaluate after each snapshot.

    Attributes:
        step (TrainStep): what is done with a batch.
    """

    def __init__(self, trainer, validate=False):
        self._trainer = trainer
        self._validate = validate
        self._callbacks = trainer._compose_callback
        self._meters = None
        if validate:
            trainer.cfg["EvalDataset"] = trainer.cfg.EvalDataset = create("EvalDataset")()
        self.step = TrainStep(trainer)
        self._reader = EpochReader(trainer.loader, trainer.run["seed"])

    def run(self):
        """Trains to the end, or to the epoch after which a callback stopped it.

        Raises:
            NonFinite: a step with NaN or infinity ended it, by the config's ``nan_policy``.
        """
        trainer, status = self._trainer, self._trainer.status
        self._begin()
        epoch = trainer.start_epoch
        while epoch < trainer.cfg.epoch:
            try:
                self._train_epoch(epoch)
            except Reload as event:
                epoch = self._go_back(str(event))
                continue
            self._finish_epoch(epoch)
            if self._stopped():
                break
            epoch += 1
        self._callbacks.on_train_end(status)

    def _begin(self):
        trainer, cfg, resumed = self._trainer, self._trainer.cfg, self._trainer.resumed
        status = trainer.status
        status.update(
            epoch_id=trainer.start_epoch,
            step_id=0,
            steps_per_epoch=len(trainer.loader),
            batch_time=stats.SmoothedValue(cfg.log_iter, fmt="{avg:.4f}"),
            data_time=stats.SmoothedValue(cfg.log_iter, fmt="{avg:.4f}"),
            training_staus=LossMeters(cfg.log_iter),
        )
        if cfg.get("print_flops"):
            trainer._flops(create("TrainReader")(trainer.dataset, cfg.worker_num))
        self._callbacks.on_train_begin(status)
        if resumed:
            if self.step.scaler and resumed["scaler"]:
                self.step.scaler.load_state_dict(resumed["scaler"])
            self._meters = resumed["meters"]
            if self._validate and not resumed["evaluated"]:
                self._evaluate_resumed(resumed)

    def _train_epoch(self, epoch):
        trainer, status = self._trainer, self._trainer.status
        status.update(mode="train", epoch_id=epoch)
        self._callbacks.on_epoch_begin(status)
        batches = self._reader.batches(epoch, trainer.attempt)
        self.step.model.train()
        applied = 0
        tic = time.time()
        for step, data in enumerate(batches):
            status["data_time"].update(time.time() - tic)
            status["step_id"] = step
            profiler.add_profiler_step(trainer.cfg.get("profiler_options"))
            self._callbacks.on_step_begin(status)
            data["epoch_id"] = epoch
            outputs = self.step(data)
            if outputs is not None:
                applied += 1
                if trainer._nranks < 2 or trainer._local_rank == 0:
                    self._restore_meters(outputs)
                    status["training_staus"].update(outputs)
                status["batch_time"].update(time.time() - tic)
                self._callbacks.on_step_end(status)
                if trainer.use_ema:
                    trainer.ema.update()
            tic = time.time()
        if not applied:
            raise NonFinite(
                f"epoch {epoch}: every step was skipped (nan_policy: skip); the network has diverged. Lower "
                "LearningRate.base_lr and go on from an earlier checkpoint: -r PATH"
            )
        if trainer.cfg.get("unstructured_prune"):
            trainer.pruner.update_params()

    def _restore_meters(self, outputs):
        """At the first step after a resumption: the losses of the steps before it, of those it still has."""
        if self._meters is not None:
            saved = {name: values for name, values in self._meters.items() if name in outputs}
            restore_meters(self._trainer.status, saved)
            self._meters = None

    def _finish_epoch(self, epoch):
        """Snapshot and evaluation, both with the averaged weights where there are any."""
        trainer, status = self._trainer, self._trainer.status
        writes = trainer._nranks < 2 or trainer._local_rank == 0 or trainer.cfg.metric == "Pose3DEval"
        due = (epoch + 1) % trainer.cfg.snapshot_epoch == 0 or epoch == trainer.end_epoch - 1
        evaluates = self._validate and (writes or is_shared(trainer))
        if not (due and (writes or evaluates)):
            self._callbacks.on_epoch_end(status)
            return
        with self._holding(trainer.ema.apply() if trainer.use_ema else None):
            self._callbacks.on_epoch_end(status)
            if evaluates:
                self._evaluate()

    @contextlib.contextmanager
    def _holding(self, average):
        """The model holds the average, if there is one, and ``status['weight']`` what is trained."""
        trainer, status = self._trainer, self._trainer.status
        if average is None:
            yield
            return
        status["weight"] = copy.deepcopy(trainer.model.state_dict())
        trainer.model.set_dict(average)
        yield
        trainer.model.set_dict(status.pop("weight"))

    def _evaluate(self):
        trainer, cfg = self._trainer, self._trainer.cfg
        if not hasattr(trainer, "_eval_loader"):
            if cfg.metric == "VOC":
                cfg["EvalReader"]["collate_batch"] = False
            sampler = None
            if cfg.metric != "Pose3DEval":
                sampler = paddle.io.BatchSampler(cfg.EvalDataset, batch_size=cfg.EvalReader["batch_size"])
            trainer._eval_dataset, trainer._eval_batch_sampler = cfg.EvalDataset, sampler
            trainer._eval_loader = create("EvalReader")(
                cfg.EvalDataset, cfg.worker_num, batch_sampler=sampler
            )
            if is_shared(trainer):
                leave_own_batches(trainer._eval_loader)
            if trainer._local_rank == 0 or not is_shared(trainer):
                trainer._init_metrics(validate=True)
            trainer._reset_metrics()
        with paddle.no_grad():
            trainer.status["save_best_model"] = True
            trainer._eval_with_loader(trainer._eval_loader)

    def _evaluate_resumed(self, resumed):
        """The evaluation that a run did not come to after the snapshot that is resumed."""
        trainer = self._trainer
        if trainer._nranks > 1 and trainer._local_rank != 0 and not is_shared(trainer):
            return
        trainer.status.update(mode="train", epoch_id=trainer.start_epoch - 1)
        with self._holding(evaluated_weights(resumed["root"]) if trainer.use_ema else None):
            self._evaluate()

    def _go_back(self, event):
        """The epoch at which the training goes on from its last good checkpoint."""
        trainer, status = self._trainer, self._trainer.status
        trainer.optimizer.clear_grad()
        attempt = trainer.attempt + 1
        one = go_back(trainer)
        if one is None:
            raise NonFinite(f"{event}; there is no checkpoint yet to go back to (nan_policy: reload)")
        trainer.attempt = attempt
        self._meters = trainer.resumed["meters"]
        status["epoch_id"] = trainer.start_epoch
        for callback in trainer._callbacks:
            if hasattr(callback, "on_go_back"):  # PaddleDetection's know of no such thing
                callback.on_go_back(status)
        logger.warning(
            f"{event}; back to {one.path}, epoch {trainer.start_epoch} begins anew with other random numbers "
            f"(return {attempt})"
        )
        return trainer.start_epoch

    def _stopped(self):
        """Whether a callback of any process has ended the training; every process has to ask."""
        trainer = self._trainer
        reason = getattr(trainer, "stop_training", None)
        stopped = bool(reason)
        if trainer._nranks > 1:
            flag = paddle.to_tensor([int(stopped)], dtype="int32")
            dist.all_reduce(flag)
            stopped = int(flag) > 0
        if reason:
            logger.info(f"training ends after epoch {trainer.status['epoch_id']}: {reason}")
        return stopped
