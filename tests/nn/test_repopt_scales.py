"""The scales of a search: how a network takes them, and what becomes of them in checkpoints."""

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import numpy as np
import paddle
import pytest
from paddle import nn
from paddle.optimizer import Momentum

from ppdet_ext.nn import (
    ConvNormAct,
    CSPRepStage,
    CSPStage,
    RepOptBlock,
    RepOptSearchBlock,
    load_rep_scales,
    rep_block_class,
    reparameterize,
)

from .forms import FORMS
from .reference import array, random_input, randomise, relative_error
from .repopt_blocks import KINDS, WITH_IDENTITY, both_kinds, run, sample, trainable


@pytest.mark.parametrize("form", ["two branches", "three branches"])
def test_the_kernel_starts_as_that_of_fresh_branches(form):
    """Of a kernel's variance, 3x3 and 1x1 have their parts by their scales, and the identity is in it."""
    channels, fan_in = 512, 8
    options = {**FORMS[form], "groups": 1, "in_channels": fan_in, "out_channels": channels}
    if form in WITH_IDENTITY:
        options.update(groups=channels // fan_in, in_channels=channels)
    paddle.seed(3)
    block = RepOptBlock(**options)
    copied = np.full(channels, -3.0) if form in WITH_IDENTITY else None
    block.set_scales(np.full(channels, 0.5), np.full(channels, 2.0), copied)
    kernel = array(block.conv1.conv.weight)
    fresh = [nn.Conv2D(options["in_channels"], channels, k, groups=options["groups"]).weight for k in (3, 1)]
    dense, small = (array(weight).var() for weight in fresh)
    rows = np.arange(channels)
    own = kernel[rows, rows % fan_in, 1, 1]
    if copied is not None:
        assert abs(own.mean() + 3) < 0.3
        kernel[rows, rows % fan_in, 1, 1] += 3
    centre = kernel[:, :, 1, 1].var()
    around = np.delete(kernel.reshape(channels, fan_in, 9), 4, 2).var()
    assert around == pytest.approx(0.25 * dense, rel=0.1)
    assert centre == pytest.approx(0.25 * dense + 4 * small, rel=0.1)


def test_training_without_scales_is_refused_and_evaluation_is_not():
    block = RepOptBlock(8, 8)
    block.eval()
    block(random_input(1, 8, 4, 4))
    block.train()
    for _ in range(2):
        with pytest.raises(
            ValueError, match="scales of a search; give YOLODetector.rep_scales the .pdparams"
        ):
            block(random_input(1, 8, 4, 4))
    block.set_scales(np.ones(8), np.ones(8))
    block(random_input(1, 8, 4, 4))


def test_a_checkpoint_without_scales_does_not_train():
    """The part of it that fits goes in, and the masks are not 1 by that."""
    state = trainable("three branches").state_dict()
    del state["scales"]
    block = RepOptBlock(**FORMS["three branches"])
    with pytest.warns(UserWarning, match="scales"):
        block.set_state_dict(state)
    with pytest.raises(ValueError, match="trains with the scales of a search"):
        block(sample("three branches"))


def test_scales_are_in_the_checkpoint_and_a_resumed_training_goes_on(tmp_path):
    form, steps = "groups", 4

    def training(block):
        return Momentum(0.1, 0.9, parameters=block.parameters())

    whole = trainable(form)
    optimizer = training(whole)
    run(whole, optimizer, form, steps, "float32")
    assert sorted(whole.state_dict()) == sorted(
        [
            "scales",
            "conv1.conv.weight",
            *(f"conv1.bn.{leaf}" for leaf in ("weight", "bias", "_mean", "_variance")),
        ]
    )
    paddle.save(whole.state_dict(), str(tmp_path / "b.pdparams"))
    paddle.save(optimizer.state_dict(), str(tmp_path / "b.pdopt"))
    run(whole, optimizer, form, steps, "float32")

    resumed = RepOptBlock(**FORMS[form])
    resumed.set_state_dict(paddle.load(str(tmp_path / "b.pdparams")))
    np.testing.assert_array_equal(resumed.gradient_mask().numpy(), whole.gradient_mask().numpy())
    optimizer = training(resumed)
    state = paddle.load(str(tmp_path / "b.pdopt"))
    names = {old.name: new.name for old, new in zip(whole.parameters(), resumed.parameters())}
    renamed = {}
    for key, value in state.items():
        prefix = next((old for old in names if key.startswith(old + "_")), None)
        renamed[key if prefix is None else names[prefix] + key[len(prefix) :]] = value
    optimizer.set_state_dict(renamed)
    run(resumed, optimizer, form, steps, "float32")
    expected = whole.conv1.conv.weight.numpy()
    np.testing.assert_allclose(resumed.conv1.conv.weight.numpy(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["threshold", "normal", "exponential"])
def test_an_average_over_steps_keeps_the_mask(kind):
    """PaddleDetection averages buffers too, from zero on; its correction for the start is not exact."""
    from ppdet.optimizer import ModelEMA

    block = trainable("three branches")
    expected = block.gradient_mask().numpy()
    ema = ModelEMA(block, decay=0.9998, ema_decay_type=kind)
    for _ in range(2):
        ema.update(block)
    averaged = RepOptBlock(**FORMS["three branches"])
    averaged.set_state_dict(ema.apply())
    assert (kind == "threshold") == (abs(averaged.scales.numpy()[2] - 1).max() > 1e-3)
    np.testing.assert_allclose(averaged.gradient_mask().numpy(), expected, rtol=1e-4)


def network(kind, seed=5, width=16, depth=2):
    """Every stage that holds such blocks, some with an identity, some with groups."""
    paddle.seed(seed)
    return nn.Sequential(
        ConvNormAct(3, 8, 3, 2, act="relu"),
        rep_block_class(kind)(8, 8, identity=True, groups=2),
        CSPRepStage(8, width, depth, rep_block=kind),
        CSPStage(width, 16, 3, spp=True, rep_block=kind),
    )


BLOCKS = 1 + 2 + 3


def searched(folder, **options):
    """A search's checkpoint with scales as if learnt, and its network."""
    model = randomise(network("repopt_search", **options), seed=8)
    path = str(folder / "search.pdparams")
    paddle.save(model.state_dict(), path)
    return path, model


@pytest.mark.parametrize("extension", [True, False])
def test_every_block_takes_the_scales_of_its_own_name(tmp_path, extension):
    path, search = searched(tmp_path)
    model = network("repopt")
    kernels = {name: p.numpy().copy() for name, p in model.named_parameters()}
    names = load_rep_scales(model, path if extension else path[: -len(".pdparams")])
    assert len(names) == BLOCKS and "1" in names
    layers = dict(search.named_sublayers())
    for name, block in model.named_sublayers():
        if name in names:
            source = layers[name]
            expected = np.stack(
                [source.conv1.scale.numpy(), source.conv2.scale.numpy(), np.ones(len(block.scales[0]))]
            )
            np.testing.assert_array_equal(block.scales.numpy(), expected.astype("float32"))
            assert (block.conv1.conv.weight.numpy() != kernels[f"{name}.conv1.conv.weight"]).all()
            if source.identity is not None:
                assert block.has_identity
    for name, value in model.named_parameters():  # nothing else has been touched
        if name[: -len(".conv1.conv.weight")] not in names:
            np.testing.assert_array_equal(value.numpy(), kernels[name])
    model.train()
    (model(random_input(2, 3, 32, 32)) ** 2).mean().backward()


def test_a_block_alone_is_a_network_too(tmp_path):
    path = str(tmp_path / "one.pdparams")
    paddle.save(RepOptSearchBlock(8, 8, identity=True).state_dict(), path)
    block = RepOptBlock(8, 8, identity=True)
    assert load_rep_scales(block, path) == [""]
    assert (block.scales.numpy() == 1).all()


def refused(model, path, words):
    before = {key: value.numpy().copy() for key, value in model.state_dict().items()}
    with pytest.raises(ValueError, match=words) as error:
        load_rep_scales(model, path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)
    for key, value in model.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[key])


def test_a_search_that_does_not_fit_is_refused(tmp_path):
    path, search = searched(tmp_path)
    state = search.state_dict()

    def saved(**changes):
        changed = {**state, **{key.replace("__", "."): value for key, value in changes.items()}}
        other = str(tmp_path / "changed.pdparams")
        paddle.save({key: value for key, value in changed.items() if value is not None}, other)
        return other

    model = network("repopt")
    deeper = network("repopt", depth=3)
    refused(deeper, path, "search.pdparams: no scales of 2.blocks.2.conv2; search and train with the same")
    refused(
        network("repopt", depth=1), path, "1 of its 6 searched blocks, 2.blocks.1.conv2 the first, are no rep"
    )
    refused(
        network("repopt", width=32),
        path,
        r"2.blocks.0.conv2.conv1.scale: \[10\] is needed, but found is \[6\]",
    )
    refused(
        model,
        saved(**{"1__identity__scale": None}),
        r"1.identity.scale: \[8\] is needed, but found is nothing",
    )
    stranger = paddle.ones([6])
    refused(
        model,
        saved(**{"2__blocks__0__conv2__identity__scale": stranger}),
        r"2.blocks.0.conv2.identity.scale: nothing is needed, but found is \[6\]",
    )
    refused(
        model, saved(**{"1__conv2__scale": None}), r"1.conv2.scale: \[8\] is needed, but found is nothing"
    )
    infinite = paddle.to_tensor([1.0] * 7 + [np.inf])
    refused(model, saved(**{"1__conv1__scale": infinite}), "1.conv1.scale is not finite; search again")
    plain = str(tmp_path / "plain.pdparams")
    paddle.save(model.state_dict(), plain)
    refused(model, plain, "holds no scales; take the checkpoint of a run with rep_block: repopt_search")
    refused(network("repvgg"), path, "no block for these scales; set rep_block: repopt, or rep_scales: null")
    refused(reparameterize(randomise(network("repopt"))), path, "no block for these scales")


def test_a_missing_or_broken_file(tmp_path):
    model = network("repopt")
    missing = str(tmp_path / "none.pdparams")
    refused(model, missing, "none.pdparams: no such checkpoint")
    (tmp_path / "text.pdparams").write_text("hello\n")
    refused(model, str(tmp_path / "text.pdparams"), "not a readable Paddle checkpoint")
    with pytest.raises(ValueError, match="rep_scales is True; give the path of a .pdparams file"):
        load_rep_scales(model, True)
    # Where a checkpoint may bring the scales, a training that has none in the end names the file.
    assert load_rep_scales(model, missing, missing_ok=True) == []
    model.train()
    with pytest.raises(ValueError, match="none.pdparams: no such checkpoint; rep_block: repopt trains with"):
        model(random_input(2, 3, 32, 32))
    other = network("repopt")
    load_rep_scales(other, searched(tmp_path)[0])
    model.set_state_dict(other.state_dict())
    model(random_input(2, 3, 32, 32))


@both_kinds
def test_reparameterize_leaves_no_branch_no_norm_and_no_scale(kind):
    model = randomise(network({"search": "repopt_search", "train": "repopt"}[kind]), seed=5)
    x = random_input(2, 3, 64, 64)
    expected = model(x).numpy()
    reparameterize(model)
    assert relative_error(model(x).numpy(), expected) <= 1e-4
    assert not any("BatchNorm" in type(layer).__name__ for layer in model.sublayers())
    blocks = [layer for layer in model.sublayers() if type(layer) is KINDS[kind]]
    assert len(blocks) == BLOCKS
    for block in blocks:
        assert [name for name, _ in block.named_children()] == ["act", "conv"]
    assert {key.rsplit(".", 1)[-1] for key in model.state_dict()} == {"weight", "bias"}
