"""A network taught by one of its own kind: what the teacher says, and what it stays out of."""

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import numpy as np
import paddle
import pytest
from ppdet.core.workspace import create

from ppdet_ext.config import load_config
from ppdet_ext.training.self_distillation import SelfDistillation
from tests.modeling.steady import steady
from tests.nn.reference import random_input, sigmoid
from tests.training.distillation_forms import CLASSES, FORMS, SIDE, SMALL, all_forms, batch, detector


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Each form's random weights, as the checkpoint of a teacher."""
    folder = tmp_path_factory.mktemp("teachers")
    found = {}
    for form in FORMS:
        found[form] = str(folder / f"{form}.pdparams")
        paddle.save(detector(form).state_dict(), found[form])
    return found


def taught(model, teacher, epoch=8, **options):
    """A detector with a teacher, training but for its BatchNorms: they keep their statistics."""
    kind = SelfDistillation(teacher=teacher, epoch=epoch, **options)
    kind.attach(model)
    model.training = model.neck.training = model.yolo_head.training = True
    return model, kind


def distill(model, **given):
    return float(model(batch(**given))["loss_distill"])


@all_forms
def test_nothing_is_learnt_from_an_equal(form, files):
    student, _ = taught(detector(form), files[form], feature_weight=10.0)
    plain = detector(form)
    plain.training = plain.neck.training = plain.yolo_head.training = True
    losses, expected = student(batch()), plain(batch())
    assert float(expected["loss_dfl"]) > 0, "there are positives, whose distributions are compared"
    assert float(losses["loss_distill"]) == pytest.approx(0, abs=1e-4)
    assert set(losses) == {*expected, "loss_distill"}
    assert float(losses["loss"]) == pytest.approx(float(expected["loss"]), rel=1e-5)


def move(convs, by):
    """Another bias; the same one for every class or bin would be none after a softmax."""
    rng = np.random.default_rng(8)
    for conv in convs:
        shift = rng.normal(0, by, conv.bias.shape).astype("float32")
        conv.bias.set_value(conv.bias + paddle.to_tensor(shift))


def class_logits(model):
    with paddle.no_grad():
        levels = model.yolo_head.predict_levels(model.features(batch()))
    return np.concatenate([c.numpy().reshape(2, CLASSES, -1) for c, _ in levels], -1).astype("float64")


def divergence(student, teacher, temperature, axis):
    """KL(teacher || student) of the softmax over an axis, times the square of the temperature."""
    log_q, log_p = (
        values / temperature - np.log(np.exp(values / temperature).sum(axis, keepdims=True))
        for values in (student, teacher)
    )
    return temperature**2 * (np.exp(log_p) * (log_p - log_q)).sum(axis)


@pytest.mark.parametrize("form", ["n", "PP-YOLOE"])
@pytest.mark.parametrize("weight, temperature", [(1.0, 20.0), (0.8, 2.0)])
def test_classes_are_compared_as_numpy_does(form, weight, temperature, files):
    model = detector(form)
    theirs = class_logits(model)
    move(model.yolo_head.pred_cls, 1.0)
    expected = weight * divergence(sigmoid(class_logits(model)), sigmoid(theirs), temperature, 1).sum()
    assert expected > 0.3
    student, _ = taught(model, files[form], class_weight=weight, temperature=temperature)
    for objects in (True, False):
        # In float32: over 20, the probabilities are nearly alike.
        assert distill(student, objects=objects) == pytest.approx(expected, rel=5e-3)


@all_forms
def test_distributions_are_compared_where_objects_are(form, files):
    found = []
    for weight in (1.0, 3.0):
        model = detector(form)
        move(model.yolo_head.pred_reg, 1.0)
        student, _ = taught(model, files[form], box_weight=weight)
        found.append(distill(student))
        assert distill(student, objects=False) == pytest.approx(0, abs=1e-4)
    assert found[0] > 0.01 and found[1] == pytest.approx(3 * found[0], rel=1e-4)


def test_directly_predicted_boxes_are_not_compared(files):
    model = detector()
    move(model.yolo_head.pred_direct, 1.0)
    student, _ = taught(model, files["n"])
    assert distill(student) == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("form", ["m", "PP-YOLOE"])
