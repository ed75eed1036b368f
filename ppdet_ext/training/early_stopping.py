"""The end of a training that gets no better."""

from ppdet.engine.callbacks import Callback

from .callbacks import history_path, read_history


class EarlyStopping(Callback):
    """Ends a training after epochs without a better AP; a resumed one remembers what its history says.

    As long as AP is 0, the training has not yet begun to show anything, and goes on.

    Args:
        trainer: with the evaluations' metrics; its ``stop_training`` is set to the reason.
        patience (int): epochs since the best evaluation.

    Raises:
        ValueError: a patience that is no number of epochs.
    """

    def __init__(self, trainer, patience):
        super().__init__(trainer)
        if type(patience) is not int or patience < 1:
            raise ValueError(f"early_stop_epochs is {patience!r}; give a whole number of epochs")
        self._patience = patience
        self._best = None

    def on_train_begin(self, status):
        self._best = None
        for record in read_history(history_path(self.model.cfg)):
            # Later epochs are of a course that a resumed training has left.
            if "ap" in record and record["epoch"] < status["epoch_id"]:
                self._judge(record["epoch"], record["ap"])

    def on_go_back(self, status):
        self.on_train_begin(status)

    def on_epoch_end(self, status):
        if status["mode"] != "eval":
            return
        results = self.model._metrics[0].get_results() if self.model._metrics else {}
        if "bbox" not in results:
            return
        epoch, ap = status["epoch_id"], float(results["bbox"][0])
        self._judge(epoch, ap)
        best_epoch, best = self._best
        if best > 0 and epoch - best_epoch >= self._patience:
            self.model.stop_training = (
                f"AP has not risen above {best:.3f} since epoch {best_epoch} (early_stop_epochs: "
                f"{self._patience})"
            )

    def _judge(self, epoch, ap):
        if self._best is None or ap > self._best[1]:
            self._best = epoch, ap
