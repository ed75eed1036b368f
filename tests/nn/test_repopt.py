import copy

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import numpy as np
import paddle
import pytest
from paddle import nn
from paddle.optimizer import Adam, Momentum

from ppdet_ext.nn import (
    ConvNormAct,
    CSPRepStage,
    CSPStage,
    RepOptBlock,
    RepOptSearchBlock,
    RepVGGBlock,
    load_rep_scales,
    rep_block_class,
    reparameterize,
)
from ppdet_ext.nn.conv import batch_norm as norm

from .forms import FORMS
from .reference import (
    array,
    batch_norm,
    convolution,
    fuse_twice,
    random_input,
    randomise,
    relative_error,
)

WITH_IDENTITY = {name for name, form in FORMS.items() if form.get("identity") and "stride" not in form}
KINDS = {"search": RepOptSearchBlock, "train": RepOptBlock}
all_forms = pytest.mark.parametrize("form", FORMS)
both_kinds = pytest.mark.parametrize("kind", KINDS)


def build(form, kind, seed=3, **changes):
    return randomise(KINDS[kind](**{**FORMS[form], **changes}), seed)


def sample(form, batch=2, **options):
    return random_input(batch, FORMS[form]["in_channels"], 9, 11, **options)


def random_scales(form, seed=7):
    """Of the 3x3, the 1x1 and, where the form has one, the identity branch; of either sign."""
    random = np.random.default_rng(seed)
    channels = FORMS[form]["out_channels"]
    dense, small, copied = random.uniform(0.4, 1.3, [3, channels]) * random.choice([1, -1], [3, channels])
    return dense, small, copied if form in WITH_IDENTITY else None


def trainable(form, seed=7, **changes):
    """A RepOptBlock with scales, in training mode."""
    paddle.seed(seed)
    block = RepOptBlock(**{**FORMS[form], **changes})
    block.set_scales(*random_scales(form, seed))
    return block


# --- both blocks, in evaluation and deployed ----------------------------------------------------------------


@both_kinds
@all_forms
def test_fused_equals_training_form(form, kind):
    assert fuse_twice(build(form, kind), sample(form)) <= 1e-5


@both_kinds
@all_forms
def test_fused_equals_training_form_in_float64(double, form, kind):
    block = build(form, kind)
    assert fuse_twice(block, sample(form, dtype="float64")) <= 1e-12
    assert block.conv.weight.dtype == paddle.float64


@both_kinds
@all_forms
def test_equals_numpy(form, kind):
    """Training form and equivalent kernel, each against convolutions written out in loops."""
    options = FORMS[form]
    block = build(form, kind, act=None)
    x = array(sample(form))
    geometry = {key: options[key] for key in ("groups", "stride") if key in options}
    dense = {key: options[key] for key in ("dilation", "padding_mode") if key in options}
    y = convolution(x, array(block.conv1.conv.weight), **geometry, **dense)
    if kind == "search":
        y = y * array(block.conv1.scale)[:, None, None]
        small = convolution(x, array(block.conv2.conv.weight), **geometry)
        y = y + small * array(block.conv2.scale)[:, None, None]
        if form in WITH_IDENTITY:
            y = y + x * array(block.identity.scale)[:, None, None]
    expected = batch_norm(y, block.bn if kind == "search" else block.conv1.bn)
    assert relative_error(block(sample(form)).numpy(), expected) <= 1e-5
    kernel, bias = block.equivalent_kernel_bias()
    assert kernel.dtype == bias.dtype == np.float64 and kernel.shape[-2:] == (3, 3)
    assert relative_error(convolution(x, kernel, bias, **geometry, **dense), expected) <= 1e-12


@both_kinds
@all_forms
def test_deployed_there_is_one_convolution_and_no_scale(form, kind):
    block = build(form, kind)
    block.convert_to_deploy()
    other = KINDS[kind](**FORMS[form], deploy=True)
    shapes = {key: value.shape for key, value in block.state_dict().items()}
    assert {key: value.shape for key, value in other.state_dict().items()} == shapes
    assert sorted(shapes) == ["conv.bias", "conv.weight"] and not list(block.buffers())
    rep = RepVGGBlock(**FORMS[form], deploy=True)  # the deployed form is the same block
    for same in (other, rep):
        same.set_state_dict(block.state_dict())
        same.eval()
        assert relative_error(same(sample(form)).numpy(), block(sample(form)).numpy()) <= 1e-6
    block.train()
    block(sample(form))  # needs no scales any more


@both_kinds
def test_alpha_is_refused(kind):
    with pytest.raises(ValueError, match=f"{KINDS[kind].__name__}: no alpha, .*set use_alpha: false"):
        KINDS[kind](8, 8, alpha=True)


