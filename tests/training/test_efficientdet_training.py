"""EfficientDet through the training commands: in one process, and in two of which one has nothing to find."""

import math
import re

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import numpy as np
import paddle
from ppdet.core.workspace import create

from ppdet_ext.config import load_config
from tests.training.launcher import WITNESS, launch
from tests.training.tiny import (
    BATCH,
    EFFICIENTDET,
    ROOT,
    TRAIN,
    empty_second_half,
    history,
    make_workplace,
    run_python,
)


def test_an_epoch_with_evaluation(tmp_path):
    folder = make_workplace(tmp_path, family=EFFICIENTDET)
    run = run_python([ROOT / "tools" / "train.py", "-c", "tiny.yml", "--eval"], folder)
    assert run.status == 0, run.log[-3000:]
    *steps, evaluation = history(folder / "output")
    assert [(s["epoch"], s["step"]) for s in steps] == [(0, step) for step in range(TRAIN // BATCH)]
    for step in steps:
        assert math.isclose(step["loss"], step["loss_cls"] + 50 * step["loss_box"], rel_tol=1e-4)
    assert 0 <= evaluation["ap"] <= evaluation["ap50"] <= 1 and "Average Precision" in run.out
    state = paddle.load(str(folder / "output" / "tiny" / "model_final.pdema"))
    fresh = create(load_config(str(folder / "tiny.yml")).architecture).state_dict()
    assert state.keys() == fresh.keys()
    # What began as a constant has learnt something.
    weights = [np.asarray(state[name]) for name in state if name.endswith("edge_weights")]
    assert weights and all(np.ptp(values) > 0 for values in weights)
    assert np.ptp(np.asarray(state["head.box_net.predict.pointwise.bias"])) > 0


def test_a_process_without_a_box_keeps_pace(tmp_path):
    """The first half of the images has boxes, the second none: without shuffling, each is one process's."""
    folder = make_workplace(tmp_path, family=EFFICIENTDET)
    kept = empty_second_half(folder)
    (folder / "witness.py").write_text(WITNESS)
    overrides = ["epoch=2", "TrainReader.shuffle=false", "use_ema=false"]
    launch("witness.py", "-c", "tiny.yml", "-o", *overrides, folder=folder)
    assert all(math.isfinite(step["loss"]) for step in history(folder / "output"))
    ranks = [dict(np.load(folder / f"rank{rank}.npz")) for rank in (0, 1)]
    assert ranks[0].pop("boxes").tolist() == [kept] * 2
    assert ranks[1].pop("boxes").tolist() == [0, 0]
    learnt = [name for name in ranks[0] if not re.search(r"\._(mean|variance)$", name)]
    assert any("class_net.predict" in name for name in learnt)
    for name in learnt:
        assert np.isfinite(ranks[0][name]).all()
        np.testing.assert_array_equal(ranks[0][name], ranks[1][name], err_msg=name)
