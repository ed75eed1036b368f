"""What a backbone or a neck says of its own structure."""

from typing import NamedTuple


class Part(NamedTuple):
    """Layers that together make one map of a network.

    ``parts()`` of a backbone or a neck gives them in the order of computation.

    Attributes:
        name (str): 'stage 1', 'down'; without the level, which is its map's.
        layers (tuple[nn.Layer]): all that make the map, in their order; the last one gives it.
        reads (tuple[int]): maps that it reads. 0 is the first that comes in (the image; a neck's finest),
            the parts' own follow those that come in.
        group (str): of parts that belong together, 'cell 1'; empty where nothing is grouped.
    """

    name: str
    layers: tuple
    reads: tuple
    group: str = ""
