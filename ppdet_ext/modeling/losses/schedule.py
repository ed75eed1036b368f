"""Weights of loss terms, which may move with the epoch."""

from ppdet_ext.nearest import did_you_mean

MOVING_KEYS = ("from", "to", "over")


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def check_weight(place, value):
    """Refuses (ValueError) what :func:`weight_at` can't take; ``place`` is where the config says it."""
    if not isinstance(value, dict):
        if not _is_number(value) or value < 0:
            raise ValueError(f"{place} is {value!r}; give a number from 0, or {{from: 0, to: 2}}")
        return
    for key in value:
        if key not in MOVING_KEYS:
            raise ValueError(f"{place} has no option '{key}'{did_you_mean(key, MOVING_KEYS)}")
    for key in ("from", "to"):
        if not _is_number(value.get(key)) or value[key] < 0:
            raise ValueError(f"{place}: '{key}' is {value.get(key)!r}; give a number from 0")
    over = value.get("over", 1)
    if not _is_number(over) or over <= 0:
        raise ValueError(f"{place}: 'over' is {over!r}; give a number of epochs, or leave it out")


def weight_at(value, epoch, epochs):
    """A weight in an epoch.

    Args:
        value (float | dict): a number stands; ``{from: a, to: b}`` moves in a straight line over the run,
            ``a + (b - a) * epoch / epochs``, and with ``over: n`` over its first n epochs, after which it
            stays at b.
        epoch (int): from 0.
        epochs (int): of the whole training.

    Returns:
        float
    """
    if not isinstance(value, dict):
        return value
    share = min(epoch / value.get("over", epochs), 1.0) if epoch else 0.0
    return value["from"] + (value["to"] - value["from"]) * share


class LossWeights:
    """The weights of a head's loss terms.

    Args:
        owner (str): the head's name, for messages.
        defaults (dict): term to weight.
        given (dict | None): in the place of some of them; values as :func:`weight_at` takes them.
        epochs (int): of the whole training.

    Raises:
        ValueError: a term that the head has not, or a value that is no weight.
    """

    def __init__(self, owner, defaults, given, epochs):
        for term, value in (given or {}).items():
            if term not in defaults:
                raise ValueError(f"{owner}: loss_weight has no '{term}'{did_you_mean(term, defaults)}")
            check_weight(f"{owner}: loss_weight.{term}", value)
        self._values = {**defaults, **(given or {})}
        self._epochs = epochs
        self.moving = any(isinstance(value, dict) for value in self._values.values())

    def at(self, epoch):
        """dict[str, float]: of each term in an epoch."""
        return {term: weight_at(value, epoch, self._epochs) for term, value in self._values.items()}
