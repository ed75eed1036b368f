"""PaddleDetection's trainer with the gaps closed."""

import os

import paddle.distributed as dist
from ppdet.engine import Trainer as PaddleDetectionTrainer
from ppdet.engine.callbacks import Checkpointer, ComposeCallback, LogPrinter
from ppdet.utils.logger import setup_logger

from .callbacks import History, ProgressBar
from .checkpoint import check_fits, load_pretrained
from .learning_rate import linear_scaling_advice
from .rep_optimizer import check_optimizer

logger = setup_logger("ppdet.engine")


class Trainer(PaddleDetectionTrainer):
    """Trains, evaluates and predicts as PaddleDetection's trainer does, and besides

    - refuses a checkpoint that fits in part, unless the config says ``pretrain_strict: false``, and a
      resumed one in any case;
    - says so when the learning rate does not fit the total batch size;
    - writes ``history.jsonl``, and with ``progress_bar: true`` shows a bar instead of log lines.

    Args:
        cfg: from :func:`ppdet_ext.config.load_config`.
        mode (str): train, eval or test.

    Raises:
        ValueError: a training set with fewer images than a step takes, or with more classes than the model;
            an optimizer that can't train ``rep_block: repopt``.
    """

    def __init__(self, cfg, mode="train"):
        super().__init__(cfg, mode)
        if self.mode == "train":
            self._check_training_set()
            check_optimizer(self.model, self.optimizer)
        if self.mode == "train" and dist.get_rank() == 0:
            advice = linear_scaling_advice(
                self.cfg.LearningRate["base_lr"],
                self.cfg.TrainReader["batch_size"],
                dist.get_world_size(),
                self.cfg.get("lr_reference"),
            )
            if advice:
                logger.warning(advice)

    def _check_training_set(self):
        # PaddleDetection would write an untrained checkpoint, and take class 5 of 5 for one of the next cell.
        if len(self.loader) < 1:
            raise ValueError(
                f"{self.dataset.get_anno()}: {len(self.dataset)} images make no step of "
                f"{dist.get_world_size()} x {self.cfg.TrainReader['batch_size']} images; lower "
                "TrainReader.batch_size"
            )
        classes = getattr(self.dataset, "catid2clsid", None) or getattr(self.dataset, "cname2cid", None) or {}
        if len(classes) > self.cfg.num_classes:
            raise ValueError(
                f"{self.dataset.get_anno()}: {len(classes)} classes, but num_classes is "
                f"{self.cfg.num_classes}; set num_classes: {len(classes)}"
            )

    def _init_metrics(self, validate=False):
        if self.mode == "train" and validate and not self.cfg.get("output_eval"):
            # Beside the checkpoints; PaddleDetection drops the boxes of an evaluation where one stands.
            self.cfg["output_eval"] = os.path.join(self.cfg.save_dir, self.cfg.filename)
            os.makedirs(self.cfg["output_eval"], exist_ok=True)
        super()._init_metrics(validate)

    def _init_callbacks(self):
        super()._init_callbacks()
        if self.mode != "train" or dist.get_rank() != 0:
            return
        callbacks = list(self._callbacks)
        for callback in callbacks:
            if isinstance(callback, Checkpointer):
                # Where 'weights:' of every config looks; PaddleDetection's develop writes a folder above.
                callback.save_dir = os.path.join(self.cfg.save_dir, self.cfg.filename)
        if self.cfg.get("progress_bar"):
            callbacks = [c for c in callbacks if not isinstance(c, LogPrinter)] + [ProgressBar(self)]
        self._callbacks = callbacks + [History(self)]
        self._compose_callback = ComposeCallback(self._callbacks)

    def load_weights(self, weights, *args, **kwargs):
        """Loads ``weights`` before training, evaluation or prediction; the last two take no partial load."""
        if self.is_loaded_weights:
            return
        self.start_epoch = 0
        strict = self.mode != "train" or self.cfg.get("pretrain_strict", True)
        load_pretrained(self.model, weights, strict=strict, say=logger.warning)

    def resume_weights(self, weights):
        """Goes on with the run that wrote ``weights``: its parameters, optimiser and averaged weights."""
        check_fits(self.model, weights)
        root = weights[: -len(".pdparams")] if weights.endswith(".pdparams") else weights
        if not os.path.exists(root + ".pdopt"):
            logger.warning(f"{root}.pdopt is missing: the optimiser starts afresh, at the first epoch")
        super().resume_weights(weights)
        if self.start_epoch >= self.end_epoch:
            logger.warning(
                f"{weights}: its run is complete ({self.start_epoch} of {self.end_epoch} epochs); "
                f"to train on, raise it, for example with -o epoch={2 * self.end_epoch}"
            )