def test_blocks_by_name():
    assert rep_block_class("repopt") is RepOptBlock and rep_block_class("repopt_search") is RepOptSearchBlock
    with pytest.raises(ValueError, match="unknown rep_block 'rep_opt'; did you mean 'repopt'"):
        rep_block_class("rep_opt")


# --- the search ---------------------------------------------------------------------------------------------


def test_scales_start_at_one_and_learn():
    block = RepOptSearchBlock(8, 8, identity=True, act=None)
    scales = [block.conv1.scale, block.conv2.scale, block.identity.scale]
    assert all((scale.numpy() == 1).all() for scale in scales)
    (block(random_input(4, 8, 6, 6)) ** 2 * random_input(4, 8, 6, 6, seed=9)).sum().backward()
    for name, parameter in block.named_parameters():
        if not parameter.stop_gradient:
            assert np.abs(parameter.grad.numpy()).max() > 1e-2, name


def test_weight_decay_of_scales_is_the_authors():
    """Nothing pulls on the convolutions' scales; the identity's decays, as the kernel it stands for."""
    block = RepOptSearchBlock(8, 8, identity=True)
    optimizer = Momentum(0.1, 0.9, parameters=block.parameters(), weight_decay=0.5)
    for parameter in block.parameters():
        if not parameter.stop_gradient:
            parameter.grad = paddle.zeros_like(parameter)
    optimizer.step()
    for branch, decayed in ((block.conv1, 1.0), (block.conv2, 1.0), (block.identity, 0.95)):
        np.testing.assert_allclose(branch.scale.numpy(), decayed, rtol=1e-6)


# --- the mask -----------------------------------------------------------------------------------------------


@all_forms
def test_the_mask_by_its_formula(form):
    """s3^2; in the centre s1^2 more; where a channel meets itself 1 more, whatever the identity's scale."""
    block = trainable(form)
    dense, small, copied = random_scales(form)
    mask = array(block.gradient_mask())
    assert mask.shape == tuple(block.conv1.conv.weight.shape)
    rows, columns = mask.shape[:2]
    for row in range(rows):
        for column in range(columns):
            expected = np.full([3, 3], dense[row] ** 2)
            expected[1, 1] += small[row] ** 2 + (copied is not None and column == row % columns)
            np.testing.assert_allclose(mask[row, column], expected, rtol=1e-6)


def branches(form, kernels, scales):
    """CSLA written out: kernels that train, scales that do not; the identity's factor trains."""

    class Branches(nn.Layer):
        def __init__(self):
            super().__init__()
            options = {key: value for key, value in FORMS[form].items() if key not in ("act", "bn_epsilon")}
            cin, cout = options.pop("in_channels"), options.pop("out_channels")
            options.pop("identity", None)
            dilation = options.pop("dilation", 1)
            small = {key: value for key, value in options.items() if key != "padding_mode"}
            self.dense = nn.Conv2D(
                cin, cout, 3, padding=dilation, dilation=dilation, bias_attr=False, **options
            )
            self.small = nn.Conv2D(cin, cout, 1, bias_attr=False, **small)
            for conv, kernel in zip((self.dense, self.small), kernels):
                conv.weight.set_value(kernel.astype(conv.weight.numpy().dtype))
            dtype = paddle.get_default_dtype()
            self.constants = [paddle.to_tensor(s.reshape([-1, 1, 1]), dtype) for s in scales[:2]]
            self.factor = None
            if scales[2] is not None:
                start = nn.initializer.Assign(scales[2].reshape([-1, 1, 1]))
                self.factor = self.create_parameter([cin, 1, 1], dtype=dtype, default_initializer=start)
            self.bn = norm(cout, FORMS[form].get("bn_epsilon", 1e-5))

        def forward(self, x):
            y = self.dense(x) * self.constants[0] + self.small(x) * self.constants[1]
            y = self.bn(y if self.factor is None else y + x * self.factor)
            return {"swish": nn.functional.swish}.get(FORMS[form].get("act"), nn.functional.relu)(y)

        def kernel(self):
            dense, small = (array(s) for s in self.constants)
            kernel = array(self.dense.weight) * dense[..., None]
            kernel[:, :, 1:2, 1:2] += array(self.small.weight) * small[..., None]
            if self.factor is not None:
                rows = np.arange(len(kernel))
                kernel[rows, rows % kernel.shape[1], 1, 1] += array(self.factor)[:, 0, 0]
            return kernel

    return Branches()


def run(model, optimizer, form, steps, dtype):
    random = np.random.default_rng(11)
    weights, losses = None, []
    for step in range(steps):
        y = model(sample(form, batch=3, dtype=dtype, seed=20 + step))
        if weights is None:
            weights = paddle.to_tensor(random.standard_normal(y.shape[1:]).astype(dtype))
        loss = 40 * ((y * weights).mean() + (y**2).mean())
        loss.backward()
        optimizer.step()
        optimizer.clear_grad()
        losses.append(float(loss))
    return losses


