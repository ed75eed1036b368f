"""How an operator of ours becomes one that readers find by its name."""

from ppdet.data import transform
from ppdet.data.transform.operators import register_op


def offered(cls):
    """Registers an operator and puts it where readers look for their operators by name."""
    setattr(transform, cls.__name__, register_op(cls))
    return cls
