"""Two processes of B images learn what one process of 2 B learns: every head, with BatchNorm frozen."""

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import json

import numpy as np
import pytest

from tests.training.launcher import launch
from tests.training.tiny import ROOT, run_python

pytestmark = pytest.mark.slow
BATCH, SIZE, CLASSES = 4, 96, 3

# Forward, backward, exchange and a step of SGD of some detectors on fixed images; of two processes each takes
# its half. SyncBatchNorm has no kernel for CPUs, so BatchNorm is frozen; where it has one, its statistics are
# those of the whole batch.
SCRIPT = f"""
import json, os, sys
sys.path.insert(0, r"{ROOT}")
import ppdet_ext
import numpy as np
import paddle
import paddle.distributed as dist
from ppdet.core.workspace import create
from ppdet_ext.config import load_config

dist.init_parallel_env()
rank, processes = dist.get_rank(), dist.get_world_size()
mine = slice(rank * {BATCH} // processes, (rank + 1) * {BATCH} // processes)
for name, case in json.load(open("cases.json")).items():
    if "SelfDistillation" in case["overrides"]:
        case["overrides"]["SelfDistillation"]["teacher"] = f"teacher.{{rank}}.pdparams"
    overrides = {{"num_classes": {CLASSES}, "norm_type": "bn", **case["overrides"]}}
    cfg = load_config(os.path.join(r"{ROOT}", "configs", "demo", case["config"]), overrides)
    paddle.seed(0)
    model = create(cfg.architecture)
    rng = np.random.default_rng(0)
    # Predictions start from zero, through which nothing flows back.
    for key, value in sorted(model.named_parameters()):
        if "pred_" in key and key.endswith("weight") and value.min() == value.max():
            value.set_value(rng.normal(0, 0.05, value.shape).astype("float32"))
    if "SelfDistillation" in case["overrides"]:  # differs from its student in everything but the statistics
        share = {{True: 1.0, False: 1.05}}
        state = {{key: value * share["_variance" in key] for key, value in model.state_dict().items()}}
        paddle.save(state, f"teacher.{{rank}}.pdparams")
    model.train()
    norms = [layer for layer in model.sublayers() if isinstance(layer, paddle.nn.BatchNorm2D)]
    batch = {{key: paddle.to_tensor(value) for key, value in np.load(name.split(".")[0] + ".npz").items()}}
    batch["gt_bbox"] = batch["gt_bbox"] * batch["pad_gt_mask"]
    for norm in norms:
        norm._momentum = 0.0  # the statistics of one batch, all of it, are the running ones
    with paddle.no_grad():
        model({{**batch, "epoch_id": case["epoch"]}})
    for norm in norms:
        norm.eval()
    batch = {{**{{key: value[mine] for key, value in batch.items()}}, "epoch_id": case["epoch"]}}
    together = paddle.DataParallel(model) if processes > 1 else model
    optimizer = paddle.optimizer.SGD(0.01, parameters=model.parameters())
    losses = together(batch)
    losses["loss"].backward()
    found = {{"loss": losses["loss"].numpy()}}
    found.update((key, p.grad.numpy()) for key, p in model.named_parameters() if p.grad is not None)
    optimizer.step()
    found.update(("after " + key, p.numpy()) for key, p in model.named_parameters())
    np.savez(f"{{name}}.{{processes}}.{{rank}}.npz", **found)
"""

CASES = {  # config, epoch (which decides the assigner), overrides
    "ppyoloe_tal": ("ppyoloe_nano_demo.yml", 9, {}),
    "ppyoloe_atss": ("ppyoloe_nano_demo.yml", 0, {}),
    "yolov6_aided": ("yolov6_nano_demo.yml", 9, {}),
    "yolov6_direct": ("yolov6_nano_demo.yml", 9, {"EfficientRepHead": {"reg_max": 16, "direct_boxes": True}}),
    "yolov6_simota": ("yolov6_nano_demo.yml", 9, {"EfficientRepHead": {"assigner": "SimOTALabelAssigner"}}),
    "yolov6_taught": (
        "yolov6_nano_demo.yml",
        9,
        {
            "EfficientRepHead": {"reg_max": 16, "direct_boxes": True},
            "YOLODetector": {"distillation": "SelfDistillation"},
            "SelfDistillation": {},  # its teacher is made by the script
        },
    ),
    "efficientdet": ("efficientdet_nano_demo.yml", 9, {}),
    "efficientdet_ignoring": (
        "efficientdet_nano_demo.yml",
        9,
        {"EfficientDetHead": {"assigner": {"name": "ArgmaxIoUAssigner", "negative_iou": 0.4}}},
    ),
}
# How many boxes the images have: unequal halves, halves with too few positives for a divisor of 1, and
# a half without any.
BOXES = {"unequal": (6, 3, 1, 0), "hardly any": (0, 1, 0, 0)}
RUNS = [("unequal", case) for case in CASES] + [
    ("hardly any", case) for case in ("ppyoloe_tal", "yolov6_taught", "efficientdet")
]


def make_batch(counts):
    """Random images and boxes, as many as told in each."""
    rng, counts = np.random.default_rng(0), np.array(counts)
    corner = rng.uniform(0, SIZE * 0.6, [BATCH, counts.max(), 2])
    boxes = np.concatenate([corner, corner + rng.uniform(12, SIZE * 0.4, corner.shape)], -1)
    return dict(
        image=rng.random([BATCH, 3, SIZE, SIZE]).astype("float32"),
        gt_bbox=boxes.astype("float32"),
        gt_class=rng.integers(0, CLASSES, [BATCH, counts.max(), 1]).astype("int32"),
        pad_gt_mask=(np.arange(counts.max()) < counts[:, None])[..., None].astype("float32"),
    )


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """What one process and both of two found, by boxes and case."""
    folder = tmp_path_factory.mktemp("equal")
    for boxes, counts in BOXES.items():
        np.savez(folder / f"{boxes}.npz", **make_batch(counts))
    cases = {
        f"{boxes}.{case}": dict(zip(("config", "epoch", "overrides"), CASES[case])) for boxes, case in RUNS
    }
    (folder / "cases.json").write_text(json.dumps(cases))
    (folder / "step.py").write_text(SCRIPT)
    alone = run_python(["step.py"], folder)
    assert alone.status == 0, alone.log[-3000:]
    launch("step.py", folder=folder)
    return lambda name: [dict(np.load(folder / f"{name}.{run}.npz")) for run in ("1.0", "2.0", "2.1")]


@pytest.mark.parametrize("boxes, case", RUNS)
def test_two_processes_learn_what_one_learns(runs, boxes, case):
    alone, *both = runs(f"{boxes}.{case}")
    assert alone["loss"] == pytest.approx(np.mean([one["loss"] for one in both]), rel=1e-5)
    names = [name for name in alone if name != "loss"]
    for one in both:
        assert one.keys() == alone.keys()
        for name in names:
            largest = np.abs(alone[name]).max()
            np.testing.assert_allclose(one[name], alone[name], rtol=1e-3, atol=1e-4 * largest, err_msg=name)
    moved = [name for name in names if not name.startswith("after ") and np.abs(alone[name]).max() > 0]
    assert len(moved) > 50
