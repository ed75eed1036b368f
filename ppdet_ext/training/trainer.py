"""PaddleDetection's trainer with the gaps closed."""
import paddle.distributed as dist
from ppdet.engine import Trainer as PaddleDetectionTrainer
from ppdet.engine.callbacks import ComposeCallback, LogPrinter
from ppdet.utils.logger import setup_logger

from .callbacks import History, ProgressBar
from .checkpoint import load_pretrained
from .learning_rate import linear_scaling_advice

logger = setup_logger("ppdet.engine")


class Trainer(PaddleDetectionTrainer):
    """Trains, evaluates and predicts as PaddleDetection's trainer does, and besides

    - refuses a checkpoint that fits in part, unless the config says ``pretrain_strict: false``;
    - says so when the learning rate does not fit the total batch size;
    - writes ``history.jsonl``, and with ``progress_bar: true`` shows a bar instead of log lines.

    Args:
        cfg: from :func:`ppdet_ext.config.load_config`.
        mode (str): train, eval or test.
    """

    def __init__(self, cfg, mode="train"):
        super().__init__(cfg, mode)
        if self.mode == "train" and dist.get_rank() == 0:
            advice = linear_scaling_advice(
                self.cfg.LearningRate["base_lr"],
                self.cfg.TrainReader["batch_size"],
                dist.get_world_size(),
                self.cfg.get("lr_reference"),
            )
            if advice:
                logger.warning(advice)

    def _init_callbacks(self):
        super()._init_callbacks()
        if self.mode != "train" or dist.get_rank() != 0:
            return
        callbacks = list(self._callbacks)
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