def test_maps_are_compared_as_numpy_does(form, files):
    model = detector(form)
    with paddle.no_grad():
        theirs = [feat.numpy().astype("float64") for feat in model.features(batch())]
    norm = next(layer for layer in model.neck.sublayers() if isinstance(layer, paddle.nn.BatchNorm2D))
    norm.bias.set_value(norm.bias + 0.5)
    with paddle.no_grad():
        ours = [feat.numpy().astype("float64") for feat in model.features(batch())]
    with_maps, _ = taught(model, files[form], feature_weight=10.0)
    expected = 10 * sum(
        divergence(*(feat.reshape(*feat.shape[:2], -1) for feat in pair), 1.0, -1).mean()
        for pair in zip(ours, theirs)
    )
    both = distill(with_maps)
    other = detector(form)
    other.set_state_dict(model.state_dict())
    without, _ = taught(other, files[form])
    assert expected > 0.1
    assert both - distill(without) == pytest.approx(expected, rel=2e-3)


def test_the_teacher_fades_over_the_configs_epochs(files):
    cfg = load_config(
        "configs/demo/yolov6_nano_demo.yml",
        {
            **SMALL,
            **FORMS["n"][1],
            "epoch": 40,
            "YOLODetector": {"distillation": "SelfDistillation"},
            "SelfDistillation": {"teacher": files["n"]},
        },
    )
    model = steady(create(cfg.architecture), random_input(2, 3, 2 * SIDE, 2 * SIDE))
    move(model.yolo_head.pred_cls, 1.0)
    model.training = model.neck.training = model.yolo_head.training = True
    first = distill(model)
    found = [distill(model, epoch=epoch) / first for epoch in (10, 20, 40)]
    expected = [1 - 0.99 * (1 - np.cos(np.pi * epoch / 40)) / 2 for epoch in (10, 20, 40)]
    np.testing.assert_allclose(found, expected, rtol=1e-3)
    assert expected[-1] == pytest.approx(0.01)


@all_forms
def test_the_student_moves_and_the_teacher_does_not(form, files):
    model = detector(form)
    keys = list(model.state_dict())
    move([*model.yolo_head.pred_cls, *model.yolo_head.pred_reg], 1.0)
    student, kind = taught(model, files[form], feature_weight=10.0)
    first = next(p for p in student.backbone.parameters() if p.ndim == 4)
    moved = [conv.bias for conv in [*model.yolo_head.pred_cls, *model.yolo_head.pred_reg]]
    optimiser = paddle.optimizer.Adam(0.2, parameters=moved)
    found = []
    for _ in range(4):
        loss = student(batch())["loss_distill"]
        loss.backward()
        assert np.abs(first.grad.numpy()).max() > 0, "all of it learns"
        optimiser.step()
        student.clear_gradients()
        found.append(float(loss))
    assert found[-1] < 0.7 * found[0], found
    assert list(student.state_dict()) == keys, "checkpoints are the student's"
    teacher = kind._teacher
    assert not {id(p) for p in student.parameters()} & {id(p) for p in teacher.parameters()}
    assert all(p.stop_gradient and p.grad is None for p in teacher.parameters())
    assert not any(layer.training for layer in teacher.sublayers(include_self=True))
    stored = paddle.load(files[form])
    for key, value in teacher.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), stored[key].numpy(), err_msg=key)


@pytest.mark.parametrize("size", ["n", "s", "m", "l"])
def test_the_configs_name_teachers_that_fit(size, tmp_path):
    """The file that a config waits for is what another one writes, and a step with it works."""
    small = {**SMALL, "width_mult": 0.1875, "num_classes": CLASSES}
    file = f"configs/yolov6/yolov6_{size}_distill_coco.yml"
    waited_for = load_config(file, small)["SelfDistillation"]["teacher"]
    first = waited_for.split("/")[1]
    config = load_config(f"configs/yolov6/{first}.yml", small)
    assert waited_for == f"{config.weights}.pdparams"
    teacher = create(config.architecture)
    assert teacher.yolo_head.anchor_aided is not None
    paddle.save(teacher.state_dict(), str(tmp_path / "teacher.pdparams"))
    overrides = {**small, "SelfDistillation": {"teacher": str(tmp_path / "teacher.pdparams")}}
    student = create(load_config(file, overrides).architecture)
    student.train()
    losses = student(batch())
    assert np.isfinite(float(losses["loss"])) and "loss_distill" in losses
    assert ("loss_direct_iou" in losses) == (size in "ns")
    student.eval()
    distances = student.yolo_head.predict_levels(student.features(batch()))[0][1]
    assert distances.shape[1] == (4 if size in "ns" else 4 * 17)


