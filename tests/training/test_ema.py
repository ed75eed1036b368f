"""The moving average against PaddleDetection's, bit by bit, and through checkpoints."""

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import numpy as np
import paddle
import pytest
from paddle import nn
from ppdet.optimizer import ModelEMA as PaddleDetectionEMA
from ppdet.utils.checkpoint import load_weight, save_model

from ppdet_ext.training import ema as ema_module
from ppdet_ext.training.ema import ModelEMA

KINDS = ("threshold", "normal", "exponential")


class Network(nn.Layer):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2D(3, 5, 3)
        self.norm = nn.BatchNorm2D(5)
        self.proj = nn.Linear(7, 1, bias_attr=False)
        self.scale = self.create_parameter([])

    def learn(self, rng):
        """What a step does to the weights: each changes in place."""
        for value in self.state_dict().values():
            value.set_value(rng.standard_normal(value.shape).astype("float32"))


def assert_same(found, expected):
    assert list(found) == list(expected)
    for name, value in expected.items():
        assert found[name].stop_gradient and found[name].dtype == value.dtype
        np.testing.assert_array_equal(found[name].numpy(), value.numpy(), err_msg=name)


@pytest.fixture(params=[2**20, 100], ids=["one bundle", "bundles"])
def bundle(request, monkeypatch):
    monkeypatch.setattr(ema_module, "BUNDLE", request.param)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("black_list", [None, ["proj", "norm._mean"]])
def test_every_bit_is_paddledetections(kind, black_list, bundle):
    rng, model = np.random.default_rng(0), Network()
    options = {"ema_decay_type": kind, "ema_black_list": black_list, "cycle_epoch": 2}
    ours, theirs = ModelEMA(model, **options), PaddleDetectionEMA(model, **options)
    assert_same(ours.apply(), theirs.apply())
    for step in range(1, 31):
        model.learn(rng)
        ours.update()
        theirs.update()
        assert_same(ours.state_dict, theirs.state_dict)
        if step % 8 == 0:  # the second and the fourth of these start a new cycle
            assert_same(ours.apply(), theirs.apply())
        assert (ours.step, ours.epoch) == (theirs.step, theirs.epoch)
    assert ours.step == 14


def test_a_weight_that_is_not_averaged_goes_on_learning():
    """In PaddleDetection it loses its gradient when the average is applied."""
    model = Network()
    ema = ModelEMA(model, ema_black_list=["conv.weight"])
    ema.update()
    assert ema.apply()["conv.weight"].stop_gradient and ema.state_dict["conv.weight"].stop_gradient
    assert not model.conv.weight.stop_gradient


def test_what_was_applied_stays_as_it_was():
    model, rng = Network(), np.random.default_rng(0)
    ema = ModelEMA(model, ema_decay_type="exponential")
    ema.update()
    applied = {name: value.numpy() for name, value in ema.apply().items()}
    kept = ema.apply()
    model.learn(rng)
    ema.update()
    for name, value in applied.items():
        np.testing.assert_array_equal(kept[name].numpy(), value, err_msg=name)


def test_the_live_weights_are_averaged_wherever_they_move(bundle):
    """set_dict, an optimizer step and new memory under a parameter."""
    model, rng = Network(), np.random.default_rng(0)
    ours, theirs = ModelEMA(model), PaddleDetectionEMA(model)
    optimizer = paddle.optimizer.Momentum(0.1, parameters=model.parameters())

    def descend():
        model.norm(model.conv(paddle.ones([1, 3, 4, 4]))).square().sum().backward()
        optimizer.step()
        optimizer.clear_grad()

    def move():
        weight = paddle.to_tensor(rng.standard_normal(model.conv.weight.shape).astype("float32"))
        weight._share_buffer_to(model.conv.weight)

    def load():
        model.set_dict({name: value * 2 + 1 for name, value in model.state_dict().items()})

    for change in (descend, load, move, descend, move, load):
        change()
        ours.update()
        theirs.update()
        assert_same(ours.state_dict, theirs.state_dict)
    other = Network()
    other.learn(rng)
    ours.update(other)
    theirs.update(other)
    assert_same(ours.state_dict, theirs.state_dict)


