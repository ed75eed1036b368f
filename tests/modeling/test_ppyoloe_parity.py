"""Our PP-YOLOE against the installed PaddleDetection's, on the same random weights."""

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import numpy as np
import paddle
import pytest
from ppdet.modeling.backbones.cspresnet import RepVggBlock

from ppdet_ext.nn import RepVGGBlock, reparameterize

from ..nn.reference import relative_error
from .upstream import (
    build_ours,
    build_upstream,
    is_statistic,
    make_batch,
    parameter_count,
    random_weights,
    raw_outputs,
)

# Parameters in millions, training and deployed; keys and alphas, base and plus.
# A deployed model has its RepVGG blocks fused and its other BatchNorms still there, as published.
TABLE = {
    "s": (8.0846, 7.9263, 423, 429, 6),
    "m": (24.1349, 23.4275, 588, 600, 12),
    "l": (54.0786, 52.1989, 753, 771, 18),
    "x": (102.3315, 98.4241, 918, 942, 24),
}
EXACT_S = {False: (8_084_605, 7_926_277), True: (8_084_611, 7_926_277)}
EPOCHS = {"ATSS": 0, "TAL": 200}
LOSSES = ("loss", "loss_cls", "loss_iou", "loss_dfl", "loss_l1")


def shapes(model):
    return {key: tuple(value.shape) for key, value in model.state_dict().items()}


def fuse_rep_blocks(model):
    model.eval()
    for layer in model.sublayers():
        if isinstance(layer, RepVGGBlock):
            layer.convert_to_deploy()


@pytest.mark.parametrize("plus", [False, True], ids=["base", "plus"])
@pytest.mark.parametrize("size", TABLE)
def test_keys_shapes_and_counts(size, plus):
    training, deployed, base_keys, plus_keys, alphas = TABLE[size]
    upstream, ours = build_upstream(size, plus), build_ours(size, plus)
    expected = shapes(upstream)
    assert shapes(ours) == expected
    assert len(expected) == (plus_keys if plus else base_keys)
    assert sum(key.endswith(".alpha") for key in expected) == (alphas if plus else 0)
    assert round(parameter_count(ours) / 1e6, 4) == training == round(parameter_count(upstream) / 1e6, 4)
    fuse_rep_blocks(ours)
    assert round(parameter_count(ours) / 1e6, 4) == deployed
    reparameterize(ours)
    assert not [layer for layer in ours.sublayers() if isinstance(layer, paddle.nn.BatchNorm2D)]
    assert {key.rsplit(".", 1)[1] for key in shapes(ours)} == {"weight", "bias"}


@pytest.mark.parametrize("plus", [False, True], ids=["base", "plus"])
def test_exact_counts_of_s(plus):
    ours, upstream = build_ours("s", plus), build_upstream("s", plus)
    training = parameter_count(ours)
    fuse_rep_blocks(ours)
    assert (training, parameter_count(ours)) == EXACT_S[plus]
    for layer in upstream.sublayers():
        if isinstance(layer, RepVggBlock):
            layer.convert_to_deploy()
            layer.alpha = None  # PaddleDetection keeps it, unused
    assert parameter_count(upstream) == EXACT_S[plus][1]


def test_the_same_parameters_learn_and_decay():
    """What an optimiser sees: trainable or not, and the weight decay that a layer asks for itself."""

    def view(model):
        return {
            name: (
                p.stop_gradient,
                None
                if p.regularizer is None
                else sorted(value for key, value in vars(p.regularizer).items() if "coeff" in key),
            )
            for name, p in model.named_parameters()
        }

    upstream, ours = view(build_upstream("s", True)), view(build_ours("s", True))
    assert ours == upstream
    assert {name for name, (stopped, _) in ours.items() if stopped and not is_statistic(name)} == {
        "yolo_head.proj_conv.weight"
    }


def test_the_heads_start_alike():
    upstream, ours = build_upstream("s").yolo_head.state_dict(), build_ours("s").yolo_head.state_dict()
    same = [key for key in ours if key.startswith(("pred_", "proj_"))]
    assert len(same) == 13
    for key in same:
        np.testing.assert_allclose(ours[key].numpy(), upstream[key].numpy(), rtol=1e-6)
    gates = [key for key in ours if key.endswith("fc.weight")]
    assert len(gates) == 6
    for key in gates:
        assert 0.0009 < ours[key].numpy().std() < 0.0011


