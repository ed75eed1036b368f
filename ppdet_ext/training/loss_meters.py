"""The losses of the last steps, read from the device when somebody looks at them."""

import paddle
from ppdet.utils.stats import SmoothedValue, TrainingStats


class LossMeters(TrainingStats):
    """PaddleDetection's TrainingStats without its wait for the device in every step.

    What :meth:`update` is given stays on the device until ``meters`` is asked for, which the log does every
    ``log_iter`` steps, or until as many steps wait as a meter holds; then all of it is read at once.

    Args:
        window_size (int): steps that a meter holds.
    """

    def __init__(self, window_size):
        self._waiting = []
        super().__init__(window_size)

    @property
    def meters(self):
        """dict[str, SmoothedValue] by the names of the first step's losses; None before it."""
        self._read()
        return self._meters

    @meters.setter
    def meters(self, meters):
        self._waiting.clear()
        self._meters = meters

    def update(self, stats):
        """Takes a step's losses in: tensors of one value by name."""
        if self._meters is None:
            self._meters = {name: SmoothedValue(self.window_size) for name in stats}
        self._waiting.append([stats[name].detach() for name in self._meters])
        if len(self._waiting) >= self.window_size:
            self._read()

    def _read(self):
        if not self._waiting:
            return
        values = iter(paddle.stack([_scalar(value) for step in self._waiting for value in step]).tolist())
        for step in self._waiting:
            for meter, _ in zip(self._meters.values(), step):
                meter.update(next(values))
        self._waiting.clear()


def _scalar(value):
    """[] float32."""
    value = value.reshape([])
    return value if value.dtype == paddle.float32 else value.astype("float32")
