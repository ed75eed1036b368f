"""Two processes on the CPU, started as PaddleDetection's users start them."""

import itertools
import json
import math
import re

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import numpy as np
import paddle
import pytest

from ppdet_ext.training.sharded_eval import OwnBatches
from tests.training.launcher import WITNESS, launch
from tests.training.tiny import ROOT, TRAIN, VAL, empty_second_half, history, make_workplace, run_python

BATCH = 4

TOOLS = ROOT / "tools"
AP = "(AP) @[ IoU=0.50:0.95 | area=   all"
AP_LINE = re.compile(r"Average (Precision|Recall) ")

# tools/eval.py, twice.
EVALUATED = (2, 16)
EVALUATE = f"""
import sys
sys.path.insert(0, r"{ROOT}")
from ppdet_ext import cli

for batch in {EVALUATED}:
    options = ["-o", f"EvalReader.batch_size={{batch}}", "weights=output/tiny/model_final"]
    status = cli.main(["eval", "-c", "tiny.yml", *options, "--output_eval", f"{{sys.argv[1]}}.{{batch}}"])
    assert status == 0
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of two processes with evaluation, of an odd number of images: its folder and its logs."""
    folder = make_workplace(tmp_path_factory.mktemp("trained"))
    drop_last_image(folder)
    batch = ["-o", f"TrainReader.batch_size={BATCH}", "EvalReader.batch_size=2"]
    return folder, launch(TOOLS / "train.py", "-c", "tiny.yml", "--eval", *batch, folder=folder)


def drop_last_image(folder):
    path = folder / "demo" / "annotations" / "val.json"
    truth = json.loads(path.read_text())
    last = truth["images"].pop()["id"]
    truth["annotations"] = [box for box in truth["annotations"] if box["image_id"] != last]
    path.write_text(json.dumps(truth))


def test_two_processes_train_and_evaluate(trained):
    folder, logs = trained
    # The advice counts both processes, and is given once.
    advice = [line for log in logs for line in log.splitlines() if "does not fit a total batch" in line]
    assert len(advice) == 1 and f"a total batch of {2 * BATCH} (2 x {BATCH})" in advice[0]
    # Each process took half of the images.
    *steps, evaluation = history(folder / "output")
    assert [(s["step"], s["steps_per_epoch"]) for s in steps] == [(0, TRAIN // BATCH // 2), (1, 2)]
    assert all(math.isfinite(step["loss"]) for step in steps)
    assert "ap50" in evaluation
    # Both evaluate, one counts and writes.
    assert f"Load [{VAL - 1} samples valid" in logs[0]
    assert logs[0].count(AP) == 1 and "Average Precision" not in logs[1]
    assert logs[0].count("Save checkpoint") == 1 and "Save checkpoint" not in logs[1]
    output = {path.name for path in (folder / "output" / "tiny").iterdir()}
    assert output == {"history.jsonl", "bbox.json", "best_bbox.json", "report", "checkpoints"} | {
        f"{name}.{extension}"
        for name in ("model_final", "best_model")
        for extension in ("pdparams", "pdema", "pdopt")
    }


@pytest.mark.slow
def test_evaluations_of_one_and_two_processes_are_equal_to_the_last_bit(trained):
    """Of four batches, and of one, which leaves a process without."""
    folder, logs = trained
    (folder / "evaluate.py").write_text(EVALUATE)
    alone = run_python(["evaluate.py", "alone"], folder)
    assert alone.status == 0, alone.log
    log, other = launch("evaluate.py", "shared", folder=folder)
    boxes, again = [(folder / f"alone.{batch}" / "bbox.json").read_bytes() for batch in EVALUATED]
    assert len(json.loads(boxes)) > 20 and len(json.loads(again)) > 20
    assert (folder / "shared.2" / "bbox.json").read_bytes() == boxes
    assert (folder / "shared.16" / "bbox.json").read_bytes() == again
    # In training the last evaluation was of these weights.
    assert (folder / "output" / "tiny" / "bbox.json").read_bytes() == boxes
    table = [line for line in alone.log.splitlines() if AP_LINE.search(line)]
    assert len(table) == 24 and table == [line for line in log.splitlines() if AP_LINE.search(line)]
    assert table[:12] == [line for line in logs[0].splitlines() if AP_LINE.search(line)]
    assert log.count(f"Total sample number: {VAL - 1}") == 2 and "Average Precision" not in other


@pytest.mark.parametrize("images, batch, processes", [(7, 2, 2), (8, 4, 2), (1, 4, 2), (23, 3, 5), (0, 2, 2)])
def test_each_batch_is_one_processs(images, batch, processes):
    everything = paddle.io.BatchSampler(list(range(images)), batch_size=batch)
    shares = [OwnBatches(everything, rank, processes) for rank in range(processes)]
    batches = [list(share) for share in shares]
    assert [len(share) for share in shares] == [len(found) for found in batches]
    merged = [one for turn in itertools.zip_longest(*batches) for one in turn if one is not None]
    assert merged == list(everything)


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
    from ppdet_ext.training.learning_rate import rate_advice

    advice = rate_advice(0.002, batch, processes, {"base_lr": 0.002, "batch_size": 16})
    assert f"a total batch of {total} ({processes} x {batch})" in advice
