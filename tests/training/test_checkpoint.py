import os
import pickle
from pathlib import Path

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import numpy as np
import paddle
import pytest

from ppdet_ext.config import load_config
from ppdet_ext.training.checkpoints.loading import load_pretrained, match_keys, read_state_dict

DEMO = str(Path(__file__).resolve().parents[2] / "configs" / "demo" / "ppyoloe_nano_demo.yml")
# The same detector in PaddleDetection's own parts.
UPSTREAM = [
    "architecture=PPYOLOE",
    "PPYOLOE={backbone: CSPResNet, neck: CustomCSPPAN, yolo_head: PPYOLOEHead, post_process: ~}",
    "CSPResNet={layers: [3, 6, 6, 3], channels: [64, 128, 256, 512, 1024], return_idx: [1, 2, 3],"
    " use_large_stem: true, act: relu}",
    "CustomCSPPAN={out_channels: [768, 384, 192], stage_num: 1, block_num: 3, act: relu, spp: true}",
    "PPYOLOEHead={fpn_strides: [32, 16, 8], act: relu, reg_max: 16, static_assigner: ATSSAssigner,"
    " assigner: TaskAlignedAssigner}",
]


def build(*overrides):
    from ppdet.core.workspace import create

    return create(load_config(DEMO, list(overrides)).architecture)


def randomised(model, seed=0):
    """Parameters and BN statistics that no initialiser gives, saved state included."""
    random = np.random.default_rng(seed)
    state = {
        name: random.normal(size=value.shape).astype("float32") for name, value in model.state_dict().items()
    }
    model.set_state_dict(state)
    return state


def values(model):
    return {name: value.numpy().copy() for name, value in model.state_dict().items()}


def same(left, right):
    return left.keys() == right.keys() and all(np.array_equal(left[name], right[name]) for name in left)


@pytest.fixture(scope="module")
def model():
    return build()


@pytest.fixture(scope="module")
def weights(model, tmp_path_factory):
    """A checkpoint that fits, its parameters, and where it lies."""
    state = randomised(model)
    path = str(tmp_path_factory.mktemp("weights") / "whole.pdparams")
    paddle.save(model.state_dict(), path)
    return path, state


def save(state, folder, name="changed.pdparams"):
    path = str(folder / name)
    paddle.save({key: paddle.to_tensor(value) for key, value in state.items()}, path)
    return path


def refused(model, path, *words, strict=True):
    """The message of the refusal, after which the model is what it was."""
    before = values(model)
    with pytest.raises(ValueError) as error:
        load_pretrained(model, path, strict=strict)
    for word in (str(path), *words):
        assert word in str(error.value), str(error.value)
    assert same(before, values(model))
    return str(error.value)


@pytest.mark.parametrize("with_extension", [True, False])
def test_a_fitting_checkpoint_loads_whole_and_silently(model, weights, with_extension):
    path, state = weights
    randomised(model, seed=1)
    said = []
    loaded = load_pretrained(model, path if with_extension else path[: -len(".pdparams")], say=said.append)
    assert loaded == sorted(state) and not said
    assert same(values(model), state)


def test_strict_refusal_counts_and_names(model, weights, tmp_path):
    _, state = weights
    names = sorted(state)
    gone, wrong = names[:7], names[-1]
    changed = {name: value for name, value in state.items() if name not in gone}
    changed[wrong] = np.zeros([3, 2], "float32")
    changed["stranger.weight"] = changed["stranger.bias"] = np.zeros([1], "float32")
    path = save(changed, tmp_path)
    message = refused(
        model,
        path,
        f"{len(state) - 8} of {len(state)} parameters fit",
        "7 of the model's parameters are not in it: ",
        "2 of its entries are not in the model: stranger.bias, stranger.weight",
        f"1 have another shape: {wrong} is {list(state[wrong].shape)} in the model but [3, 2] in the ",
        "pretrain_strict: false",
    )
    assert all(name in message for name in gone)
    # Of many names, the parts of the network and how many of each.
    head = {name: value for name, value in state.items() if name.startswith("yolo_head")}
    stem = sum(name.startswith("backbone.stem.") for name in names)
    only_head = save(head, tmp_path, "head.pdparams")
    refused(model, only_head, f"{len(names) - len(head)} of the model's", f"backbone.stem.* ({stem})")

    randomised(model, seed=2)
    before, said = values(model), []
    loaded = load_pretrained(model, path, strict=False, say=said.append)
    assert loaded == [name for name in names if name not in (*gone, wrong)]
    assert len(said) == 1 and f"loaded {len(state) - 8} of {len(state)} parameters" in said[0]
    after = values(model)
    assert all(np.array_equal(after[name], state[name]) for name in loaded)
    assert all(np.array_equal(after[name], before[name]) for name in (*gone, wrong))


@pytest.mark.parametrize("change", ["missing", "unused", "shape"])
def test_any_single_misfit_is_refused(model, weights, tmp_path, change):
    state = dict(weights[1])
    name = sorted(state)[10]
    if change == "unused":
        state["stranger"] = np.zeros([1], "float32")
    elif change == "missing":
        del state[name]
    else:
        state[name] = state[name][..., None]
    refused(model, save(state, tmp_path), "stranger" if change == "unused" else name)


def test_a_backbones_own_checkpoint_has_no_prefix(model, weights, tmp_path):
    _, state = weights
    prefix = "backbone."
    backbone = {name[len(prefix) :]: value for name, value in state.items() if name.startswith(prefix)}
    path = save(backbone, tmp_path)
    refused(model, path, f"{len(backbone)} of {len(state)} parameters fit")
    randomised(model, seed=3)
    before, said = values(model), []
    loaded = load_pretrained(model, path, strict=False, say=said.append)
    assert loaded == sorted(prefix + name for name in backbone) and len(said) == 1
    after = values(model)
    for name in state:
        assert np.array_equal(after[name], state[name] if name in loaded else before[name]), name
    # Into the backbone itself it goes strictly.
    assert load_pretrained(model.backbone, path) == sorted(backbone)