def train_both(form, dtype, steps=8, optimizer=Momentum, **options):
    """The plain block and the branches, each trained: kernels before and after, and the losses."""
    random = np.random.default_rng(5)
    plain = trainable(form)
    rows, columns = plain.conv1.conv.weight.shape[:2]
    kernels = [random.standard_normal([rows, columns, size, size]) * 0.3 for size in (3, 1)]
    explicit = branches(form, kernels, random_scales(form))
    start = explicit.kernel()
    plain.conv1.conv.weight.set_value(start.astype(dtype))
    found = []
    for model in (plain, explicit):
        model.train()
        trained = optimizer(0.1, parameters=model.parameters(), **options)
        found.append(run(model, trained, form, steps, dtype))
    return start, array(plain.conv1.conv.weight), explicit.kernel(), found


SGD_OPTIONS = {
    "momentum": {"momentum": 0.9},
    "nesterov": {"momentum": 0.9, "use_nesterov": True},
    "decay": {"momentum": 0.9, "weight_decay": 0.1},
}


@pytest.mark.parametrize("options", SGD_OPTIONS)
@all_forms
def test_sgd_on_the_plain_block_is_sgd_on_the_branches(double, form, options):
    """The claim itself: step by step the same function, and in the end the same kernel."""
    start, plain, explicit, losses = train_both(form, "float64", **SGD_OPTIONS[options])
    assert relative_error(start, explicit) > 0.1, "nothing was learnt"
    assert relative_error(plain, explicit) <= 1e-10
    np.testing.assert_allclose(*losses, rtol=1e-10)


@pytest.mark.parametrize("form", ["three branches", "stride", "stride and groups", "groups"])
def test_sgd_on_the_plain_block_is_sgd_on_the_branches_in_float32(form):
    start, plain, explicit, losses = train_both(form, "float32", momentum=0.9)
    assert relative_error(start, explicit) > 0.1
    assert relative_error(plain, explicit) <= 1e-4
    np.testing.assert_allclose(*losses, rtol=1e-4)


def test_adam_on_the_plain_block_is_another_training(double):
    """Why the trainer refuses it."""
    _, plain, explicit, _ = train_both("three branches", "float64", optimizer=Adam)
    assert relative_error(plain, explicit) > 1e-2


def gradients(block, x, raw=False):
    """Of the kernel; `raw` ones by the same block without the mask."""
    conv = block.conv1.conv
    conv.weight.clear_gradient()
    if raw:
        weight = paddle.to_tensor(conv.weight.numpy(), stop_gradient=False)
        y = nn.functional.conv2d(x, weight, stride=conv._stride, padding=conv._padding, groups=conv._groups)
    else:
        weight, y = conv.weight, conv(x)
    (y**2 * random_input(*y.shape, seed=9, dtype=str(x.numpy().dtype))).sum().backward()
    return weight.grad.numpy()


@pytest.mark.parametrize("form", ["three branches", "stride and groups"])
def test_every_pass_is_masked_also_in_copies_and_other_dtypes(form):
    block = trainable(form)
    x = sample(form)
    expected = gradients(block, x, raw=True) * block.gradient_mask().numpy()
    assert relative_error(expected, gradients(block, x, raw=True)) > 0.1
    np.testing.assert_allclose(gradients(block, x), expected, rtol=1e-5, atol=1e-4)
    for other in (copy.deepcopy(block), copy.deepcopy(nn.Sequential(block))[0]):
        np.testing.assert_allclose(gradients(other, x), expected, rtol=1e-5, atol=1e-4)
    block.to(dtype="float64")
    np.testing.assert_allclose(
        gradients(block, sample(form, dtype="float64")), expected, rtol=1e-4, atol=1e-4
    )


def test_gradients_add_up_masked():
    """Two passes before a step, as with accumulated gradients."""
    block = trainable("three branches")
    x = sample("three branches")
    once = gradients(block, x).copy()
    y = block.conv1.conv(x)
    (y**2 * random_input(*y.shape, seed=9)).sum().backward()
    np.testing.assert_allclose(block.conv1.conv.weight.grad.numpy(), 2 * once, rtol=1e-5)


@pytest.mark.parametrize("full_graph", [True, False])
def test_a_captured_graph_is_masked(full_graph):
    block = trainable("groups")
    eager, captured = (copy.deepcopy(block) for _ in range(2))
    captured = paddle.jit.to_static(captured, full_graph=full_graph)
    found = []
    for model in (eager, captured):
        y = model(sample("groups"))
        (y**2 * random_input(*y.shape, seed=9)).sum().backward()
        found.append(model.conv1.conv.weight.grad.numpy())
    np.testing.assert_allclose(*found, rtol=1e-4, atol=1e-5)


# --- the scales: set, kept, missing -------------------------------------------------------------------------


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


# --- from a search to a network -----------------------------------------------------------------------------


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
