"""YOLOv6 through the training commands: in one process, and in two of which one has nothing to find."""

import math
import re

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import numpy as np
import paddle
import pytest
from ppdet.core.workspace import create

from ppdet_ext.config import load_config
from tests.training.launcher import WITNESS, launch
from tests.training.tiny import (
    BATCH,
    ROOT,
    TRAIN,
    YOLOV6,
    empty_second_half,
    history,
    make_workplace,
    run_python,
)

# Every branch that a head can have.
BRANCHES = ["EfficientRepHead.reg_max=16", "EfficientRepHead.direct_boxes=true"]
TAUGHT = ["YOLODetector.distillation=SelfDistillation", "SelfDistillation.teacher=teacher"]


def test_an_epoch_with_evaluation(tmp_path):
    folder = make_workplace(tmp_path, family=YOLOV6)
    run = run_python([ROOT / "tools" / "train.py", "-c", "tiny.yml", "--eval"], folder)
    assert run.status == 0, run.log[-3000:]
    *steps, evaluation = history(folder / "output")
    assert [(s["epoch"], s["step"]) for s in steps] == [(0, step) for step in range(TRAIN // BATCH)]
    for step in steps:
        assert math.isfinite(step["loss"]) and step["loss_dfl"] == 0
        # The anchor-aided branch's terms, which the history has not, are all that is added.
        assert step["loss"] > step["loss_cls"] + 2.5 * step["loss_iou"] > 0
    assert 0 <= evaluation["ap"] <= evaluation["ap50"] <= 1 and "Average Precision" in run.out
    state = paddle.load(str(folder / "output" / "tiny" / "model_final.pdema"))
    fresh = create(load_config(str(folder / "tiny.yml")).architecture).state_dict()
    assert state.keys() == fresh.keys()
    # All biases began as a constant. Small objects teach boxes on the finest level, 2, at least.
    for branch in ("yolo_head", "yolo_head.anchor_aided"):
        for part in ("pred_cls", "pred_reg"):
            assert np.ptp(np.asarray(state[f"{branch}.{part}.2.bias"])) > 0, (branch, part)


def test_a_process_without_a_box_keeps_pace_with_every_branch(tmp_path):
    """The first half of the images has boxes, the second none: without shuffling, each is one process's.

    Anchor-aided branch, direct boxes beside distributions, and a teacher: both processes share their
    gradients in every step, and neither waits for what the other left out.
    """
    folder = make_workplace(tmp_path, family=YOLOV6)
    kept = empty_second_half(folder)
    (folder / "witness.py").write_text(WITNESS)
    head = {"EfficientRepHead": {"reg_max": 16, "direct_boxes": True}}
    teacher = create(load_config(str(folder / "tiny.yml"), head).architecture)
    paddle.save(teacher.state_dict(), str(folder / "teacher.pdparams"))
    overrides = ["epoch=2", "TrainReader.shuffle=false", "use_ema=false", *BRANCHES, *TAUGHT]
    launch("witness.py", "-c", "tiny.yml", "-o", *overrides, folder=folder)
    steps = history(folder / "output")
    assert len(steps) == 2 and all(math.isfinite(step["loss"]) and "loss_distill" in step for step in steps)
    ranks = [dict(np.load(folder / f"rank{rank}.npz")) for rank in (0, 1)]
    assert ranks[0].pop("boxes").tolist() == [kept] * 2
    assert ranks[1].pop("boxes").tolist() == [0, 0]
    assert ranks[0].keys() == ranks[1].keys() == set(teacher.state_dict())
    before = {key: value.numpy() for key, value in teacher.state_dict().items()}
    learnt = [name for name in ranks[0] if not re.search(r"\._(mean|variance)$|proj_conv", name)]
    assert any("anchor_aided.pred_reg" in name for name in learnt)
    for name in learnt:
        assert np.isfinite(ranks[0][name]).all()
        np.testing.assert_array_equal(ranks[0][name], ranks[1][name], err_msg=name)
    moved = [name for name in learnt if not np.array_equal(ranks[0][name], before[name])]
    assert {name.split(".")[1] for name in moved if name.startswith("yolo_head.pred_")} == {
        "pred_cls",
        "pred_reg",
        "pred_direct",
    }


@pytest.mark.slow
def test_two_processes_by_the_commands_own_option(tmp_path):
    folder = make_workplace(tmp_path, family=YOLOV6)
    options = ["--eval", "--processes", "2", "-o", f"TrainReader.batch_size={BATCH // 2}"]
    run = run_python([ROOT / "tools" / "train.py", "-c", "tiny.yml", *options], folder, timeout=240)
    assert run.status == 0, run.log[-3000:]
    *steps, evaluation = history(folder / "output")
    assert [(s["step"], s["steps_per_epoch"]) for s in steps] == [(0, 2), (1, 2)]
    assert all(math.isfinite(step["loss"]) for step in steps) and "ap50" in evaluation