def test_evaluation_asks_for_no_teacher():
    student, kind = taught(detector(), "nowhere")
    student.eval()
    assert set(student(batch())) == {"bbox", "bbox_num"} and kind._teacher is None


def test_the_file_may_be_named_without_its_extension(files):
    found = []
    for name in (files["n"], files["n"][: -len(".pdparams")]):
        model = detector()
        move(model.yolo_head.pred_cls, 1.0)
        found.append(distill(taught(model, name)[0]))
    assert found[0] == found[1] > 0


@pytest.mark.parametrize("direct, aided", [(False, True), (True, False), (True, True)])
def test_a_teacher_may_have_what_only_its_training_used(direct, aided, tmp_path):
    teacher = detector(direct_boxes=direct, anchor_aided=aided)
    paddle.save(teacher.state_dict(), str(tmp_path / "teacher.pdparams"))
    model = detector()
    model.set_state_dict(teacher.state_dict())
    student, kind = taught(model, str(tmp_path / "teacher"))
    assert distill(student) == pytest.approx(0, abs=1e-4)
    assert not [key for key in kind._teacher.state_dict() if "pred_direct" in key or "anchor_aided" in key]


def refusal(act):
    with pytest.raises(ValueError) as found:
        act()
    assert "\n" not in str(found.value)
    return str(found.value)


def test_teachers_that_are_none(files, tmp_path):
    student, _ = taught(detector(), None)
    assert refusal(lambda: student(batch())).startswith("SelfDistillation: no teacher; give the checkpoint")
    student, _ = taught(detector(), "nowhere/at_all")
    assert refusal(lambda: student(batch())).startswith("nowhere/at_all.pdparams: no such checkpoint")
    student, _ = taught(detector(), files["PP-YOLOE"])
    said = refusal(lambda: student(batch()))
    assert said.startswith(files["PP-YOLOE"]) and "not a teacher of this network" in said
    # Of the same config, but its boxes have no distributions.
    bare = detector("n", reg_max=0, direct_boxes=False)
    paddle.save(bare.state_dict(), str(tmp_path / "bare.pdparams"))
    student, _ = taught(detector(), str(tmp_path / "bare.pdparams"))
    said = refusal(lambda: student(batch()))
    # Weight and bias of three levels, and the projection.
    assert "yolo_head.pred_reg.0.bias and 6 other parameters do not fit" in said, said
    assert said.endswith("with the same reg_max") or "same reg_max" in said


@pytest.mark.parametrize(
    "options, words",
    [
        ({"temperature": 0}, "SelfDistillation: temperature is 0; give a number above 0"),
        ({"class_weight": "much"}, "SelfDistillation: class_weight is 'much'"),
        ({"box_weight": -1.0}, "SelfDistillation: box_weight is -1.0"),
        ({"feature_weight": -10}, "SelfDistillation: feature_weight is -10"),
    ],
)
def test_numbers_that_nobody_can_use(options, words):
    assert refusal(lambda: SelfDistillation(teacher="teacher", **options)).startswith(words)


def test_a_head_without_distributions():
    model = detector("n", reg_max=0, direct_boxes=False)
    said = refusal(lambda: SelfDistillation(teacher="teacher").attach(model))
    assert said.startswith(
        "SelfDistillation: EfficientRepHead predicts no distributions of box sides; set its"
    )
    model.yolo_head = paddle.nn.ReLU()
    said = refusal(lambda: SelfDistillation(teacher="teacher").attach(model))
    assert said.startswith("SelfDistillation: ReLU predicts no distributions")
