"""Topologies against the lists of their sources, and what is refused."""

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import pytest

from ppdet_ext.modeling.necks.bifpn_topology import TOPOLOGIES, make_topology, map_names, output_maps

# level:[inputs]; inputs P3 to P7 are 0 to 4. 'official' of three and five levels and of D7x's six.
LISTS = {
    ("official", 5): "6:[3,4] 5:[2,5] 4:[1,6] 3:[0,7] 4:[1,7,8] 5:[2,6,9] 6:[3,5,10] 7:[4,11]",
    ("official", 3): "4:[1,2] 3:[0,3] 4:[1,3,4] 5:[2,5]",
    ("official", 6): "7:[4,5] 6:[3,6] 5:[2,7] 4:[1,8] 3:[0,9] 4:[1,9,10] 5:[2,8,11] 6:[3,7,12] 7:[4,6,13] "
    "8:[5,14]",
    ("tutorial", 5): "6:[3,4] 5:[2,5] 4:[1,6] 3:[0,7] 3:[0,8] 4:[1,7,9] 5:[2,6,10] 6:[3,5,11] 7:[4,4,12]",
    ("tutorial", 3): "4:[1,2] 3:[0,3] 3:[0,4] 4:[1,3,5] 5:[2,2,6]",
    ("fpn", 3): "5:[2] 4:[1,3] 3:[0,4]",
    ("fpn", 5): "7:[4] 6:[3,5] 5:[2,6] 4:[1,7] 3:[0,8]",
    ("pan", 3): "5:[2] 4:[1,3] 3:[0,4] 3:[5] 4:[4,6] 5:[3,7]",
    ("pan", 5): "7:[4] 6:[3,5] 5:[2,6] 4:[1,7] 3:[0,8] 3:[9] 4:[8,10] 5:[7,11] 6:[6,12] 7:[5,13]",
    ("pan_pruned", 3): "4:[1,2] 3:[0,3] 4:[3,4] 5:[2,5]",
    ("pan_pruned", 5): "6:[3,4] 5:[2,5] 4:[1,6] 3:[0,7] 4:[7,8] 5:[6,9] 6:[5,10] 7:[4,11]",
}
OUTPUTS = {
    "official": [8, 9, 10, 11, 12],
    "tutorial": [9, 10, 11, 12, 13],
    "fpn": [9, 8, 7, 6, 5],
    "pan": [10, 11, 12, 13, 14],
    "pan_pruned": [8, 9, 10, 11, 12],
}
THREE = [
    {"level": 4, "inputs": [1, 2]},
    {"level": 3, "inputs": [0, 3]},
    {"level": 4, "inputs": [1, 3, 4]},
    {"level": 5, "inputs": [2, 5]},
]


def written(nodes):
    return " ".join(f"{node.level}:[{','.join(map(str, node.inputs))}]" for node in nodes)


@pytest.mark.parametrize("name, levels", LISTS)
def test_nodes_are_those_of_the_source(name, levels):
    topology = make_topology(name, 3, levels)
    assert written(topology.nodes) == LISTS[name, levels]
    assert (topology.strided, topology.norm_each) == (name == "tutorial",) * 2


@pytest.mark.parametrize("name", TOPOLOGIES)
def test_every_level_comes_out_and_every_node_counts(name):
    for levels in range(2, 8):
        nodes = make_topology(name, 2, levels).nodes
        outputs = output_maps(nodes, 2, levels)
        assert [nodes[number - levels].level for number in outputs] == list(range(2, 2 + levels))
        used = {number for node in nodes for number in node.inputs} | set(outputs)
        assert used == set(range(levels + len(nodes)))
    assert output_maps(make_topology(name, 3, 5).nodes, 3, 5) == OUTPUTS[name]


