"""Re-parameterisable blocks by name: the one place that turns ``rep_block`` into a class."""

from ppdet_ext.nearest import choice

from .qarepvgg import QARepVGGBlock
from .repopt import RepOptBlock, RepOptSearchBlock
from .repvgg import RepVGGBlock

# All are built with RepVGGBlock's arguments and become one 3x3 convolution.
REP_BLOCKS = {
    "repvgg": RepVGGBlock,
    "qarepvgg": QARepVGGBlock,
    "repopt_search": RepOptSearchBlock,
    "repopt": RepOptBlock,
}


def rep_block_class(name, beside=()):
    """The class of the block called ``name``.

    Args:
        name (str): a key of ``REP_BLOCKS``: 'repvgg' (PP-YOLOE's), 'qarepvgg' (for INT8), or RepOptimizer's
            two runs (for INT8): 'repopt_search', then 'repopt' with the scales that the first has found.
        beside (iterable[str]): names that the caller knows besides, for the message.

    Returns:
        type: takes the arguments of :class:`RepVGGBlock`.

    Raises:
        ValueError: an unknown name; the nearest known one is named.
    """
    if str(name) not in REP_BLOCKS:
        raise ValueError(f"unknown rep_block '{name}'; {choice(name, [*REP_BLOCKS, *beside])}")
    return REP_BLOCKS[name]
