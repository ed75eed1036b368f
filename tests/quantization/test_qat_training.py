"""QAT through the commands: a tiny training, its evaluation and what they turn down."""

import logging
import math
import os
import shutil
from pathlib import Path

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import numpy as np
import paddle
import pytest

from ppdet_ext.cli import main
from tests.nn.reference import randomise
from tests.training.tiny import ROOT, TRAIN, VAL, history, make_workplace, run_python

SLIM = f"""
_BASE_: ['{ROOT}/configs/slim/qat/ppyoloe_qat.yml']
slim: DetectorQAT
pretrain_weights: float
epoch: 1
"""
QAT = ["--slim_config", "tiny_qat.yml"]
CHECKPOINT = "output/tiny_qat/model_final"


def read_history(folder):
    (folder / "tiny").mkdir(exist_ok=True)
    shutil.copy(folder / "tiny_qat" / "history.jsonl", folder / "tiny" / "history.jsonl")
    return history(folder)


def average_precision(run):
    line = next(line for line in run.out.splitlines() if "IoU=0.50:0.95 | area=   all | maxDets=100" in line)
    return float(line.split("=")[-1])


def prepare(folder):
    """A workplace with a slim config and float weights: random ones, with BatchNorms that saw images."""
    from ppdet.core.workspace import create

    from ppdet_ext.config import load_config

    make_workplace(folder)
    (folder / "tiny_qat.yml").write_text(SLIM)
    paddle.seed(0)
    model = randomise(create(load_config(str(folder / "tiny.yml")).architecture))
    for layer in [*model.yolo_head.pred_cls, *model.yolo_head.pred_reg]:
        layer.weight.set_value(layer.weight * 0.1)
    paddle.save(model.state_dict(), str(folder / "float.pdparams"))
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder in which a QAT with a teacher has run, and its output."""
    folder = prepare(tmp_path_factory.mktemp("qat"))
    options = ["-o", "DetectorQAT.distillation=OutputDistillation"]
    run = run_python([ROOT / "tools" / "train.py", "-c", "tiny.yml", *QAT, "--eval", *options], folder)
    assert run.status == 0, run.log[-3000:]
    return folder, run


@pytest.fixture
def refused(trained, monkeypatch, capfd):
    """`refused(*argv)`: the one line with which a command turns bad input down, run in that folder."""
    monkeypatch.chdir(trained[0])
    monkeypatch.setattr(logging, "raiseExceptions", False)

    def run(*argv):
        capfd.readouterr()
        assert main(list(argv)) == 2
        line = capfd.readouterr().err.splitlines()[-1]
        assert line.startswith(f"ppdet-ext {argv[0]}: ")
        return line

    return run


def test_training_writes_the_students_checkpoint(trained):
    folder, run = trained
    *steps, evaluation = read_history(folder / "output")
    assert len(steps) == 2 and all(math.isfinite(step["loss"]) for step in steps)
    assert all(step["loss_distill"] > 0 for step in steps)
    assert 0 <= evaluation["ap"] <= 1 and "Average Precision" in run.out
    averaged = paddle.load(str(folder / f"{CHECKPOINT}.pdparams"))
    raw = paddle.load(str(folder / f"{CHECKPOINT}.pdema"))
    assert averaged.keys() == raw.keys()
    assert not any("teacher" in key or "conv2.bn" in key for key in raw)
    for state in (averaged, raw):
        states = {key: value for key, value in state.items() if "_fake_quant_input._s" in key}
        # Every range has seen both steps, and is one that an input can have.
        assert len(states) > 150
        assert all(
            np.isfinite(value.numpy()).all() and (value.numpy() > 0.001).all() for value in states.values()
        )
        assert all((value.numpy() > 1.5).all() for key, value in states.items() if key.endswith("_state"))


def test_evaluation_finds_what_training_found_and_training_goes_on(trained, tmp_path):
    """Evaluation needs neither the float weights nor a teacher."""
    folder = tmp_path / "copy"
    shutil.copytree(trained[0], folder)
    (folder / "float.pdparams").rename(folder / "elsewhere.pdparams")
    tools = ROOT / "tools"
    run = run_python([tools / "eval.py", "-c", "tiny.yml", *QAT, "-o", f"weights={CHECKPOINT}"], folder)
    assert run.status == 0, run.log[-3000:]
    assert f"Total sample number: {VAL}" in run.log
    before = read_history(folder / "output")
    assert average_precision(run) == pytest.approx(before[-1]["ap"], abs=1e-3)

    run = run_python([tools / "train.py", "-c", "tiny.yml", *QAT, "-r", CHECKPOINT, "-o", "epoch=2"], folder)
    assert run.status == 0, run.log[-3000:]
    after = read_history(folder / "output")
    assert after[: len(before)] == before and [record["epoch"] for record in after[len(before) :]] == [1, 1]
    assert after[-1]["loss"] < 4 * before[1]["loss"] and "loss_distill" not in after[-1]
    raw = paddle.load(str(folder / f"{CHECKPOINT}.pdema"))
    steps = float(raw["backbone.stem.conv2.conv._fake_quant_input._state"])
    assert steps == pytest.approx(1 * 0.9**4 + 0.9**3 + 0.9**2 + 0.9 + 1, rel=1e-3)  # four steps, two runs


@pytest.mark.parametrize(
    "verb, text, options, words",
    [
        ("train", "slim: DetectorQTA", [], "slim 'DetectorQTA' does not exist; did you mean 'DetectorQAT'?"),
        ("train", "epoch: 1", [], "'slim' is missing"),
        (
            "train",
            "",
            ["DetectorQAT.float_layer=[a]"],
            "no option 'float_layer'; did you mean 'float_layers'",
        ),
        (
            "train",
            "DetectorQAT: {reparametrize: false}",
            [],
            "bad.yml: DetectorQAT has no option 'reparametrize'",
        ),
        ("train", "DetectorQAt: {moving_rate: 0.9}", [], "bad.yml: DetectorQAt: the config has no such key"),
        ("train", "pretrian_weights: float", [], "did you mean 'pretrain_weights'?"),
        ("train", "DetectorQAT: {distillation: OutputDistilation}", [], "did you mean 'OutputDistillation'?"),
        (
            "train",
            "DetectorQAT: {float_layers: ['neck.*.covn']}",
            [],
            "no convolution is called 'neck.*.covn'",
        ),
        ("train", "pretrain_weights: ~", [], "no weights; QAT starts from"),
        ("train", "pretrain_weights: nowhere", [], "nowhere.pdparams: no such checkpoint"),
        ("train", f"pretrain_weights: {CHECKPOINT}", [], "the checkpoint of a quantised network"),
        ("train", "ema_filter_no_grad: true", [], "ema_filter_no_grad: true averages the ranges"),
        ("train", "architecture: PPYOLOE", [], "architecture is PPYOLOE"),
        ("eval", "", ["weights=float"], "float: the checkpoint of a float network"),
    ],
)
def test_bad_slim_configs(refused, verb, text, options, words):
    base = "" if text.startswith(("slim:", "epoch:")) else "_BASE_: ['tiny_qat.yml']\n"
    Path("bad.yml").write_text(f"{base}{text}\n")
    line = refused(verb, "-c", "tiny.yml", "--slim_config", "bad.yml", "-o", "save_dir=refused", *options)
    assert words in line
    assert not os.path.exists("refused")


def test_a_quantised_checkpoint_needs_its_slim_config(refused):
    line = refused("eval", "-c", "tiny.yml", "-o", f"weights={CHECKPOINT}")
    assert "give the --slim_config" in line


def test_a_teacher_needs_its_weights_after_a_resume_too(refused):
    options = ["pretrain_weights=null", "DetectorQAT.distillation=FeatureDistillation", "save_dir=refused"]
    line = refused("train", "-c", "tiny.yml", *QAT, "-r", CHECKPOINT, "-o", *options)
    assert "distillation needs the float teacher's" in line


@pytest.mark.slow
def test_two_processes_train_one_network(tmp_path):
    folder = prepare(tmp_path)
    options = ["TrainReader.batch_size=4", "DetectorQAT.distillation=FeatureDistillation"]
    launcher = ["-m", "paddle.distributed.launch", "--nproc_per_node", "2", "--log_dir", folder / "logs"]
    command = [ROOT / "tools" / "train.py", "-c", "tiny.yml", *QAT, "--eval", "-o", *options]
    run = run_python([*launcher, *command], folder, timeout=300)
    logs = [(folder / "logs" / f"workerlog.{rank}").read_text() for rank in (0, 1)]
    assert run.status == 0, "\n".join(log[-2000:] for log in logs)
    *steps, evaluation = read_history(folder / "output")
    assert [step["steps_per_epoch"] for step in steps] == [TRAIN // 4 // 2] * 2
    assert all(math.isfinite(step["loss_distill"]) for step in steps) and "ap" in evaluation
