"""The teacher: what it says to the losses, and what it stays out of."""

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import numpy as np
import paddle
import pytest
from ppdet.core.workspace import create

from ppdet_ext.config import load_config
from ppdet_ext.quantization.qat import DetectorQAT
from ppdet_ext.training import distillation_losses as losses
from ppdet_ext.training.distillation import FeatureDistillation, OutputDistillation
from tests.nn.reference import randomise

SIZE = 64
KINDS = [
    lambda: FeatureDistillation(),
    lambda: FeatureDistillation(loss="l2"),
    lambda: OutputDistillation(),
]
IDS = ["cwd", "l2", "output"]


def detector(seed=0, **overrides):
    model = randomise(create(load_config("configs/demo/ppyoloe_nano_demo.yml", overrides).architecture), seed)
    for layer in [*model.yolo_head.pred_cls, *model.yolo_head.pred_reg]:
        layer.weight.set_value(layer.weight * 0.1)  # scores that are not all 0 or 1
    return model


def batch():
    rng = np.random.default_rng(0)
    values = {
        "image": rng.random([2, 3, SIZE, SIZE], "float32"),
        "gt_class": np.array([[[1], [2]], [[3], [0]]], "int32"),
        "gt_bbox": np.array([[[4, 4, 30, 40], [20, 20, 60, 60]], [[8, 8, 50, 50], [0, 0, 0, 0]]], "float32"),
        "pad_gt_mask": np.array([[[1], [1]], [[1], [0]]], "float32"),
        "im_id": np.array([[0], [1]]),
        "scale_factor": np.ones([2, 2], "float32"),
    }
    return {**{name: paddle.to_tensor(value) for name, value in values.items()}, "epoch_id": 5}


def pair(kind, seed=0, **overrides):
    """A float student beside a teacher of the same weights, or of other ones; both in evaluation mode."""
    student, teacher = detector(**overrides), detector(seed, **overrides)
    kind.attach(student, teacher)
    return student, teacher


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def test_losses_equal_numpy():
    rng = np.random.default_rng(0)
    s, t = rng.normal(size=[2, 2, 12, 6, 5])
    tensors = [paddle.to_tensor(v.astype("float32")) for v in (s, t)]

    p, q = (softmax(v.reshape(2, 12, 30) / 2.0) for v in (t, s))
    expected = 4.0 * (p * np.log(p / q)).sum(-1).mean()
    assert float(losses.channel_wise_loss(*tensors, temperature=2.0)) == pytest.approx(expected, rel=1e-4)

    expected = ((s - t) ** 2).mean() / (t**2).mean()
    assert float(losses.squared_loss(*tensors)) == pytest.approx(expected, rel=1e-4)

    flat = [v.flatten(2) for v in tensors]
    p, q = (1 / (1 + np.exp(-v)) for v in (t, s))
    expected = (p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))).sum()
    assert float(losses.class_loss(*flat)) == pytest.approx(expected, rel=1e-4)

    weights = rng.random([2, 30])
    p, q = (softmax(v.reshape(2, 4, 3, 30).transpose(0, 1, 3, 2)) for v in (t, s))
    expected = ((p * np.log(p / q)).sum(-1).mean(1) * weights).sum()
    given = paddle.to_tensor(weights.astype("float32"))
    assert float(losses.distribution_loss(*flat, given)) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("make", KINDS, ids=IDS)
def test_zero_where_student_and_teacher_are_one(make):
    """In evaluation statistics, and all the rest of a training pass."""
    student, teacher = pair(make())
    student.training = student.neck.training = student.yolo_head.training = True
    outputs = student(batch())
    assert float(outputs["loss_distill"]) == pytest.approx(0, abs=1e-6)
    plain = detector()
    plain.training = plain.neck.training = plain.yolo_head.training = True
    assert float(outputs["loss"]) == pytest.approx(float(plain(batch())["loss"]), rel=1e-5)
    assert not any(layer.training for layer in teacher.sublayers(include_self=True))