def test_each_precision_is_averaged_in_its_own(bundle):
    """As with AMP O2, which leaves BatchNorm in float32; CPUs can't add float16."""
    model, rng = Network(), np.random.default_rng(0)
    model.conv.to(dtype="float64")
    ours, theirs = ModelEMA(model), PaddleDetectionEMA(model)
    for _ in range(5):
        for value in model.state_dict().values():
            value.set_value(rng.standard_normal(value.shape).astype(value.numpy().dtype))
        ours.update()
        theirs.update()
    assert_same(ours.apply(), theirs.apply())


def test_parameters_without_gradient_can_be_left_out():
    """PaddleDetection's own switch for it dies of an AttributeError."""
    model, rng = Network(), np.random.default_rng(0)
    model.proj.weight.stop_gradient = True
    ema = ModelEMA(model, ema_filter_no_grad=True)
    assert ema.ema_black_list == {"proj.weight"}
    for _ in range(3):
        model.learn(rng)
        ema.update()
    np.testing.assert_array_equal(ema.apply()["proj.weight"].numpy(), model.proj.weight.numpy())
    assert not np.allclose(ema.apply()["norm._mean"].numpy(), model.norm._mean.numpy())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("steps", [0, 3, 40])
def test_a_resumed_average_goes_on_as_if_never_stopped(kind, steps, tmp_path):
    """Through PaddleDetection's checkpoints, which hold what apply() gave."""
    model, rng = Network(), np.random.default_rng(0)
    ema = ModelEMA(model, ema_decay_type=kind)
    rate = paddle.optimizer.lr.NaturalExpDecay(0.1, 0.1)
    optimizer = paddle.optimizer.Momentum(rate, parameters=model.parameters())
    for _ in range(steps):
        model.learn(rng)
        ema.update()
        rate.step()
    save_model(model.state_dict(), optimizer, str(tmp_path), "now", 1, ema_model=ema.apply())

    resumed = Network()
    other = ModelEMA(resumed, ema_decay_type=kind)
    other_rate = paddle.optimizer.lr.NaturalExpDecay(0.1, 0.1)
    other_optimizer = paddle.optimizer.Momentum(other_rate, parameters=resumed.parameters())
    load_weight(resumed, str(tmp_path / "now"), other_optimizer, other)
    assert other.step == steps
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(resumed.state_dict()[name].numpy(), value.numpy())
    seed = rng.integers(2**31)
    for network, average in ((model, ema), (resumed, other)):
        rng = np.random.default_rng(seed)
        for _ in range(2):
            network.learn(rng)
            average.update()
    for name, value in ema.apply().items():
        np.testing.assert_allclose(other.apply()[name].numpy(), value.numpy(), rtol=1e-5, atol=1e-6)


def test_few_operations(monkeypatch):
    """Four for a million values, however many tensors they are in."""
    model = nn.Sequential(*[nn.Linear(4, 4) for _ in range(50)])
    ema = ModelEMA(model)
    ema.update()
    with paddle.profiler.Profiler(
        targets=[paddle.profiler.ProfilerTarget.CPU], on_trace_ready=lambda profiler: None
    ) as profiler:
        ema.update()
    events = profiler.profiler_result.get_data()
    counts = {}

    def count(node):
        if node.type == paddle.profiler.TracerEventType.Operator:
            counts[node.name] = counts.get(node.name, 0) + 1
        for child in node.children_node:
            count(child)

    for root in events.values():
        count(root)
    assert sum(counts.values()) == 4, counts


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="ema_decay_type 'linear' is none of threshold, normal, exponential"):
        ModelEMA(Network(), ema_decay_type="linear")
