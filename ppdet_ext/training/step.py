"""One step of a training: forward, backward, update."""

import contextlib

import paddle
from paddle.distributed import fleet
from paddle.distributed.fleet.utils.hybrid_parallel_util import fused_allreduce_gradients
from ppdet.engine.export_utils import apply_to_static

from .nan_guard import NanGuard

ACCELERATORS = ("gpu", "npu", "mlu", "xpu")
# Megabytes of gradients that travel together: Paddle's.
COMM_BUFFER = 25


class TrainStep:
    """What a training does with a batch, in the precision and the distribution that its config asks for.

    Args:
        trainer: that owns ``model``, ``optimizer`` and ``lr``; its optimizer is wrapped for fleet.

    Attributes:
        model (nn.Layer): that takes batches: the trainer's, converted and wrapped.
    """

    def __init__(self, trainer):
        cfg = trainer.cfg
        self._trainer = trainer
        accelerated = any(cfg.get(f"use_{device}") for device in ACCELERATORS)
        several = trainer._nranks > 1
        model = trainer.model
        if cfg.get("to_static"):
            model = apply_to_static(cfg, model)
        if several and accelerated and cfg.get("norm_type") == "sync_bn":
            model = paddle.nn.SyncBatchNorm.convert_sync_batchnorm(model)
        if cfg.get("fleet"):
            model = fleet.distributed_model(model)
            trainer.optimizer = fleet.distributed_optimizer(trainer.optimizer)
        elif several:
            model = paddle.DataParallel(
                model,
                find_unused_parameters=cfg.get("find_unused_parameters", False),
                comm_buffer_size=cfg.get("comm_buffer_size", COMM_BUFFER),
            )
        self.model = model
        self._guard = NanGuard(trainer)
        self._exchanges = isinstance(model, paddle.DataParallel) and cfg.get(
            "use_fused_allreduce_gradients", False
        )
        self.scaler = None
        self._precision = contextlib.nullcontext
        if trainer.use_amp:
            scale = cfg.get("init_loss_scaling", 1024)
            self.scaler = paddle.amp.GradScaler(enable=accelerated, init_loss_scaling=scale)
            self._precision = lambda: paddle.amp.auto_cast(
                enable=accelerated,
                custom_white_list=trainer.custom_white_list,
                custom_black_list=trainer.custom_black_list,
                level=trainer.amp_level,
            )

    def __call__(self, data):
        """Takes a batch and changes the parameters.

        Returns:
            dict[str, Tensor] | None: the model's outputs, 'loss' among them; None where the step was skipped.

        Raises:
            NonFinite, Reload: see :class:`NanGuard`.
        """
        trainer = self._trainer
        self._guard.before()
        with self.model.no_sync() if self._exchanges else contextlib.nullcontext():
            with self._precision():
                outputs = self.model(data)
            loss = outputs["loss"] if self.scaler is None else self.scaler.scale(outputs["loss"])
            loss.backward()
        if self._exchanges:
            fused_allreduce_gradients(list(self.model.parameters()), None)
        if not self._guard.passes(data, outputs, gradients=self.scaler is None):
            outputs = None
        elif self.scaler is None:
            trainer.optimizer.step()
        else:
            self.scaler.minimize(trainer.optimizer, loss)
        trainer.status["learning_rate"] = trainer.optimizer.get_lr()
        trainer.lr.step()
        if trainer.cfg.get("unstructured_prune"):
            trainer.pruner.step()
        trainer.optimizer.clear_grad()
        return outputs