@pytest.mark.parametrize(
    "make", [*KINDS, lambda: OutputDistillation(box_weight=2.0)], ids=[*IDS, "distances"]
)
def test_it_falls_and_moves_the_student_alone(make, request):
    direct = "distances" in request.node.name  # a head without DFL
    student, teacher = pair(make(), seed=1, **({"ETHead": {"reg_max": 0}} if direct else {}))
    before = {key: value.numpy().copy() for key, value in teacher.state_dict().items()}
    keys = set(student.state_dict())
    assert keys == set(teacher.state_dict())  # nothing has been added
    assert not {id(p) for p in student.parameters()} & {id(p) for p in teacher.parameters()}
    student.train()
    assert not teacher.training and not teacher.neck.training
    optimiser = paddle.optimizer.Adam(1e-3, parameters=[p for p in student.parameters() if p.trainable])
    found = []
    for _ in range(5):
        loss = student(batch())["loss_distill"]
        loss.backward()
        assert student.backbone.stem.conv1.conv.weight.grad.abs().sum() > 0
        assert all(parameter.grad is None for parameter in teacher.parameters())
        optimiser.step()
        optimiser.clear_grad()
        found.append(float(loss))
    assert all(np.isfinite(found)) and found[-1] < found[0], found
    for key, value in teacher.state_dict().items():
        np.testing.assert_array_equal(before[key], value.numpy(), err_msg=key)
    assert set(student.state_dict()) == keys


def test_the_weight_multiplies_and_evaluation_knows_nothing_of_it():
    outputs = []
    for weight in (1.0, 3.0):
        student, _ = pair(OutputDistillation(weight=weight), seed=1)
        student.train()
        outputs.append(student(batch()))
    once, thrice = outputs
    assert float(thrice["loss_distill"]) == pytest.approx(3 * float(once["loss_distill"]), rel=1e-4)
    difference = float(thrice["loss"]) - float(once["loss"])
    assert difference == pytest.approx(2 * float(once["loss_distill"]), rel=1e-3)
    student.eval()
    assert set(student(batch())) == {"bbox", "bbox_num"}


@pytest.mark.parametrize("make", KINDS, ids=IDS)
def test_the_float_network_teaches_the_quantised_one(make):
    kind = make()
    model = DetectorQAT(distillation=kind)(detector())
    keys = list(model.state_dict())
    assert keys == list(DetectorQAT()(detector()).state_dict())  # checkpoints are the student's
    outputs = model(batch())
    assert float(outputs["loss_distill"]) > 0
    outputs["loss"].backward()
    teacher = kind._teacher
    assert not any(key.endswith("conv2.bn.weight") for key in teacher.state_dict())  # in its deployed form
    assert model.backbone.stem.conv2.conv.weight.grad is not None


def test_an_untrained_network_teaches_nobody():
    """As in an evaluation, where the checkpoint is loaded afterwards."""
    model = create(load_config("configs/demo/ppyoloe_nano_demo.yml").architecture)
    kind = FeatureDistillation()
    DetectorQAT(distillation=kind)(model)
    assert kind._teacher is None and not model._forward_post_hooks


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: FeatureDistillation(loss="cdw"), "loss 'cdw' is unknown; did you mean 'cwd'"),
        (lambda: FeatureDistillation(temperature=0), "temperature is 0; give a number above 0"),
        (lambda: OutputDistillation(weight="much"), "OutputDistillation: weight is 'much'"),
        (lambda: FeatureDistillation().attach(paddle.nn.ReLU(), None), "ReLU has no backbone"),
    ],
)
def test_options_that_nobody_can_use(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_outputs_of_a_foreign_head_can_not_be_seen():
    model = detector()
    model.yolo_head = paddle.nn.ReLU()
    with pytest.raises(
        ValueError, match="ReLU is no head of ppdet_ext; take distillation: FeatureDistillation"
    ):
        OutputDistillation().attach(model, detector())
