"""Every config that names an architecture loads, makes a model, and predicts."""

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
from pathlib import Path

import numpy as np
import paddle
import pytest
import yaml
from ppdet.core.workspace import create

from ppdet_ext.config import load_config

from .upstream import CONFIGS, make_batch, parameter_count

# Beyond so many parameters a model is made but not run.
LARGE = 15e6
# For what names a model without its size.
NO_SIZE = {"width_mult": 0.25, "depth_mult": 0.33}


def plain(node):
    """A YAML node without its tags, so that no class is needed to look into a file."""
    if isinstance(node, yaml.MappingNode):
        return {key.value: plain(value) for key, value in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [plain(value) for value in node.value]
    return node.value


def has_architecture(path):
    config = plain(yaml.compose(path.read_text(encoding="utf-8")))
    bases = [path.parent / Path(base).expanduser() for base in config.get("_BASE_", [])]
    return "architecture" in config or any(has_architecture(base) for base in bases)


MODELS = sorted(path for path in CONFIGS.rglob("*.yml") if has_architecture(path))


def test_the_configs_that_must_be_there():
    names = {path.stem for path in MODELS}
    for size in "smlx":
        assert {f"ppyoloe_{size}_coco", f"ppyoloe_plus_{size}_coco"} <= names
    assert {"ppyoloe_nano_coco", "ppyoloe_nano_relu_coco", "ppyoloe_s_relu_coco"} <= names
    assert "ppyoloe_s_relu_qarep_coco" in names
    assert {f"yolov6_{size}_coco" for size in ("n", "s", "m", "l", "n6", "s6", "m6", "l6")} <= names
    assert {"yolov6_v2_n_coco", "yolov6_v2_s_coco"} <= names
    assert {"yolov6_s_qarep_coco", "yolov6_s_rep_head_coco"} <= names
    assert {f"yolov6_{size}_distill_coco" for size in "nsml"} <= names
    assert {"ppyoloe_nano_demo", "yolov6_nano_demo"} <= names


def wake(model):
    """Untrained, every class of every cell scores the prior, 0.01, just under the NMS's threshold."""
    prior = [p for p in model.parameters() if p.ndim == 1 and np.allclose(p.numpy(), -np.log(99), rtol=1e-3)]
    assert prior
    for parameter in prior:
        parameter.set_value(paddle.zeros_like(parameter))


@pytest.mark.parametrize("path", MODELS, ids=lambda path: str(path.relative_to(CONFIGS)))
def test_config_loads_and_predicts(path):
    sized = "width_mult" in load_config(str(path))
    config = load_config(str(path), {} if sized else NO_SIZE)
    model = create(config.architecture)
    assert type(model).__name__ == config.architecture
    if parameter_count(model) > LARGE:
        return
    wake(model)
    model.eval()
    with paddle.no_grad():
        predicted = model(make_batch(64))
    boxes, counts = predicted["bbox"].numpy(), predicted["bbox_num"].numpy()
    assert counts.shape == (2,) and boxes.shape == (counts.sum(), 6) and len(boxes)
    assert np.isfinite(boxes).all()
    assert boxes[:, 0].max() < config.get("num_classes", 80)
    np.testing.assert_allclose(boxes[:, 1], 0.5, atol=0.1)


@pytest.mark.parametrize("path", [p for p in MODELS if "relu" in p.stem], ids=lambda path: path.stem)
def test_relu_variants_hold_no_other_activation(path):
    """Gates apart, which are the head's and the backbone's own."""
    model = create(load_config(str(path)).architecture)
    kinds = {type(layer).__name__ for layer in model.sublayers()}
    assert kinds & {"ReLU", "ReLU6"} and not kinds & {"Swish", "Silu", "PlainSwish"}


@pytest.mark.parametrize("path", [p for p in MODELS if "_coco" in p.stem], ids=lambda path: path.stem)
def test_a_config_saves_under_its_own_name(path):
    config = load_config(str(path))
    assert config.weights == f"output/{path.stem}/model_final"
