"""How often a training step waits for the device: each time the host reads a tensor."""

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import contextlib
from collections import Counter
from types import SimpleNamespace

import numpy as np
import paddle
import pytest
from ppdet.core.workspace import create
from ppdet.utils.stats import TrainingStats

from ppdet_ext.config import load_config
from ppdet_ext.modeling.constants import _kept
from ppdet_ext.training.ema import ModelEMA
from ppdet_ext.training.loss_meters import LossMeters
from ppdet_ext.training.step import TrainStep
from tests.training.tiny import ROOT

BATCH, SIZE, CLASSES = 2, 96, 3
# What waits for a GPU: values that the host asks for, shapes that depend on them, copies from the host.
READS = ("numpy", "item", "tolist", "__bool__", "__int__", "__float__", "__array__", "__index__")
SHAPES = ("nonzero", "masked_select", "unique", "where_index")
COPIES = ("to_tensor",)


@contextlib.contextmanager
def counting(monkeypatch):
    """Counts them; what one of them calls of the others counts once."""
    found, inside = Counter(), []

    def counted(name, function):
        def call(*args, **kwargs):
            if not inside:
                found[name] += 1
            inside.append(name)
            try:
                return function(*args, **kwargs)
            finally:
                inside.pop()

        return call

    with monkeypatch.context() as patch:
        for name in READS:
            patch.setattr(paddle.Tensor, name, counted(name, getattr(paddle.Tensor, name)), raising=True)
        for name in (*SHAPES, *COPIES):
            if hasattr(paddle, name):
                patch.setattr(paddle, name, counted(name, getattr(paddle, name)))
        yield found


def make_trainer(config, head, **overrides):
    """What a step needs of a trainer, its assigners as on GPUs."""
    cfg = load_config(str(ROOT / "configs" / "demo" / config), {"num_classes": CLASSES, **overrides})
    paddle.seed(0)
    model = create(cfg.architecture)
    model.train()
    head = getattr(model, head)
    for owner in (head, getattr(head, "anchor_aided", None)):
        for name in ("assigner", "static_assigner"):
            if getattr(owner, name, None) is not None:
                getattr(owner, name).mode = "batch"
    rate = create("LearningRate")(10)
    return SimpleNamespace(
        cfg=cfg,
        model=model,
        lr=rate,
        optimizer=create("OptimizerBuilder")(rate, model),
        use_amp=False,
        status={"epoch_id": 0, "step_id": 0, "steps_per_epoch": 1},
        attempt=0,
        dataset=None,
        _nranks=1,
        ema=ModelEMA.from_config(cfg, model),
    )


def make_batch(epoch):
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, SIZE * 0.5, [BATCH, 5, 2])
    boxes = np.concatenate([corner, corner + rng.uniform(10, SIZE * 0.5, corner.shape)], -1)
    return {
        "image": paddle.to_tensor(rng.random([BATCH, 3, SIZE, SIZE]).astype("float32")),
        "gt_class": paddle.to_tensor(rng.integers(0, CLASSES, [BATCH, 5, 1]).astype("int32")),
        "gt_bbox": paddle.to_tensor(boxes.astype("float32")),
        "pad_gt_mask": paddle.ones([BATCH, 5, 1]),
        "epoch_id": epoch,
    }


CASES = {  # config, name of the head, epoch (which decides the assigner), times that positives are found
    "ppyoloe": ("ppyoloe_nano_demo.yml", "yolo_head", 9, 1),
    "ppyoloe_atss": ("ppyoloe_nano_demo.yml", "yolo_head", 0, 1),
    "yolov6_aided": ("yolov6_nano_demo.yml", "yolo_head", 9, 2),
    "efficientdet": ("efficientdet_nano_demo.yml", "head", 9, 1),
}


@pytest.mark.parametrize("case", CASES)
def test_what_a_step_waits_for(case, monkeypatch):
    """The number of positives, and whether the step is finite (unless nan_check: off)."""
    config, head, epoch, finds = CASES[case]
    for check, reads in (("gradients", {"__float__": 1}), ("off", {})):
        trainer = make_trainer(config, head, nan_check=check)
        step, meters, batch = TrainStep(trainer), LossMeters(20), make_batch(epoch)
        _train(step, meters, batch, trainer.ema)  # what is kept for all steps is made in the first
        with counting(monkeypatch) as found:
            _train(step, meters, batch, trainer.ema)
        assert found == {"nonzero": finds, **reads}


def _train(step, meters, batch, ema):
    meters.update(step(dict(batch)))
    ema.update()


def test_the_count_finds_what_it_should(monkeypatch):
    """The same step with what was saved put back."""
    trainer = make_trainer("ppyoloe_nano_demo.yml", "yolo_head", nan_check="off")
    step, meters, batch = TrainStep(trainer), TrainingStats(20), make_batch(9)
    _kept.cache_clear()
    with counting(monkeypatch) as found:
        meters.update(step(dict(batch)))
    assert found == {"nonzero": 1, "to_tensor": 2, "numpy": 5}


def test_meters_hold_what_paddledetections_hold():
    rng = np.random.default_rng(0)
    ours, theirs = LossMeters(4), TrainingStats(4)
    assert ours.meters is None
    for step in range(11):
        losses = {name: paddle.to_tensor(np.float32(rng.random())) for name in ("loss", "loss_cls")}
        losses["loss_cls"] = losses["loss_cls"].reshape([1]).astype("float64")
        ours.update(losses)
        theirs.update(losses)
        if step % 3 == 0:
            assert ours.meters.keys() == theirs.meters.keys()
            for name, meter in theirs.meters.items():
                mine = ours.meters[name]
                assert (mine.count, len(mine.deque)) == (meter.count, len(meter.deque))
                for statistic in ("median", "avg", "global_avg", "value"):
                    assert getattr(mine, statistic) == pytest.approx(float(getattr(meter, statistic)))
    assert ours.log({"epoch": 1}) == theirs.log({"epoch": 1})
