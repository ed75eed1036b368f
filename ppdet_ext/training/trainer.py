"""PaddleDetection's trainer with the gaps closed."""

import os

import paddle.distributed as dist
from ppdet.engine import Trainer as PaddleDetectionTrainer
from ppdet.engine.callbacks import Checkpointer, ComposeCallback, LogPrinter
from ppdet.utils.logger import setup_logger

from .auto_schedule import fill_in, handed_over, is_pretrained, optimizer_type
from .best_boxes import BestBoxes
from .callbacks import History, ProgressBar
from .checkpoints.loading import load_pretrained
from .checkpoints.resume import resume
from .checkpoints.run_record import config_as_run, record
from .checkpoints.set_folder import output_folder
from .checkpoints.writer import SetWriter, check_output
from .early_stopping import EarlyStopping
from .ema import ModelEMA
from .learning_rate import rate_advice, reference_rate
from .loop import TrainingLoop
from .preflight import check_data, check_loaded
from .recipe import apply_recipe
from .rep_optimizer import check_optimizer
from .seeds import run_seed
from .sharded_eval import evaluate_shared, is_shared, leave_own_batches
from .test_time_views import TestTimeViews

logger = setup_logger("ppdet.engine")


class Trainer(PaddleDetectionTrainer):
    """Trains, evaluates and predicts as PaddleDetection's trainer does, and besides

    - refuses datasets that would train wrongly, see :mod:`ppdet_ext.training.preflight`;
    - refuses a checkpoint that fits in part, unless the config says ``pretrain_strict: false`` or a training
      starts from one that differs in its classes alone, and a resumed one in any case;
    - fills in what the config leaves at ``auto``, and says so when the learning rate does not fit the total
      batch size;
    - freezes, recomputes, weights classes and stops early as the config says;
    - evaluates and predicts with the views of ``test_time_augmentation``;
    - writes ``history.jsonl``, and with ``progress_bar: true`` shows a bar instead of log lines.

    Args:
        cfg: from :func:`ppdet_ext.config.load_config`.
        mode (str): train, eval or test.

    Raises:
        ValueError: a dataset that would train wrongly, or with fewer images than a step takes; an optimizer
            that can't train ``rep_block: repopt``; a line of the recipe that can't be put into effect.
    """

    def __init__(self, cfg, mode="train"):
        if mode == "train":
            check_data(cfg)
        filled_in, dataset = fill_in(cfg) if mode == "train" else (None, None)
        self.config_as_run = config_as_run(cfg)
        self._views = TestTimeViews(cfg, self)
        with self._views.of_reader("EvalReader"), handed_over(cfg, dataset):
            super().__init__(cfg, mode)
        if self.mode == "eval":
            self._views.attach()
        if self.mode == "train":
            check_loaded(self.dataset, self.loader, self.cfg)
            apply_recipe(self)
            check_optimizer(self.model, self.optimizer)
            self.resumed, self.attempt = None, 0
            self.run = record(self, self.config_as_run, run_seed(self.cfg.get("seed")))
        if self.use_ema:
            self.ema = ModelEMA.from_config(self.cfg, self.model)
        if self.mode == "train" and dist.get_rank() == 0:
            self._speak(filled_in)

    def _speak(self, filled_in):
        cfg = self.cfg
        if filled_in:
            logger.info(filled_in)
        if self.use_amp and not any(cfg.get(f"use_{device}") for device in ("gpu", "npu", "mlu", "xpu")):
            logger.warning("amp: Paddle has no mixed precision on the CPU; this training is in float32")
        advice = rate_advice(
            cfg.LearningRate["base_lr"],
            cfg.TrainReader["batch_size"],
            dist.get_world_size(),
            reference_rate(cfg.get("lr_reference"), is_pretrained(cfg)),
            optimizer_type(cfg),
        )
        if advice:
            logger.warning(advice)

    def _init_metrics(self, validate=False):
        if self.mode == "train" and validate and not self.cfg.get("output_eval"):
            # Beside the checkpoints; PaddleDetection drops the boxes of an evaluation where one stands.
            self.cfg["output_eval"] = output_folder(self.cfg)
            os.makedirs(self.cfg["output_eval"], exist_ok=True)
        super()._init_metrics(validate)

    def _init_callbacks(self):
        super()._init_callbacks()
        if self.mode != "train" or dist.get_rank() != 0:
            return
        callbacks = [callback for callback in self._callbacks if not isinstance(callback, Checkpointer)]
        if self.cfg.get("progress_bar"):
            callbacks = [c for c in callbacks if not isinstance(c, LogPrinter)] + [ProgressBar(self)]
        callbacks.append(History(self))
        if self.cfg.get("early_stop_epochs") is not None:
            callbacks.append(EarlyStopping(self, self.cfg["early_stop_epochs"]))
        writer = SetWriter(self)
        if self.cfg.get("report", True) and self.cfg.metric == "COCO":
            callbacks.append(BestBoxes(self, writer))
        # Last: what its set says of an epoch, the others have done.
        self._callbacks = [*callbacks, writer]
        self._compose_callback = ComposeCallback(self._callbacks)

    def train(self, validate=False):
        """Trains to the last epoch; with ``validate`` evaluates after each snapshot."""
        if self.cfg.get("early_stop_epochs") is not None and not validate:
            raise ValueError("early_stop_epochs: nothing is evaluated to stop by; add --eval")
        if dist.get_rank() == 0:
            check_output(self)
        self.loop = TrainingLoop(self, validate)
        self.loop.run()

    def evaluate(self):
        """Evaluates; under ``paddle.distributed.launch`` every process takes its share of the batches."""
        if not is_shared(self):
            super().evaluate()
            return
        leave_own_batches(self.loader)
        self._eval_with_loader(self.loader)

    def _eval_with_loader(self, loader):
        if is_shared(self):
            evaluate_shared(self, loader)
        else:
            super()._eval_with_loader(loader)

    def predict(self, *args, **kwargs):
        """Detects in image files and draws what is found; see PaddleDetection's."""
        self._views.attach()
        with self._views.of_reader("TestReader"):
            return super().predict(*args, **kwargs)

    def slice_predict(self, *args, **kwargs):
        """As :meth:`predict`, on overlapping tiles of each image."""
        self._views.attach()
        with self._views.of_reader("TestReader"):
            return super().slice_predict(*args, **kwargs)

    def load_weights(self, weights, *args, **kwargs):
        """Loads ``weights`` before training, evaluation or prediction; the last two take no partial load."""
        if self.is_loaded_weights:
            return
        self.start_epoch = 0
        trains = self.mode == "train"
        strict = not trains or self.cfg.get("pretrain_strict", True)
        load_pretrained(self.model, weights, strict=strict, say=logger.warning, new_classes=trains)

    def resume_weights(self, weights):
        """Goes on with the run that wrote ``weights``; False if 'auto' finds none. See :func:`resume`."""
        return resume(self, weights)