def test_nothing_fits(model, tmp_path):
    from paddle.vision.models import LeNet

    path = str(tmp_path / "lenet.pdparams")
    paddle.save(LeNet().state_dict(), path)
    for strict in (True, False):
        refused(model, path, "nothing of this checkpoint fits", "another architecture", strict=strict)


def test_another_size_is_refused_and_partly_taken_when_told(model, weights, tmp_path):
    """An 80-class checkpoint for a 10-class model: all but the class predictions."""
    _, state = weights
    other = dict(state)
    for name in state:
        if "pred_cls" in name:
            other[name] = np.zeros([80, *state[name].shape[1:]], "float32")
    path = save(other, tmp_path)
    refused(model, path, "6 have another shape", "[80] in the checkpoint")
    loaded = load_pretrained(model, path, strict=False, say=lambda _: None)
    assert len(loaded) == len(state) - 6


@pytest.mark.parametrize("strict", [True, False])
def test_files_that_are_no_checkpoint(model, weights, tmp_path, strict):
    whole = Path(weights[0]).read_bytes()

    def written(name, content):
        path = tmp_path / name
        path.write_bytes(content)
        return str(path)

    refused(model, str(tmp_path / "none.pdparams"), "no such checkpoint", strict=strict)
    refused(model, str(tmp_path), "no such checkpoint", strict=strict)
    refused(model, written("empty.pdparams", b""), "empty (0 bytes)", strict=strict)
    for share in (0.001, 0.5, 0.999):
        cut = written("cut.pdparams", whole[: int(len(whole) * share)])
        refused(model, cut, "not a readable Paddle checkpoint", "truncated", strict=strict)
    for text in (b"hello\n", b"<html><body>404</body></html>", b"\x00" * 4096, b"version https://git-lfs\n"):
        refused(model, written("text.pdparams", text), "not a readable Paddle checkpoint", strict=strict)
    for thing in ({}, [1, 2], {"epoch": 3}, 7):
        other = written("other.pdparams", pickle.dumps(thing, 2))
        refused(model, other, "holds no parameters", strict=strict)
    stranger = written("model.pth", b"PK\x03\x04 of another framework")
    refused(model, stranger, "no such checkpoint", strict=strict)


def test_dtypes_are_the_models(model, weights, tmp_path):
    _, state = weights
    half = save({name: value.astype("float16") for name, value in state.items()}, tmp_path)
    load_pretrained(model, half)
    assert {str(value.dtype) for value in model.state_dict().values()} == {"paddle.float32"}
    name = sorted(state)[0]
    assert np.array_equal(values(model)[name], state[name].astype("float16").astype("float32"))


def test_match_keys_prefers_equal_names():
    one = np.zeros([1])
    fitting, missing, unused, shapes = match_keys(
        {"backbone.a": one, "backbone.b": one, "head.a": one},
        {"backbone.a": one + 1, "a": one + 2, "b": one + 3, "c": one},
    )
    assert {name: value.item() for name, value in fitting.items()} == {"backbone.a": 1, "backbone.b": 3}
    assert (missing, unused, shapes) == (["head.a"], ["a", "c"], [])


def test_a_checkpoint_of_ppdets_own_model_loads_strictly(tmp_path):
    """Written by PaddleDetection's own code: averaged weights in .pdparams, raw ones in .pdema."""
    from ppdet.utils.checkpoint import save_model

    theirs = build(*UPSTREAM)
    assert type(theirs.yolo_head).__module__.startswith("ppdet.")
    averaged = randomised(theirs, seed=5)
    optimizer = paddle.optimizer.Momentum(parameters=theirs.parameters())
    raw = {name: value + 1 for name, value in theirs.state_dict().items()}
    save_model(raw, optimizer, str(tmp_path), "model_final", 1, ema_model=theirs.state_dict())
    assert sorted(os.listdir(tmp_path)) == [f"model_final.{end}" for end in ("pdema", "pdopt", "pdparams")]

    ours = build()
    assert type(ours.yolo_head).__module__.startswith("ppdet_ext.")
    assert load_pretrained(ours, str(tmp_path / "model_final")) == sorted(averaged)
    assert same(values(ours), averaged)
    # And the way back.
    back = save(values(ours), tmp_path)
    randomised(theirs, seed=6)
    load_pretrained(theirs, back)
    assert same(values(theirs), averaged)


def test_read_state_dict_drops_what_is_no_parameter(tmp_path):
    path = str(tmp_path / "mixed.pdparams")
    paddle.save({"weight": paddle.ones([2]), "epoch": 3}, path)
    assert list(read_state_dict(path)) == ["weight"]


def test_an_alpha_that_upstream_reads_differently_is_named(tmp_path):
    model = build("CSPRepResNet.use_alpha=true")
    state = {name: value.numpy() for name, value in model.state_dict().items()}
    wrong = "backbone.stages.1.blocks.0.conv2.alpha"
    state[wrong] = np.array([-0.5], "float32")
    paddle.save({k: paddle.to_tensor(v) for k, v in state.items()}, str(tmp_path / "m.pdparams"))
    said = []
    load_pretrained(model, str(tmp_path / "m"), say=said.append)
    (line,) = said
    assert "1 alphas are zero or negative" in line and wrong in line
    assert model.state_dict()[wrong].item() == -0.5
