"""A profile and fusion weights as text; the profile is written by hand, so no Paddle is needed."""

from ppdet_ext.evaluation.network_table import fusion_table, network_table


def cost(parameters, macs):
    return {"parameters": parameters, "macs": macs}


def part(module, name, level=None, channels=8, group="", training=None, deployed=None, **rest):
    side = {} if level is None else {"level": level, "shape": [1, channels, 64 >> level, 64 >> level]}
    return {"module": module, "name": name, "group": group, **side, **rest} | {
        "training": training,
        "deployed": deployed,
    }


PARTS = [
    part("backbone", "stem", 1, 16, training=cost(500, 3_000_000), deployed=cost(400, 2_000_000)),
    part("neck", "in", 3, training=cost(0, 0), deployed=cost(0, 0)),
    part("neck", "td", 2, group="cell 1", training=cost(20, 200_000), deployed=cost(10, 100_000)),
    part("neck", "out", 1, group="cell 1", training=cost(7, 70_000), deployed=cost(7, 70_000)),
    part("neck", "td", 2, group="cell 2", training=cost(2, 20_000), deployed=cost(1, 10_000)),
    part(
        "head",
        "level",
        2,
        80,
        training=cost(9, 90_000),
        deployed=cost(1234, 820_000),
        box_shape=[1, 4, 16, 16],
    ),
    part("head", "training alone", training=cost(5, 0)),
]
PROFILE = {
    "input": [1, 3, 64, 64],
    "modules": {"backbone": "Bone", "neck": "Neck", "head": "Head"},
    "classes": 80,
    "total": {"training": cost(543, 3_380_000), "deployed": cost(1652, 3_000_000)},
    "parts": PARTS,
}


def rows(text):
    """Lines of the table's body, as words."""
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("part "))
    return [line.split() for line in lines[start + 1 :] if line]


def test_a_part_a_row_with_both_forms_and_its_share():
    text = network_table(PROFILE, "some.yml")
    assert text.splitlines()[0] == "some.yml: Bone, Neck, Head; 80 classes, image 64x64"
    body = [" ".join(words) for words in rows(text)]
    assert body[:-1] == [
        "backbone stem 2 [1, 16, 32, 32] 500 3.0 400 2.0 66.7%",
        "neck P3 in 8 [1, 8, 8, 8] 0 0.0 0 0.0 0.0%",
        # Both cells together, the finest level first.
        "neck P1, all cells 2 [1, 8, 32, 32] 7 0.1 7 0.1 2.3%",
        "neck P2, all cells 4 [1, 8, 16, 16] 22 0.2 11 0.1 3.7%",
        "head P2 4 [1, 80+4, 16, 16] 9 0.1 1,234 0.8 27.3%",
        "head training alone 5 0.0 - - -",
        "backbone 500 3.0 400 2.0 66.7%",
        "neck 29 0.3 18 0.2 6.0%",
        "head 14 0.1 1,234 0.8 27.3%",
        "total 543 3.4 1,652 3.0 100.0%",
    ]
    assert text.endswith("FLOPs = 2 x MACs. Here 0.01 GFLOPs as trained, 0.01 deployed.")


def test_fusion_weights_stand_beside_each_other():
    def cell(*weights):
        edges = ["P4 in", "P5 in"], ["P3 in", "P4 td"]
        return [
            {"name": name, "edges": reads, "weights": values}
            for name, reads, values in zip(("P4 td", "P3 out"), edges, weights)
        ]

    text = fusion_table([cell([0.25, 0.75], [0.5, 0.5]), cell([1, 0], [0.1, 0.9])])
    assert [" ".join(line.split()) for line in text.splitlines()] == [
        "fusion node reads cell 1 cell 2",
        "P4 td P4 in 0.250 1.000",
        "P5 in 0.750 0.000",
        "P3 out P3 in 0.500 0.100",
        "P4 td 0.500 0.900",
    ]
