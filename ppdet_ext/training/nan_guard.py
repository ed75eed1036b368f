"""What is done about NaN and infinity in a loss or a gradient: nothing of such a step reaches the weights."""

import os
import re

import numpy as np
import paddle
import paddle.distributed as dist
from paddle.nn.clip import _squared_l2_norm
from ppdet.utils.logger import setup_logger

from ppdet_ext.nearest import choice

logger = setup_logger("ppdet.engine")

POLICIES = ("stop", "skip", "reload")
CHECKS = ("gradients", "loss", "off")
# Steps skipped in a row, and returns to a checkpoint in one run, before the training stops after all.
SKIPS, RELOADS = 10, 3
# What forward passes change: statistics of BatchNorm, and ranges of quantised training.
MOVING = re.compile(r"\._(mean|variance)$|\._fake_quant_input\.")
# Names of a batch's images in a message.
SHOWN = 16


class NonFinite(ValueError):
    """A step with NaN or infinity ended the training; the message says which."""


class Reload(Exception):
    """A step with NaN or infinity sends the training back to its last good checkpoint."""


class NanGuard:
    """Looks at each step between backward and update.

    Loss, gradients and BatchNorm's statistics of all processes come down to one number, a sum of squares and
    sizes, read once a step, which is finite if they are. All processes so decide alike. (Normalisation hides
    a network that explodes: its loss may be finite when its statistics are no more.) ``nan_policy`` says what
    comes of a step that is not finite, whose update, average and statistics do not happen:

    - stop (the default): the training ends;
    - skip: it goes on with the next batch, up to ``nan_skip_limit`` (10) times in a row;
    - reload: it goes back to the last good checkpoint, up to ``nan_reload_limit`` (3) times in a run, and
      draws other random numbers from there. No rate or scale is changed.

    ``nan_check`` is gradients (the default), loss (not the gradients) or off. In mixed precision, gradients
    that overflow are the loss scaler's business.

    Args:
        trainer: with the config, the model and the training set.

    Raises:
        ValueError: a value that the config's keys don't take.
    """

    def __init__(self, trainer):
        cfg, model = trainer.cfg, trainer.model
        self._trainer = trainer
        self._policy = _one_of(cfg, "nan_policy", POLICIES)
        self._check = _one_of(cfg, "nan_check", CHECKS)
        self._skip_limit = _count(cfg, "nan_skip_limit", SKIPS)
        self._reload_limit = _count(cfg, "nan_reload_limit", RELOADS)
        self._skipped = 0
        self._kept = None
        self._weights = {name: w for name, w in model.named_parameters() if not w.stop_gradient}
        self._moving = {
            name: value
            for name, value in model.state_dict().items()
            if MOVING.search(name) and value.dtype == paddle.float32
        }

    def before(self):
        """Remembers the statistics that a forward pass changes, which a skipped step must not."""
        if self._check != "off" and self._policy == "skip":
            self._kept = self._statistics()

    def passes(self, data, outputs, gradients=True):
        """Whether the step may change anything.

        Args:
            data (dict): the batch.
            outputs (dict): of the model, 'loss' and its terms.
            gradients (bool): look at them, too, if the config says so.

        Raises:
            NonFinite: the policy is stop, or a limit is reached.
            Reload: the policy is reload.
        """
        if self._check == "off":
            return True
        gradients = gradients and self._check == "gradients"
        parts = [outputs["loss"].detach().astype("float32").reshape([1]).square()]
        if gradients:
            parts += [_squared_l2_norm(gradient).reshape([1]) for gradient in self._gradients().values()]
        if self._moving:
            parts.append(self._statistics().abs().sum().reshape([1]))
        total = paddle.add_n(parts)
        if self._trainer._nranks > 1:
            dist.all_reduce(total)
        if np.isfinite(float(total)):
            self._skipped = 0
            return True
        found = self._gather(self._describe(data, outputs, gradients))
        if not found:  # the sum has overflown, of values that are finite
            return True
        self._act(" | ".join(found))
        return False

    def _act(self, found):
        trainer = self._trainer
        status = trainer.status
        place = f"epoch {status['epoch_id']}, step {status['step_id']} of {status['steps_per_epoch']}"
        said = f"{place}: {found}"
        if self._policy == "skip" and self._skipped < self._skip_limit:
            self._skipped += 1
            self._restore_statistics()
            logger.warning(f"{said}; the step is skipped ({self._skipped} of {self._skip_limit} in a row)")
            return
        if self._policy == "reload" and trainer.attempt < self._reload_limit:
            raise Reload(said)
        why = {
            "stop": "nothing of this step was applied",
            "skip": f"the {self._skip_limit} steps before were skipped as well (nan_skip_limit)",
            "reload": f"the run went back {self._reload_limit} times before (nan_reload_limit)",
        }
        raise NonFinite(
            f"{said}; {why[self._policy]}; look at these images and their boxes, or lower "
            "LearningRate.base_lr, and go on with -r auto"
            + ("; nan_policy: skip leaves such steps out" if self._policy == "stop" else "")
        )

    def _gradients(self):
        return {name: w.grad for name, w in self._weights.items() if w.grad is not None}

    def _statistics(self):
        """Their values as a new tensor [N]."""
        values = [value.detach().reshape([-1]) for value in self._moving.values()]
        return paddle.concat(values) if values else None

    def _restore_statistics(self):
        if self._moving:
            values = paddle.split(self._kept, [int(value.size) for value in self._moving.values()])
            for moving, value in zip(self._moving.values(), values):
                moving.set_value(value.reshape(moving.shape))

    def _describe(self, data, outputs, gradients):
        """What this process has found, and whether its own forward pass did; or None."""
        terms = {name: float(v) for name, v in outputs.items() if hasattr(v, "shape") and v.size == 1}
        wrong = [f"{name} is {value:g}" for name, value in terms.items() if not np.isfinite(value)]
        if len(wrong) > 1:
            wrong = [term for term in wrong if not term.startswith("loss is")]
        if not wrong and gradients:
            names = _not_finite(self._gradients())
            wrong = [f"the loss is finite, but the gradient of {names} is not"] if names else []
        statistics = _not_finite(self._moving)
        if not wrong and statistics:
            wrong = [f"the loss is finite, but {statistics} is not"]
        if not wrong:
            return None
        rank = f"process {dist.get_rank()}: " if self._trainer._nranks > 1 else ""
        return f"{rank}{', '.join(wrong)}; images {', '.join(self._images(data))}", bool(statistics)

    def _gather(self, found):
        """What the processes have found; of several, those whose own images it came from.

        A loss that all processes share the divisor of is NaN in each when it is in one.
        """
        everyones = [found]
        if self._trainer._nranks > 1:
            everyones = []
            dist.all_gather_object(everyones, found)
        everyones = [one for one in everyones if one]
        return [text for text, own in everyones if own] or [text for text, _ in everyones]

    def _images(self, data):
        """File names of a batch; of one that mixes images, the first of each mixture."""
        if "im_id" not in data:
            return ["unknown"]
        numbers = np.asarray(data["im_id"]).reshape(-1).tolist()
        files = {}
        for record in getattr(self._trainer.dataset, "roidbs", None) or []:
            files[int(np.asarray(record["im_id"]).reshape(-1)[0])] = os.path.basename(record["im_file"])
        names = [files.get(int(number), f"im_id {number}") for number in numbers]
        return names[:SHOWN] + [f"and {len(names) - SHOWN} more"] * (len(names) > SHOWN)


def _not_finite(values):
    """The first name whose tensor is not finite, and how many more there are; "" for none."""
    names = [name for name, value in values.items() if not bool(paddle.isfinite(value).all())]
    more = f" (and {len(names) - 1} more)" if names[1:] else ""
    return names[0] + more if names else ""


def _one_of(cfg, key, values):
    value = cfg.get(key, values[0])
    value = "off" if value is False else value  # YAML's off
    if value not in values:
        raise ValueError(f"{key}: '{value}' does not exist; {choice(value, values)}")
    return value


def _count(cfg, key, default):
    value = cfg.get(key, default)
    if type(value) is not int or value < 0:
        raise ValueError(f"{key} is {value!r}; give a whole number")
    return value
