"""Sizes in the tables of the families, counted again on networks of their configs."""

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import re

import paddle
import pytest
from ppdet.core.workspace import create

from ppdet_ext.config import load_config
from ppdet_ext.nn import reparameterize
from ppdet_ext.nn.cost import multiply_accumulates, trainable_parameters

from .pages import ROOT

FAMILIES = ("ppyoloe", "yolov6", "efficientdet")
# Of each table, what is small enough to be built in seconds.
COUNTED = """
    ppyoloe_nano_coco ppyoloe_s_rep_head_coco ppyoloe_s_smallobject_coco ppyoloe_m_coco
    yolov6_n_coco yolov6_v2_n_coco yolov6_s_coco
    efficientdet_d0_coco efficientdet_d0_relu6_sum_coco efficientdet_d1_coco
""".split()
# One side for all: multiply-accumulates grow with the area, where SAME padding cuts nothing off.
SIDE = 256


def rows():
    """config: column: cell, of every table of configs."""
    found = {}
    for family in FAMILIES:
        columns = None
        for line in (ROOT / "docs" / f"{family}.md").read_text(encoding="utf-8").splitlines():
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            config = re.fullmatch(r"`(configs/.+\.yml)`", cells[0])
            columns = cells if line.startswith("| config |") else columns if line.startswith("|") else None
            if columns and config:
                found[config.group(1)] = dict(zip(columns, cells))
    return found


def test_every_size_of_a_family_has_a_row_or_a_word():
    for family in FAMILIES:
        text = (ROOT / "docs" / f"{family}.md").read_text(encoding="utf-8")
        stems = [path.stem for path in sorted((ROOT / "configs" / family).glob("*.yml"))]
        named = set(re.findall(r"[\w{},]+(?=\.yml)", text))
        expanded = {name for pattern in named for name in _expanded(pattern)}
        assert not [stem for stem in stems if stem not in expanded]


def _expanded(pattern):
    found = re.search(r"\{([^{}]*)\}", pattern)
    if not found:
        return [pattern]
    start, end = pattern[: found.start()], pattern[found.end() :]
    return [name for word in found.group(1).split(",") for name in _expanded(start + word + end)]


@pytest.mark.slow
@pytest.mark.parametrize("name", COUNTED)
def test_the_row_is_what_is_counted(name):
    (path,) = [path for path in rows() if path.endswith(f"/{name}.yml")]
    row = rows()[path]
    config = load_config(str(ROOT / path))
    height, width = config.TestReader["inputs_def"]["image_shape"][1:]
    assert int(row["input"]) == height == width
    model = create(config.architecture)
    model.eval()
    if "training, M" in row:
        assert trainable_parameters(model) / 1e6 == pytest.approx(float(row["training, M"]), abs=0.0051)
    reparameterize(model)
    if "deployed, M" in row:
        # Of PP-YOLOE as published, with BatchNorms that are folded here: a thousandth.
        assert trainable_parameters(model) / 1e6 == pytest.approx(float(row["deployed, M"]), rel=2e-3)
    image = {"image": paddle.zeros([1, 3, SIDE, SIDE])}
    macs = multiply_accumulates(model, lambda: model.head(model.features(image)))
    assert macs * (height / SIDE) ** 2 / 1e9 == pytest.approx(float(row["GMACs"]), abs=0.0051)
