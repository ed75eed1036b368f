"""The moving average of a model's weights, in few operations."""

import math

import paddle
from ppdet.optimizer.utils import get_bn_running_state_names

__all__ = ["ModelEMA"]

# Values averaged at once. All of a small network; parts of a large one, which caches of CPUs can hold.
BUNDLE = 2**20
# Steps after which the 'exponential' rate has come within 1/e of its end: PaddleDetection's.
RAMP = 2000
KINDS = ("threshold", "normal", "exponential")


class _Bundle:
    """Some tensors of one dtype, averaged as one flat buffer.

    Args:
        tensors (dict[str, Tensor]): those of the model, which change in place.
    """

    def __init__(self, tensors):
        self.names = list(tensors)
        self.bind(tensors)
        self.zero()

    def bind(self, tensors):
        """Averages the values of these tensors from now on."""
        self._tensors = [tensors[name] for name in self.names]
        self._flat = [tensor.reshape([-1]) for tensor in self._tensors]

    def zero(self):
        self.average = paddle.zeros([sum(flat.shape[0] for flat in self._flat)], self._tensors[0].dtype)

    def values(self):
        """What the model holds now, as a new buffer [N]."""
        # Flat views are made once; a tensor that has been given other memory since then has a stale one.
        for place, (flat, tensor) in enumerate(zip(self._flat, self._tensors)):
            if flat.data_ptr() != tensor.data_ptr():
                self._flat[place] = tensor.reshape([-1])
        return paddle.concat(self._flat)

    def update(self, decay):
        # The operations of PaddleDetection in its order, so that every bit is the same.
        self.average.scale_(decay)
        self.average.add_(self.values().scale_(1 - decay))

    def join(self, state):
        """Takes the average from tensors by name."""
        flat = [state[name].astype(self.average.dtype).reshape([-1]) for name in self.names]
        self.average = paddle.concat(flat)

    def split(self, buffer):
        """A buffer [N] as tensors by name, copies."""
        parts = paddle.split(buffer, [flat.shape[0] for flat in self._flat])
        return {
            name: part.reshape(tensor.shape) for name, part, tensor in zip(self.names, parts, self._tensors)
        }