def test_steps_from_pan_to_official():
    """Single-input nodes go; then an edge comes from the input to each node in the middle."""

    def edges(name, minimum):
        nodes = make_topology(name, 3, 5).nodes
        names = map_names(nodes, 3, 5)
        return {
            names[5 + number]: {names[i] for i in node.inputs}
            for number, node in enumerate(nodes)
            if len(node.inputs) >= minimum
        }

    pan, pruned, official = edges("pan", 2), edges("pan_pruned", 1), edges("official", 1)
    # What single-input nodes made of a map is that map, without them.
    same = {"P7 td": "P7 in", "P3 td": "P3 out"}
    pan = {same.get(name, name): {same.get(i, i) for i in inputs} for name, inputs in pan.items()}
    assert pan == pruned
    added = {name: official[name] - pruned[name] for name in official}
    assert set(official) == set(pruned) and all(pruned[name] <= official[name] for name in official)
    assert {name: more for name, more in added.items() if more} == {
        "P4 out": {"P4 in"},
        "P5 out": {"P5 in"},
        "P6 out": {"P6 in"},
    }


def test_names_of_maps():
    nodes = make_topology("official", 3, 3).nodes
    assert map_names(nodes, 3, 3) == ["P3 in", "P4 in", "P5 in", "P4 td", "P3 out", "P4 out", "P5 out"]
    again = make_topology([THREE[0], {"level": 4, "inputs": [3]}, *shifted(THREE[1:])], 3, 3).nodes
    assert map_names(again, 3, 3)[3:] == ["P4 td", "P4 td2", "P3 out", "P4 out", "P5 out"]


def shifted(nodes):
    return [{**node, "inputs": [i + (i > 2) for i in node["inputs"]]} for node in nodes]


def test_a_list_of_nodes():
    given = make_topology(THREE, 3, 3)
    assert given == make_topology("official", 3, 3)
    # Two levels away, in both directions, and one map twice.
    far = [*THREE[:2], {"level": 4, "inputs": [1, 1, 3]}, {"level": 5, "inputs": [2, 0]}]
    assert written(make_topology(far, 3, 3).nodes) == "4:[1,2] 3:[0,3] 4:[1,1,3] 5:[2,0]"


def with_node(number, **changes):
    return [{**node, **changes} if i == number else node for i, node in enumerate(THREE)]


@pytest.mark.parametrize(
    "given, message",
    [
        ("oficial", "unknown topology 'oficial'; did you mean 'official'"),
        (None, "topology is None; give a name .official, tutorial, fpn, pan, pan_pruned. or a list of nodes"),
        (with_node(1, inputs=[0, 4]), r"node 1 .*level 3. reads map 4, but those before it are 0..3"),
        (with_node(2, inputs=[1, -1]), r"node 2 .*level 4. reads map -1, but those before it are 0..4"),
        (with_node(3, level=6), r"node 3 .*level 6.: the levels are 3..5"),
        (with_node(0, level=2), r"node 0 .*level 2.: the levels are 3..5"),
        (with_node(2, inputs=[]), r"node 2 .*level 4. reads nothing"),
        (THREE[:3], "no node of the topology makes level 5; add one"),
        ([], "no node of the topology makes level 3; add one"),
        (
            with_node(1, inputs=[0, 2])[:2] + with_node(2, inputs=[1, 4])[2:],
            r"node 0 .*goes nowhere: no node",
        ),
        (with_node(1, weight=2), r"node 1 of the topology is .*write it as \{level: 6, inputs: \[3, 4\]\}"),
        ([{"level": 4}, *THREE[1:]], "node 0 of the topology is {'level': 4}; write it as"),
        (with_node(2, inputs=3), "node 2 of the topology is .*write it as"),
        (with_node(2, inputs=[1, "3"]), "node 2 of the topology is .*write it as"),
        (with_node(2, level=4.0), "node 2 of the topology is .*write it as"),
        ([*THREE, "P4"], "node 4 of the topology is P4; write it as"),
    ],
)
def test_refusals(given, message):
    with pytest.raises(ValueError, match=message):
        make_topology(given, 3, 3)


def test_one_level_is_no_pyramid():
    with pytest.raises(ValueError, match="two levels or more, not 1"):
        make_topology("official", 3, 1)
