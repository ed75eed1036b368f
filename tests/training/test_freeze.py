"""Frozen parts of a detector: to the last bit what they were, whatever trains around them."""

from pathlib import Path

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import numpy as np
import paddle
import pytest
from ppdet.core.workspace import create

from ppdet_ext.config import load_config
from ppdet_ext.training.freeze import freeze

from ..modeling.upstream import make_batch

DEMO = Path(__file__).resolve().parents[2] / "configs" / "demo"
STATISTICS = ("._mean", "._variance")


def build(family="ppyoloe"):
    paddle.seed(0)
    return create(load_config(str(DEMO / f"{family}_nano_demo.yml")).architecture)


def values(model):
    return {name: value.numpy().copy() for name, value in model.state_dict().items()}


def trained(model, steps=2):
    """Names of what changes in steps of an optimizer with momentum and much weight decay."""
    before = values(model)
    optimizer = create("OptimizerBuilder")(0.01, model)
    for step in range(steps):
        model.train()
        model(make_batch(96, classes=10, seed=step, epoch=5))["loss"].backward()
        optimizer.step()
        optimizer.clear_grad()
    after = values(model)
    return {name for name in before if not np.array_equal(before[name], after[name])}, optimizer


@pytest.mark.parametrize(
    "family, names",
    [
        ("ppyoloe", ["backbone.stem", "backbone.stages.0"]),
        ("yolov6", ["backbone"]),
        ("efficientdet", ["backbone", "neck"]),
    ],
)
def test_frozen_parts_stay_to_the_last_bit(family, names):
    model = build(family)
    frozen = freeze(model, names)
    changed, optimizer = trained(model)
    inside = {key for key in model.state_dict() if key.startswith(tuple(f"{name}." for name in names))}
    assert set(frozen) == inside and not inside & changed and len(inside) > 10
    # All else learns, BatchNorm statistics included; kernels of a branch that got no box may not.
    outside = {key for key in model.state_dict() if key not in inside}
    assert len(outside & changed) > 0.9 * len(outside)
    assert {key for key in outside if key.endswith(STATISTICS)} <= changed
    held = {parameter.name for parameter in optimizer._parameter_list}
    for name, parameter in model.named_parameters():
        assert (parameter.name in held) == (not parameter.stop_gradient), name
        if name in inside:
            assert parameter.grad is None and parameter.name not in held


def test_statistics_may_follow_the_new_images():
    model = build()
    frozen = freeze(model, ["backbone"], freeze_norm=False)
    changed, _ = trained(model, 1)
    inside = {key for key in model.state_dict() if key.startswith("backbone.")}
    assert inside & changed == {key for key in inside if key.endswith(STATISTICS)} == inside - set(frozen)


def test_a_frozen_part_computes_as_in_evaluation():
    model = build()
    freeze(model, ["backbone"])
    batch = make_batch(96, classes=10)
    model.eval()
    expected = [value.numpy() for value in model.backbone(batch)]
    model.train()
    model(batch)
    assert not any(layer.training for layer in model.backbone.sublayers(include_self=True))
    assert model.neck.training and model.yolo_head.training
    for value, other in zip(model.backbone(batch), expected):
        np.testing.assert_array_equal(value.numpy(), other)


@pytest.mark.parametrize(
    "names, words",
    [
        (["backbone.stam"], ("no part 'backbone.stam'", "did you mean 'backbone.stem'")),
        (["backbon"], ("no part 'backbon'", "did you mean 'backbone'")),
        (["backbone.stages.9"], ("no part 'backbone.stages.9'", "backbone.stages.3")),
        (["backbone.stem", "neck.x.y"], ("no part 'neck.x.y'",)),
        ("backbone", ("freeze is 'backbone'", "give a list")),
        ([0], ("freeze is [0]",)),
        (["backbone", "neck", "yolo_head"], ("nothing is left to train",)),
    ],
)
def test_what_can_not_be_frozen_is_refused(names, words):
    with pytest.raises(ValueError) as error:
        freeze(build(), names)
    assert "\n" not in str(error.value) and all(word in str(error.value) for word in words), error.value
