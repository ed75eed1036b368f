"""RepOptBlock: steps of SGD on the plain kernel are those on scaled branches."""

import copy

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import numpy as np
import paddle
import pytest
from paddle import nn
from paddle.optimizer import Adam, Momentum

from ppdet_ext.nn.conv import batch_norm as norm

from .forms import FORMS
from .reference import array, random_input, relative_error
from .repopt_blocks import all_forms, random_scales, run, sample, trainable


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
