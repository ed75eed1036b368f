"""Two processes on the CPU, started as PaddleDetection's users start them."""

import math
import re

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import numpy as np
import pytest

from tests.training.tiny import ROOT, TRAIN, VAL, empty_second_half, history, make_workplace, run_python

TIMEOUT = 240
BATCH = 4

# tools/train.py, with a witness: what each process trained on and ended with.
WITNESS = f"""
import sys
sys.path.insert(0, r"{ROOT}")
from ppdet_ext import cli

import numpy as np
import paddle.distributed as dist
from ppdet_ext.training import trainer

class Witness(trainer.Trainer):
    def train(self, validate=False):
        boxes, forward = [], self.model.get_loss

        def get_loss():
            boxes.append(int(self.model.inputs["pad_gt_mask"].numpy().sum()))
            return forward()

        self.model.get_loss = get_loss
        super().train(validate)
        state = {{name: value.numpy() for name, value in self.model.named_parameters()}}
        np.savez(f"rank{{dist.get_rank()}}.npz", boxes=boxes, **state)

trainer.Trainer = Witness
sys.exit(cli.main(["train", *sys.argv[1:]]))
"""


def launch(script, *arguments, folder):
    """Runs a script in two processes; returns the log of each."""
    launcher = ["-m", "paddle.distributed.launch", "--nproc_per_node", "2", "--log_dir", folder / "logs"]
    run = run_python([*launcher, script, *arguments], folder, timeout=TIMEOUT)
    logs = [(folder / "logs" / f"workerlog.{rank}").read_text() for rank in (0, 1)]
    # Not the launcher's own output: it prints the whole environment.
    assert run.status == 0, "\n".join(log[-2000:] for log in logs)
    return logs


def test_two_processes_train_and_evaluate(tmp_path):
    folder = make_workplace(tmp_path)
    logs = launch(
        ROOT / "tools" / "train.py",
        "-c",
        "tiny.yml",
        "--eval",
        "-o",
        f"TrainReader.batch_size={BATCH}",
        folder=folder,
    )
    # The advice counts both processes, and is given once.
    advice = [line for log in logs for line in log.splitlines() if "does not fit a total batch" in line]
    assert len(advice) == 1 and f"a total batch of {2 * BATCH} (2 x {BATCH})" in advice[0]
    # Each process took half of the images.
    *steps, evaluation = history(folder / "output")
    assert [(s["step"], s["steps_per_epoch"]) for s in steps] == [(0, TRAIN // BATCH // 2), (1, 2)]
    assert all(math.isfinite(step["loss"]) for step in steps)
    assert "ap50" in evaluation
    # One process evaluates and writes; the other only trains.
    assert f"Load [{VAL} samples valid" in logs[0]
    assert logs[0].count("(AP) @[ IoU=0.50:0.95 | area=   all") == 1 and "Average Precision" not in logs[1]
    assert logs[0].count("Save checkpoint") == 2 and "Save checkpoint" not in logs[1]  # the last and the best
    output = {path.name for path in (folder / "output" / "tiny").iterdir()}
    assert output == {"history.jsonl", "bbox.json"} | {
        f"{name}.{extension}"
        for name in ("model_final", "best_model")
        for extension in ("pdparams", "pdema", "pdopt")
    }


def test_a_process_without_a_single_box_keeps_pace(tmp_path):
    """The first half of the images has boxes, the second none: without shuffling, each is one process's."""
    folder = make_workplace(tmp_path)
    kept = empty_second_half(folder)
    (folder / "witness.py").write_text(WITNESS)
    # The static assigner in the first epoch, the task-aligned one in the second; one step an epoch.
    overrides = ["epoch=2", "TrainReader.shuffle=false", "ETHead.static_assigner_epoch=1", "use_ema=false"]
    launch("witness.py", "-c", "tiny.yml", "-o", *overrides, folder=folder)
    ranks = [dict(np.load(folder / f"rank{rank}.npz")) for rank in (0, 1)]
    assert ranks[0].pop("boxes").tolist() == [kept] * 2
    assert ranks[1].pop("boxes").tolist() == [0, 0]
    # Both end with the same weights: they shared their gradients in every step.
    assert ranks[0].keys() == ranks[1].keys()
    learnt = [name for name in ranks[0] if not re.search(r"\._(mean|variance)$", name)]
    for name in learnt:
        assert np.isfinite(ranks[0][name]).all()
        np.testing.assert_array_equal(ranks[0][name], ranks[1][name], err_msg=name)
    assert len(learnt) > 100


@pytest.mark.parametrize("processes, batch, total", [(2, 4, 8), (4, 8, 32)])
def test_the_advice_names_the_total(processes, batch, total):
    from ppdet_ext.training.learning_rate import linear_scaling_advice

    advice = linear_scaling_advice(0.002, batch, processes, {"base_lr": 0.002, "batch_size": 16})
    assert f"a total batch of {total} ({processes} x {batch})" in advice
