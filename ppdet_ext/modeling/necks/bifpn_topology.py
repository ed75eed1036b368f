"""How the nodes of a feature pyramid's cell are wired, as data."""

from typing import NamedTuple

from ppdet_ext.nearest import choice


class Node(NamedTuple):
    """One node of a cell.

    Attributes:
        level (int): l of the map P_l that it makes, of stride 2**l.
        inputs (tuple[int]): maps that it reads. 0 is the cell's finest input, one number a level; the nodes'
            outputs follow, in their order.
    """

    level: int
    inputs: tuple


class Topology(NamedTuple):
    """A cell's nodes, and what else its design says.

    Attributes:
        nodes (tuple[Node]): in the order of computation; the last of a level is the cell's output there.
        strided (bool): levels beyond the backbone's are made by convolutions of stride 2, else by pooling.
        norm_each (bool): a node is conv, norm, conv, norm, activation; else activation, convs, norm.
    """

    nodes: tuple
    strided: bool = False
    norm_each: bool = False


class _Wiring:
    """Nodes one by one, and the newest map of each level (numbered from 0)."""

    def __init__(self, levels):
        self.levels = levels
        self.newest = list(range(levels))
        self.nodes = []

    def add(self, level, *inputs):
        self.nodes.append((level, inputs))
        self.newest[level] = self.levels + len(self.nodes) - 1

    def down(self, single=False):
        """From the coarsest to the finest; `single`: the coarsest has a node, too."""
        if single:
            self.add(self.levels - 1, self.levels - 1)
        for level in reversed(range(self.levels - 1)):
            self.add(level, level, self.newest[level + 1])

    def up(self, inputs):
        """From the second finest to the coarsest; `inputs`: level -> what it reads beside the finer one."""
        for level in range(1, self.levels):
            self.add(level, *inputs(level), self.newest[level - 1])


def _fpn(wiring):
    wiring.down(single=True)


def _pan(wiring):
    wiring.down(single=True)
    wiring.add(0, wiring.newest[0])
    wiring.up(lambda level: [wiring.newest[level]])


def _pan_pruned(wiring):
    wiring.down()
    wiring.up(lambda level: [wiring.newest[level]])


def _official(wiring):
    wiring.down()
    # The coarsest level has no node on the way down: its input counts once.
    wiring.up(lambda level: dict.fromkeys([level, wiring.newest[level]]))


def _tutorial(wiring):
    wiring.down()
    wiring.add(0, 0, wiring.newest[0])
    wiring.up(lambda level: [level, wiring.newest[level]])


# Name: what wires it, and the fields of Topology beside the nodes.
TOPOLOGIES = {
    "official": (_official, {}),
    "tutorial": (_tutorial, {"strided": True, "norm_each": True}),
    "fpn": (_fpn, {}),
    "pan": (_pan, {}),
    "pan_pruned": (_pan_pruned, {}),
}