@pytest.fixture(scope="module", params=[False, True], ids=["base", "plus"])
def pair(request):
    """Both models of size s with the same weights, and those weights."""
    upstream, ours = build_upstream("s", request.param), build_ours("s", request.param)
    random_weights(upstream, seed=3)
    weights = {key: value.numpy().copy() for key, value in upstream.state_dict().items()}
    return upstream, ours, weights


def load(model, weights):
    """Strictly: `set_state_dict` answers with what did not fit."""
    state = {key: paddle.to_tensor(value) for key, value in weights.items()}
    missing, unexpected = model.set_state_dict(state)
    assert not missing and not unexpected
    return model


def test_weights_load_strictly_both_ways(pair):
    upstream, ours, weights = pair
    load(ours, weights)
    for key, value in ours.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), weights[key])
    other = {key: value + 1 for key, value in weights.items()}
    load(ours, other)
    load(upstream, {key: value.numpy() for key, value in ours.state_dict().items()})
    for key, value in upstream.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), other[key])


def assert_same_outputs(outputs, expected, tolerance=2e-5):
    assert len(outputs) == len(expected) == 4
    for value, reference in zip(outputs, expected):
        assert relative_error(value.numpy(), reference.numpy()) <= tolerance


def test_raw_outputs(pair):
    upstream, ours, weights = pair
    load(upstream, weights)
    load(ours, weights)
    batch = make_batch()
    expected = raw_outputs(upstream, batch)
    scores = expected[0].numpy()
    assert scores.std() > 0.02 and scores.max() < 0.99, "saturated scores would prove nothing"
    assert_same_outputs(raw_outputs(ours, batch), expected)


def test_raw_outputs_in_float64(pair):
    """Where rounding is out of the way, nothing is left."""
    _, _, weights = pair
    plus = any(key.endswith("alpha") for key in weights)
    batch = make_batch()
    batch["image"] = batch["image"].astype("float64")
    outputs = []
    for model in (build_ours("s", plus), build_upstream("s", plus)):
        load(model, weights)
        model.to(dtype="float64")
        outputs.append(raw_outputs(model, batch))
        assert outputs[-1][0].dtype == paddle.float64
    assert_same_outputs(*outputs, 1e-10)


def test_predictions(pair):
    upstream, ours, weights = pair
    batch = make_batch()
    outputs = []
    for model in (load(upstream, weights), load(ours, weights)):
        model.eval()
        with paddle.no_grad():
            outputs.append({key: value.numpy() for key, value in model(batch).items()})
    expected, ours = outputs
    assert expected["bbox_num"].min() > 10
    np.testing.assert_array_equal(ours["bbox_num"], expected["bbox_num"])
    np.testing.assert_allclose(ours["bbox"], expected["bbox"], rtol=1e-4, atol=1e-3)


def test_reparameterised_model(pair):
    upstream, ours, weights = pair
    batch = make_batch()
    expected = raw_outputs(load(upstream, weights), batch)
    deployed = build_ours("s", plus=any(key.endswith("alpha") for key in weights))
    load(deployed, weights).eval()
    reparameterize(deployed)
    assert_same_outputs(raw_outputs(deployed, batch), expected, 1e-4)
    reparameterize(deployed)
    assert_same_outputs(raw_outputs(deployed, batch), expected, 1e-4)
    assert not any(is_statistic(key) or "alpha" in key for key in deployed.state_dict())


def train_step(model, weights, batch):
    """Every loss term, and the gradient of every parameter."""
    load(model, weights)
    model.train()
    model.clear_gradients()
    losses = model(batch)
    losses["loss"].backward()
    gradients = {name: p.grad.numpy().copy() for name, p in model.named_parameters() if p.grad is not None}
    model.clear_gradients()
    return {key: float(value) for key, value in losses.items()}, gradients


