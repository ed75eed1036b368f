"""What an evaluation found, kept for whoever asked for it, and how far it is."""

from ppdet.engine.callbacks import Callback
from tqdm import tqdm

from .coco import STATS


class EvaluationResult(Callback):
    """Keeps the figures of a trainer's evaluation, which the trainer itself only logs; shows a bar.

    Attributes:
        document (dict): 'images' (int), 'seconds' (float) and 'metrics': of each kind ('bbox') the figures of
            COCO's summary by name, 0..1 or None where there is nothing to be found; those of another metric
            in its order.
    """

    def __init__(self, trainer):
        super().__init__(trainer)
        self.document = {}
        self._bar = None

    def on_epoch_begin(self, status):
        self._bar = tqdm(total=len(self.model.loader), desc="evaluate", unit="batch", disable=None)

    def on_step_end(self, status):
        self._bar.update()

    def on_epoch_end(self, status):
        self._bar.close()
        metrics = {}
        for metric in self.model._metrics:
            for kind, values in metric.get_results().items():
                values = [None if value == -1 else float(value) for value in values]
                metrics[kind] = dict(zip(STATS, values)) if len(values) == len(STATS) else values
        self.document = {
            "images": int(status["sample_num"]),
            "seconds": float(status["cost_time"]),
            "metrics": metrics,
        }
