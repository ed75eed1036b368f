"""A whole training step of PP-YOLOE, PaddleDetection's against ours, on the same weights and batch.

    .venv/bin/python benchmarks/train_step.py --json output/benchmarks/train_step.json

A step is all that each trainer does with a batch: forward with assignment and loss, backward, optimizer,
moving average and losses for the log; ours checks loss and gradients besides (nan_check). Rounds are
interleaved, so that a machine whose speed drifts favours no side: medians, and that of the rounds' ratios.
"""

import argparse
import statistics
import time
from functools import partial
from types import SimpleNamespace

from common import ROOT, add_json_argument, turns, write_report

# isort: split
import numpy as np
import paddle

from ppdet_ext.config import load_config
from ppdet_ext.training.ema import ModelEMA
from ppdet_ext.training.loss_meters import LossMeters
from ppdet_ext.training.step import TrainStep

# Width and pixels of the images.
MODELS = {"s": (0.50, 640), "nano": (0.25, 320)}
SIDES = ("upstream", "ours")
PARTS = ("forward", "backward", "check", "optimizer", "average", "losses")
LOG_ITER = 20
# After the static assigner's epochs: the task-aligned one is at work for most of a training.
EPOCH = 200
UPSTREAM = {
    "architecture": "YOLOv3",
    "YOLOv3": {
        "backbone": "CSPResNet",
        "neck": "CustomCSPPAN",
        "yolo_head": "PPYOLOEHead",
        "post_process": None,
    },
    "CSPResNet": {
        "layers": [3, 6, 6, 3],
        "channels": [64, 128, 256, 512, 1024],
        "return_idx": [1, 2, 3],
        "use_large_stem": True,
        "act": "swish",
    },
    "CustomCSPPAN": {
        "out_channels": [768, 384, 192],
        "stage_num": 1,
        "block_num": 3,
        "act": "swish",
        "spp": True,
    },
    "PPYOLOEHead": {
        "fpn_strides": [32, 16, 8],
        "static_assigner_epoch": 100,
        "static_assigner": {"name": "ATSSAssigner", "topk": 9},
        "assigner": {"name": "TaskAlignedAssigner", "topk": 13, "alpha": 1.0, "beta": 6.0},
    },
}


class Clock:
    """Seconds of the parts of a step."""

    def __init__(self):
        self.seconds = dict.fromkeys(PARTS, 0.0)

    def timed(self, part, function):
        def call(*args, **kwargs):
            start = time.perf_counter()
            result = function(*args, **kwargs)
            self.seconds[part] += time.perf_counter() - start
            return result

        return call


def build(model_name, upstream):
    """A side's config, model and optimizer."""
    from ppdet.core.workspace import create

    overrides = {"norm_type": "bn", "width_mult": MODELS[model_name][0], **(UPSTREAM if upstream else {})}
    cfg = load_config(str(ROOT / "configs" / "ppyoloe" / "ppyoloe_s_coco.yml"), overrides)
    model = create(cfg.architecture)
    model.load_meanstd(cfg.TestReader["sample_transforms"])
    model.train()
    return cfg, model, create("OptimizerBuilder")(0.0, model)


class Upstream:
    """A step as PaddleDetection's trainer runs it."""

    def __init__(self, model_name):
        from ppdet.optimizer import ModelEMA as Average
        from ppdet.utils.stats import TrainingStats

        cfg, self.model, self.optimizer = build(model_name, upstream=True)
        self.average = Average(self.model, decay=cfg.ema_decay, ema_black_list=cfg.ema_black_list)
        self.losses = TrainingStats(LOG_ITER)

    def __call__(self, batch, clock):
        outputs = clock.timed("forward", self.model)(batch)
        clock.timed("backward", outputs["loss"].backward)()
        clock.timed("optimizer", self._update)()
        clock.timed("losses", self.losses.update)(outputs)
        clock.timed("average", self.average.update)()
        return outputs["loss"]

    def _update(self):
        self.optimizer.step()
        self.optimizer.clear_grad()


class Ours:
    """A step as this package's trainer runs it."""

    def __init__(self, model_name):
        cfg, self.model, optimizer = build(model_name, upstream=False)
        trainer = SimpleNamespace(cfg=cfg, model=self.model, optimizer=optimizer, use_amp=False, _nranks=1)
        trainer.lr = SimpleNamespace(step=lambda: None)
        trainer.status, trainer.attempt, trainer.dataset = {}, 0, None
        self.step, self.optimizer = TrainStep(trainer), optimizer
        self.average = ModelEMA.from_config(cfg, self.model)
        self.losses = LossMeters(LOG_ITER)
        self._parts = {
            "forward": (self.step, "model"),
            "check": (self.step._guard, "passes"),
            "optimizer": (optimizer, "step"),
        }

    def __call__(self, batch, clock):
        kept = {part: getattr(owner, name) for part, (owner, name) in self._parts.items()}
        for part, (owner, name) in self._parts.items():
            setattr(owner, name, clock.timed(part, kept[part]))
        start = time.perf_counter()
        outputs = self.step(batch)
        clock.seconds["backward"] = time.perf_counter() - start - sum(clock.seconds.values())
        for part, (owner, name) in self._parts.items():
            setattr(owner, name, kept[part])
        clock.timed("losses", self.losses.update)(outputs)
        clock.timed("average", self.average.update)()
        return outputs["loss"]