def assert_same_step(upstream, ours, weights, batch):
    expected, expected_gradients = train_step(upstream, weights, batch)
    losses, gradients = train_step(ours, weights, batch)
    assert set(losses) == set(expected) == set(LOSSES)
    for key in LOSSES:
        assert expected[key] > 0.01
        assert losses[key] == pytest.approx(expected[key], rel=1e-5), key
    assert set(gradients) == set(expected_gradients)
    # An alpha's gradient is one number, summed up of terms of either sign: they are compared as one vector.
    alphas = [name for name in gradients if name.endswith("alpha")]
    for name in set(gradients) - set(alphas):
        assert relative_error(gradients[name], expected_gradients[name]) <= 1e-3, name
    if alphas:
        vectors = [np.concatenate([g[name] for name in alphas]) for g in (gradients, expected_gradients)]
        assert relative_error(*vectors) <= 1e-3


@pytest.mark.parametrize("varifocal", [True, False], ids=["varifocal", "focal"])
@pytest.mark.parametrize("assigner", EPOCHS)
def test_losses_and_gradients(pair, assigner, varifocal):
    upstream, ours, weights = pair
    plus = any(key.endswith("alpha") for key in weights)
    if not varifocal:
        upstream = build_upstream("s", plus, varifocal=False)
        ours = build_ours("s", plus, {"ETHead": {"use_varifocal_loss": False}})
    assert_same_step(upstream, ours, weights, make_batch(seed=4, epoch=EPOCHS[assigner]))


@pytest.mark.parametrize("assigner", EPOCHS)
def test_boxes_beyond_the_last_bin(assigner):
    """With 5 bins most sides lie farther than the last: targets are cut off where upstream's are."""
    upstream = build_upstream((0.33, 0.25), reg_max=4)
    ours = build_ours("s", overrides={"width_mult": 0.25, "ETHead": {"reg_max": 4}})
    batch = make_batch(128, seed=10, epoch=EPOCHS[assigner])
    random_weights(upstream, seed=11, batch=batch)
    weights = {key: value.numpy().copy() for key, value in upstream.state_dict().items()}
    assert_same_outputs(raw_outputs(load(ours, weights), batch), raw_outputs(upstream, batch))
    assert_same_step(upstream, ours, weights, batch)


def test_the_static_assigner_works_until_its_epoch(pair):
    """The last epoch of ATSS and the first of TAL: 99 and 100, in PP-YOLOE+ 29 and 30."""
    upstream, ours, weights = pair
    first = 30 if any(key.endswith("alpha") for key in weights) else 100
    losses = {}
    for epoch in (first - 1, first):
        batch = make_batch(128, seed=5, epoch=epoch)
        losses[epoch], expected = (train_step(model, weights, batch)[0] for model in (ours, upstream))
        assert losses[epoch]["loss"] == pytest.approx(expected["loss"], rel=1e-5)
    assert losses[first - 1]["loss_iou"] != pytest.approx(losses[first]["loss_iou"], rel=1e-3)


def test_medium_size_plus():
    upstream, ours = build_upstream("m", True), build_ours("m", True)
    random_weights(upstream, seed=6, batch=make_batch(96))
    weights = {key: value.numpy().copy() for key, value in upstream.state_dict().items()}
    load(ours, weights)
    assert_same_outputs(raw_outputs(ours, make_batch(96)), raw_outputs(upstream, make_batch(96)))
    assert_same_step(upstream, ours, weights, make_batch(96, seed=7, epoch=200))


def test_recomputation_changes_memory_only():
    plain = build_ours("s", True, {"width_mult": 0.25})
    frugal = build_ours("s", True, {"width_mult": 0.25, "CSPRepResNet": {"use_checkpoint": True}})
    batch = make_batch(96)
    random_weights(plain, seed=9, batch=batch)
    weights = {key: value.numpy().copy() for key, value in plain.state_dict().items()}
    expected, expected_gradients = train_step(plain, weights, batch)
    losses, gradients = train_step(frugal, weights, batch)
    assert losses == pytest.approx(expected, rel=1e-6)
    assert set(gradients) == set(expected_gradients)
    for name, gradient in gradients.items():
        if not name.endswith("alpha"):
            assert relative_error(gradient, expected_gradients[name]) <= 1e-4, name