def make_topology(given, first, levels):
    """The topology of a name or of a list of nodes.

    .. code-block:: text

        official     6:[3,4] 5:[2,5] 4:[1,6] 3:[0,7]             4:[1,7,8] 5:[2,6,9]  6:[3,5,10] 7:[4,11]
        tutorial     6:[3,4] 5:[2,5] 4:[1,6] 3:[0,7] 3:[0,8]     4:[1,7,9] 5:[2,6,10] 6:[3,5,11] 7:[4,4,12]
        fpn          7:[4] 6:[3,5] 5:[2,6] 4:[1,7] 3:[0,8]
        pan          as fpn, then                3:[9]           4:[8,10]  5:[7,11]   6:[6,12]   7:[5,13]
        pan_pruned   6:[3,4] 5:[2,5] 4:[1,6] 3:[0,7]             4:[7,8]   5:[6,9]    6:[5,10]   7:[4,11]

    These are for P3 to P7; others follow the same rule. 'pan_pruned' is PAN without the nodes of one input,
    and 'official' adds an edge from the input to each node in the middle.

    Args:
        given (str | list[dict]): a key of ``TOPOLOGIES``, or nodes as ``{level: 6, inputs: [3, 4]}``, see
            :class:`Node`.
        first (int): l of the finest level.
        levels (int): 2 or more.

    Returns:
        Topology

    Raises:
        ValueError: an unknown name, one level only, or a node that does not fit; the node is named.

    Source: 'official' is EfficientDet's program (google/automl, efficientdet/tf2/fpn_configs.py).
    """
    if levels < 2:
        raise ValueError(f"a feature pyramid has two levels or more, not {levels}")
    if not isinstance(given, str):
        return Topology(_check_nodes(given, first, levels))
    if given not in TOPOLOGIES:
        raise ValueError(f"unknown topology '{given}'; {choice(given, TOPOLOGIES)}")
    wire, rest = TOPOLOGIES[given]
    wiring = _Wiring(levels)
    wire(wiring)
    return Topology(tuple(Node(first + level, inputs) for level, inputs in wiring.nodes), **rest)


def _read_node(number, entry):
    """A node of a config, if it has the form of one."""
    if isinstance(entry, dict) and set(entry) == {"level", "inputs"}:
        level, inputs = entry["level"], entry["inputs"]
        if isinstance(inputs, (list, tuple)) and all(type(value) is int for value in (level, *inputs)):
            return Node(level, tuple(inputs))
    raise ValueError(f"node {number} of the topology is {entry}; write it as {{level: 6, inputs: [3, 4]}}")


def _check_nodes(given, first, levels):
    if not isinstance(given, (list, tuple)):
        raise ValueError(f"topology is {given}; give a name ({', '.join(TOPOLOGIES)}) or a list of nodes")
    nodes = []
    last = first + levels - 1
    for number, entry in enumerate(given):
        node = _read_node(number, entry)
        where = f"node {number} of the topology (level {node.level})"
        if node.level not in range(first, last + 1):
            raise ValueError(f"{where}: the levels are {first}..{last}")
        if not node.inputs:
            raise ValueError(f"{where} reads nothing; give it one input or more")
        for offset in node.inputs:
            if offset not in range(levels + number):
                raise ValueError(
                    f"{where} reads map {offset}, but those before it are 0..{levels + number - 1} "
                    f"({levels} inputs, finest first, then the outputs of the nodes)"
                )
        nodes.append(node)
    made = [node.level for node in nodes]
    for level in range(first, last + 1):
        if level not in made:
            raise ValueError(f"no node of the topology makes level {level}; add one")
    read = {offset for node in nodes for offset in node.inputs}
    for number, level in enumerate(made):
        if level in made[number + 1 :] and levels + number not in read:
            raise ValueError(
                f"node {number} of the topology (level {level}) goes nowhere: no node reads map "
                f"{levels + number}, and a later one makes the output of its level; take it out or read it"
            )
    return tuple(nodes)


def output_maps(nodes, first, levels):
    """The number of the last map of each level (list[int]), finest first."""
    newest = {node.level: levels + number for number, node in enumerate(nodes)}
    return [newest[first + level] for level in range(levels)]


def map_names(nodes, first, levels):
    """Names of a cell's maps: 'P4 in' of its inputs, then 'P4 td' and 'P4 out' of its nodes.

    Of several nodes before a level's last one, the second is 'P4 td2', and so on.

    Returns:
        list[str]: by number, see :class:`Node`.
    """
    names = [f"P{first + level} in" for level in range(levels)]
    outputs = output_maps(nodes, first, levels)
    seen = {}
    for number, node in enumerate(nodes):
        place = seen[node.level] = seen.get(node.level, 0) + 1
        kind = "out" if levels + number in outputs else f"td{place if place > 1 else ''}"
        names.append(f"P{node.level} {kind}")
    return names