def make_batch(batch, size, gts, seed=0):
    """Random pixels and ``gts`` random boxes an image."""
    rng = np.random.RandomState(seed)
    corner = rng.rand(batch, gts, 2) * size * 0.8
    extent = rng.uniform(8, size * 0.3, (batch, gts, 2))
    boxes = np.concatenate([corner, np.minimum(corner + extent, size)], -1).astype("float32")
    return {
        "image": paddle.to_tensor(rng.rand(batch, 3, size, size).astype("float32")),
        "gt_class": paddle.to_tensor(rng.randint(0, 80, (batch, gts, 1)).astype("int32")),
        "gt_bbox": paddle.to_tensor(boxes),
        "pad_gt_mask": paddle.ones([batch, gts, 1]),
        "epoch_id": EPOCH,
    }


def measure(side, batch):
    """Seconds of one step, of its parts, and its loss."""
    clock, start = Clock(), time.perf_counter()
    loss = side(dict(batch), clock)
    return time.perf_counter() - start, clock.seconds, float(loss)


def operations(side, batch):
    """How many Paddle operations a step runs: on a GPU each is at least one kernel to launch."""
    kinds = paddle.profiler.TracerEventType
    profiler = paddle.profiler.Profiler(
        targets=[paddle.profiler.ProfilerTarget.CPU], on_trace_ready=lambda profiler: None
    )
    with profiler:
        measure(side, batch)
    nodes, count = list(profiler.profiler_result.get_data().values()), 0
    while nodes:
        node = nodes.pop()
        if node.type == kinds.Operator:
            count += 1
        else:
            nodes.extend(node.children_node)
    return count


def compare(sides, batch, rounds):
    """Medians of interleaved rounds; SystemExit if the two sides' losses differ."""
    losses = [measure(side, batch)[2] for side in sides]
    if abs(losses[0] - losses[1]) > 1e-4 * abs(losses[0]):
        raise SystemExit(f"the losses differ: {losses}")
    found = turns({name: partial(measure, side, batch) for name, side in zip(SIDES, sides)}, rounds)
    times = [[seconds for seconds, _, _ in found[name]] for name in SIDES]
    upstream, ours = (statistics.median(column) for column in times)
    split = [
        {part: statistics.median(s[part] for _, s, _ in found[name]) for part in PARTS} for name in SIDES
    ]
    ratio = statistics.median(theirs / mine for theirs, mine in zip(*times))
    return {
        "upstream_s": upstream,
        "ours_s": ours,
        "ratio": ratio,
        "parts": split,
        "operations": {name: operations(side, batch) for name, side in zip(SIDES, sides)},
    }


def quoted(report):
    """What the docs quote: seconds, ratio and operations of each model and number of boxes."""
    return {
        f"{row['model']}, {row['gts']} boxes": {
            **{key: row[key] for key in ("upstream_s", "ours_s", "ratio")},
            **{f"{side}_operations": row["operations"][side] for side in SIDES},
        }
        for row in report["rows"]
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--gts", nargs="+", type=int, default=[10, 50, 200], help="boxes an image")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--parts", action="store_true", help="print the parts of the steps, too")
    add_json_argument(parser)
    args = parser.parse_args()
    paddle.set_device("cpu")
    rows = []
    print(f"model pixels  gts {'PaddleDetection':>16} {'ppdet_ext':>10} {'times as fast':>14}  operations")
    for name in args.models:
        sides = (Upstream(name), Ours(name))
        sides[1].model.set_state_dict(sides[0].model.state_dict())
        for gts in args.gts:
            row = compare(sides, make_batch(args.batch, MODELS[name][1], gts), args.rounds)
            rows.append({"model": name, "size": MODELS[name][1], "gts": gts, **row})
            times = f"{row['upstream_s']:>14.3f} s {row['ours_s']:>8.3f} s {row['ratio']:>14.2f}"
            counts = "  {upstream:>5} {ours:>5}".format(**row["operations"])
            print(f"{name:>5} {MODELS[name][1]:>6} {gts:>4} {times} {counts}", flush=True)
            if args.parts:
                for part in PARTS:
                    theirs, mine = (row["parts"][side][part] * 1e3 for side in SIDES)
                    print(f"{part:>17} {theirs:>13.1f} ms {mine:>7.1f} ms", flush=True)
    report = {"batch": args.batch, "rounds": args.rounds, "rows": rows}
    write_report(args.json, report, quoted(report))


if __name__ == "__main__":
    main()
