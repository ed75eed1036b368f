"""Self-distillation through the commands: the student's files, and what is turned down."""

import logging
import os

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import numpy as np
import paddle
import pytest
from ppdet.core.workspace import create

from ppdet_ext.cli import main
from ppdet_ext.config import load_config
from ppdet_ext.training.self_distillation import SelfDistillation
from tests.training.distillation_forms import FORMS, SMALL, detector
from tests.training.tiny import YOLOV6, history, make_workplace

DISTRIBUTIONS = ["EfficientRepHead.reg_max=16"]
STUDENT = [
    *DISTRIBUTIONS,
    "EfficientRepHead.direct_boxes=true",
    "EfficientRepHead.anchor_aided=false",
    "YOLODetector.distillation=SelfDistillation",
]
TEACHER = "SelfDistillation.teacher=teachers/tiny/model_final"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder in which a teacher was trained and then a student; the pair that the second training had."""
    folder = make_workplace(tmp_path_factory.mktemp("distillation"), family=YOLOV6)
    with open(folder / "tiny.yml", "a", encoding="utf-8") as file:
        file.write("".join(f"{key}: {value}\n" for key, value in SMALL.items()))
    pairs, attach = [], SelfDistillation.attach

    def witness(kind, model):
        pairs.append((kind, model))
        attach(kind, model)

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(logging, "raiseExceptions", False)
        patch.setattr(SelfDistillation, "attach", witness)
        assert main(["train", "-c", "tiny.yml", "-o", *DISTRIBUTIONS, "save_dir=teachers"]) == 0
        assert not pairs
        # After so few steps all scores are alike; the maps are not.
        options = [*STUDENT, TEACHER, "SelfDistillation.feature_weight=10", "epoch=2"]
        assert main(["train", "-c", "tiny.yml", "--eval", "-o", *options]) == 0
    (pair,) = pairs
    return folder, pair


@pytest.fixture
def command(trained, monkeypatch, capfd):
    """`command(*argv)` in that folder: its status and the last line of its stderr."""
    monkeypatch.chdir(trained[0])
    monkeypatch.setattr(logging, "raiseExceptions", False)

    def run(*argv):
        capfd.readouterr()
        status = main(list(argv))
        lines = capfd.readouterr().err.splitlines()
        return status, lines[-1] if lines else ""

    return run


def test_training_has_a_teacher_and_keeps_it_out_of_its_files(trained):
    folder, (kind, model) = trained
    *_, evaluation = history(folder / "output")
    steps = [record for record in history(folder / "output") if "step" in record]
    assert [(step["epoch"], step["step"]) for step in steps] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    for step in steps:
        assert np.isfinite(step["loss"]) and step["loss_distill"] > 0.1
        assert step["loss"] > step["loss_cls"] + 2.5 * step["loss_iou"] + step["loss_distill"]
    assert evaluation["epoch"] == 1 and "ap" in evaluation

    stored = paddle.load(str(folder / "teachers" / "tiny" / "model_final.pdparams"))
    assert [key for key in stored if "anchor_aided" in key]
    for key, value in kind._teacher.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), np.asarray(stored[key]), err_msg=key)
    assert not {id(p) for p in model.parameters()} & {id(p) for p in kind._teacher.parameters()}
    assert not any(layer is kind._teacher for layer in model.sublayers(include_self=True))

    output = folder / "output" / "tiny" / "model_final"
    plain = create(load_config(str(folder / "tiny.yml"), FORMS["n"][1]).architecture)
    for extension in ("pdparams", "pdema"):
        assert set(paddle.load(f"{output}.{extension}")) == set(plain.state_dict())
    moments = [key for key in paddle.load(f"{output}.pdopt") if "moment1" in key]
    assert len(moments) == sum(p.trainable for p in plain.parameters())


def test_evaluation_and_export_need_no_teacher(trained, command):
    """Of weights that were not trained for four steps, after which statistics are those of no image."""
    folder, _ = trained
    paddle.save(detector("n").state_dict(), "random.pdparams")
    options = ["-c", "tiny.yml", "-o", *STUDENT, "SelfDistillation.teacher=gone", "weights=random"]
    status, said = command("eval", *options)
    assert status == 0, said
    status, said = command("export", *options[:2], "--to", "onnx", "--output", "exported", *options[2:])
    assert status == 0, said
    assert (folder / "exported" / "model.onnx").is_file()


@pytest.mark.parametrize(
    "options, words",
    [
        (STUDENT, "SelfDistillation: no teacher; give the checkpoint of a training of the same config"),
        ([*STUDENT, "SelfDistillation.teacher=nowhere"], "nowhere.pdparams: no such checkpoint"),
        (
            [*STUDENT, TEACHER, "width_mult=0.25"],
            "teachers/tiny/model_final: not a teacher of this network, backbone.",
        ),
        ([*STUDENT, TEACHER, "EfficientRepHead.reg_max=8"], "not a teacher of this network, yolo_head."),
        (
            ["YOLODetector.distillation=SelfDistillation", TEACHER],
            "EfficientRepHead predicts no distributions of box sides; set its reg_max: 16",
        ),
        ([*STUDENT[:-1], "YOLODetector.distillation=SelfDistilation"], "did you mean 'SelfDistillation'"),
        ([*STUDENT, TEACHER, "SelfDistillation.tempreature=2"], "did you mean 'temperature'?"),
    ],
)
def test_training_turns_down_what_teaches_nothing(command, options, words):
    status, said = command("train", "-c", "tiny.yml", "-o", "save_dir=refused", *options)
    assert status == 2 and said.startswith("ppdet-ext train: ") and words in said, said
    assert not [name for _, _, names in os.walk("refused") for name in names if "model" in name]
