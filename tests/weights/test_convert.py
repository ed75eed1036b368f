"""From a file to a checkpoint: nothing is left over, and what does not fit is named."""

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
from functools import lru_cache
from pathlib import Path

import numpy as np
import paddle
import pytest
from ppdet.core.workspace import create

from ppdet_ext.config import load_config
from ppdet_ext.weights.convert import convert
from ppdet_ext.weights.translation import Translation, fill

from .states import narrow

CONFIGS = Path(__file__).resolve().parents[2] / "configs" / "yolov6"


@lru_cache(maxsize=None)
def network(name="n", *more):
    config, overrides, *_ = narrow(name)
    return create(load_config(str(CONFIGS / f"{config}.yml"), [*overrides, *more]).architecture)


def attempt(tmp_path, state, model, family="yolov6"):
    np.savez(tmp_path / "state.npz", **state)
    return convert(family, str(tmp_path / "state.npz"), model, str(tmp_path / "ours.pdparams"))


def refused(tmp_path, state, model):
    with pytest.raises(ValueError) as raised:
        attempt(tmp_path, state, model)
    assert not list(tmp_path.glob("ours*"))
    said = str(raised.value)
    assert said.startswith(str(tmp_path / "state.npz")) and "\n" not in said
    return said


def test_the_account(tmp_path):
    state = narrow("n")[2]
    done = attempt(tmp_path, state, network())
    counters = sum(name.endswith("num_batches_tracked") for name in state)
    assert done.schema == "YOLOv6 0.4, training form"
    assert done.dropped == {"counters of training steps": counters, "projection of the bins, constants": 2}
    assert done.mapped == len(state) - counters - 2
    assert done.fresh == {"anchor-aided branch, for training only": 12}
    saved = paddle.load(done.path)
    assert list(saved) == list(network().state_dict())
    np.testing.assert_array_equal(
        saved["neck.join.0.upsample.weight"].numpy(),
        state["neck.Bifusion0.upsample.upsample_transpose.weight"],
    )
    assert [file.name for file in tmp_path.iterdir() if file.name.startswith("ours")] == ["ours.pdparams"]


def test_half_precision_becomes_single(tmp_path):
    state = narrow("n")[2]
    half = {
        name: value.astype("float16") if value.dtype.kind == "f" else value for name, value in state.items()
    }
    saved = paddle.load(attempt(tmp_path, half, network()).path)
    for ours, theirs in (
        ("backbone.stem.conv1.conv.weight", "backbone.stem.rbr_dense.conv.weight"),
        ("backbone.stages.0.down.conv2.bn._variance", "backbone.ERBlock_2.0.rbr_1x1.bn.running_var"),
    ):
        assert saved[ours].dtype == paddle.float32
        np.testing.assert_array_equal(saved[ours].numpy(), half[theirs].astype("float32"))


def test_entries_without_a_place(tmp_path):
    state = narrow("n")[2]
    for name in ("backbone.ERBlock_9.0.x", "extra.weight", "neck.Rep_p4.cv8.y", "detect.masks.0.bias"):
        state[name] = np.zeros(3, "float32")
    said = refused(tmp_path, state, network())
    first = "backbone.ERBlock_9.0.x, extra.weight, neck.Rep_p4.cv8.y and 1 more"
    assert f"4 entries have no place in the network ({first})" in said and "are not in it" not in said


def test_parameters_without_an_entry(tmp_path):
    state = narrow("n")[2]
    del (
        state["detect.stems.0.block.bn.running_var"],
        state["backbone.ERBlock_2.1.block.0.rbr_1x1.conv.weight"],
    )
    said = refused(tmp_path, state, network())
    missing = "backbone.stages.0.body.1.conv2.conv.weight, yolo_head.stem.2.bn._variance"
    assert f"2 parameters of the network are not in it ({missing})" in said and "no place" not in said


def test_a_part_of_an_anchor_aided_branch_is_no_branch(tmp_path):
    state = narrow("n")[2]
    state["detect.reg_preds_ab.0.bias"] = np.zeros(12, "float32")
    said = refused(tmp_path, state, network())
    assert "11 parameters of the network are not in it (yolo_head.anchor_aided.pred_cls.0.weight" in said


def test_another_model(tmp_path):
    said = refused(tmp_path, narrow("v2_n")[2], network())
    assert "YOLOv6 0.2, training form: " in said and "entries have no place in the network (backbone." in said
    assert "parameters of the network are not in it (backbone.stages.3.spp.before.0.conv.weight" in said
    assert "take the config of that very model" in said


def test_another_number_of_classes(tmp_path):
    said = refused(tmp_path, narrow("n")[2], network("n", "num_classes=4"))
    first = "detect.cls_preds.0.weight is [3, 8, 1, 1] but yolo_head.pred_cls.2.weight is [4, 8, 1, 1]"
    assert f"6 shapes differ ({first}" in said and "num_classes" in said


def test_a_transposed_kernel_is_a_wrong_shape(tmp_path):
    state = narrow("n")[2]
    name = "backbone.ERBlock_2.0.rbr_1x1.conv.weight"
    state[name] = state[name].reshape(-1)
    assert f"1 shapes differ ({name} is [64]" in refused(tmp_path, state, network())


def test_integers_are_no_weights(tmp_path):
    state = narrow("n")[2]
    name = "backbone.stem.rbr_dense.conv.weight"
    state[name] = state[name].astype("int8")
    assert f"weights are floats, but {name} holds int8" in refused(tmp_path, state, network())


def test_an_output_is_never_overwritten(tmp_path):
    (tmp_path / "ours.pdparams").write_text("mine")
    with pytest.raises(ValueError, match="ours.pdparams: is there already"):
        attempt(tmp_path, {"a": np.zeros(1)}, network())
    assert (tmp_path / "ours.pdparams").read_text() == "mine"


def test_an_unknown_family(tmp_path):
    with pytest.raises(ValueError, match="no converter from 'yolo6'; did you mean 'yolov6'?"):
        attempt(tmp_path, {"a": np.zeros(1)}, network(), "yolo6")


def test_fill_keeps_order_and_dtype():
    target = {"b": np.zeros(2, "float64"), "a": np.ones(1, "float32"), "c": np.full(1, 5.0)}
    renamed = {"a": ("x", np.float16([3])), "b": ("y", np.float32([1, 2]))}
    filled = fill(Translation("", renamed, {}, {"c": "why"}), target)
    assert {name: (value.tolist(), str(value.dtype)) for name, value in filled.items()} == {
        "b": ([1.0, 2.0], "float64"),
        "a": ([3.0], "float32"),
        "c": ([5.0], "float64"),
    }
    assert list(filled) == ["b", "a", "c"]