class ModelEMA:
    """``average = decay * average + (1 - decay) * weight``, as PaddleDetection's ModelEMA to the last bit.

    There each of some 400 tensors takes three operations a step; here a million values take four.

    Args:
        model (nn.Layer): whose state-dict is averaged.
        decay (float): of the average at its end.
        ema_decay_type (str): 'threshold' begins with ``min(decay, (1 + step) / (10 + step))``, 'exponential'
            with ``decay * (1 - exp(-(step + 1) / 2000))``, 'normal' with ``decay``.
        cycle_epoch (int): the average starts afresh after as many calls of :meth:`apply`; -1 for never.
        ema_black_list (list[str] | None): a name that holds one of these is not averaged, but taken from the
            model as it is.
        ema_filter_no_grad (bool): nor are parameters without gradient, other than BatchNorm's statistics.

    Attributes: ``step`` and ``epoch``, the updates and calls of :meth:`apply` since the start.

    Raises:
        ValueError: an unknown ``ema_decay_type``.
    """

    def __init__(
        self,
        model,
        decay=0.9998,
        ema_decay_type="threshold",
        cycle_epoch=-1,
        ema_black_list=None,
        ema_filter_no_grad=False,
    ):
        if ema_decay_type not in KINDS:
            raise ValueError(f"ema_decay_type '{ema_decay_type}' is none of {', '.join(KINDS)}")
        self.decay = decay
        self.ema_decay_type = ema_decay_type
        self.cycle_epoch = cycle_epoch
        self.step = self.epoch = 0
        weights = model.state_dict()
        self.ema_black_list = {name for name in weights if any(part in name for part in ema_black_list or ())}
        if ema_filter_no_grad:
            statistics = get_bn_running_state_names(model)
            self.ema_black_list |= {
                name
                for name, weight in model.named_parameters()
                if weight.stop_gradient and name not in statistics
            }
        self._names = list(weights)
        self._kept = {name: weights[name] for name in self.ema_black_list}
        with paddle.no_grad():
            self._bundles = list(_bundles(weights, self.ema_black_list))

    @classmethod
    def from_config(cls, cfg, model):
        """The average that a config's keys ask for: ``ema_decay``, the rest by their own names."""
        names = ("ema_decay_type", "cycle_epoch", "ema_black_list", "ema_filter_no_grad")
        options = {name: cfg[name] for name in names if name in cfg}
        return cls(model, decay=cfg.get("ema_decay", 0.9998), **options)

    @property
    def state_dict(self):
        """The average as it is, without correction of its start: tensors by name, in the model's order."""
        return self._state(lambda average: average)

    @paddle.no_grad()
    def _state(self, correct):
        # Not the model's own tensors: what is in a state has no gradient.
        found = {name: value.detach() for name, value in self._kept.items()}
        for bundle in self._bundles:
            found.update(bundle.split(correct(bundle.average)))
        for value in found.values():
            value.stop_gradient = True
        return {name: found[name] for name in self._names}

    def _decay(self, step):
        """How much of the average is left in update ``step``, counted from 0."""
        if self.ema_decay_type == "threshold":
            return min(self.decay, (1 + step) / (10 + step))
        if self.ema_decay_type == "exponential":
            return self.decay * (1 - math.exp(-(step + 1) / RAMP))
        return self.decay

    def reset(self):
        """Starts afresh."""
        self.step = self.epoch = 0
        for bundle in self._bundles:
            bundle.zero()

    @paddle.no_grad()
    def resume(self, state_dict, step=0):
        """Goes on from what :meth:`apply` gave after ``step`` updates, which is what checkpoints hold.

        PaddleDetection takes it for the average before correction, and corrects it twice.

        Args:
            state_dict (dict[str, Tensor]): where a name is missing, the average stays as it is.
            step (int): 0 starts afresh.
        """
        known = {**self._corrected(), **state_dict}
        for bundle in self._bundles:
            bundle.join(known)
            bundle.average.scale_(self._share(step))
        self.step = step

    @paddle.no_grad()
    def restore(self, state_dict, step, epoch):
        """Goes on from :attr:`state_dict`, ``step`` and ``epoch`` of another average, to the last bit."""
        for bundle in self._bundles:
            bundle.join(state_dict)
        self.step, self.epoch = step, epoch

    @paddle.no_grad()
    def update(self, model=None):
        """Takes the weights of this step in, of another model where one is given."""
        if model is not None:
            weights = model.state_dict()
            for bundle in self._bundles:
                bundle.bind(weights)
        decay = self._decay(self.step)
        for bundle in self._bundles:
            bundle.update(decay)
        self.step += 1

    def _share(self, step):
        """What the weights of the first ``step`` steps add up to in the average, which begins with zeros."""
        if self.ema_decay_type == "exponential":
            return 1.0
        return 1 - self._decay(step - 1) ** step if step else 0.0

    def _corrected(self):
        share = self._share(self.step) or 1.0
        return self._state(lambda average: average / share)

    def apply(self):
        """The averaged weights by name, for evaluation and checkpoints, as new tensors where averaged."""
        state = self._corrected()
        if self.step:
            self.epoch += 1
            if self.epoch == self.cycle_epoch:
                self.reset()
        return state


def _bundles(weights, excluded):
    """The weights that are averaged, in bundles of one dtype."""
    open_bundles, sizes = {}, {}
    for name, weight in weights.items():
        if name in excluded:
            continue
        tensors = open_bundles.setdefault(weight.dtype, {})
        size = sizes.get(weight.dtype, 0)
        if tensors and size + weight.size > BUNDLE:
            yield _Bundle(tensors)
            tensors = open_bundles[weight.dtype] = {}
            size = 0
        tensors[name] = weight
        sizes[weight.dtype] = size + weight.size
    for tensors in open_bundles.values():
        yield _Bundle(tensors)
