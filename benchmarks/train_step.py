"""A whole training step of PP-YOLOE-s, PaddleDetection's against ours, on the same weights and batch.

    .venv/bin/python benchmarks/train_step.py --gts 10 100 --json output/benchmarks/train_step.json

A step is forward, assignment, loss, backward and optimizer. Rounds are interleaved, so that a machine whose
speed drifts does not favour a side; the median of each and the median of the rounds' ratios are printed.
"""

import argparse
import json
import os
import statistics
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from ppdet_ext.config import load_config  # noqa: E402,I001  before paddle: it keeps zlib alive

import numpy as np  # noqa: E402
import paddle  # noqa: E402

CONFIG = os.path.join("configs", "ppyoloe", "ppyoloe_s_coco.yml")
# After the static assigner's epochs: the task-aligned one is at work for most of a training.
EPOCH = 200


def build(upstream):
    """PP-YOLOE-s of one side with its optimizer."""
    from ppdet.core.workspace import create

    cfg = load_config(
        CONFIG,
        {
            "norm_type": "bn",
            **(
                {
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
                if upstream
                else {}
            ),
        },
    )
    model = create(cfg.architecture)
    model.load_meanstd(cfg.TestReader["sample_transforms"])
    model.train()
    return model, create("OptimizerBuilder")(0.0, model)


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


def step(model, optimizer, batch):
    """Seconds of one step and its loss."""
    start = time.perf_counter()
    loss = model(dict(batch))["loss"]
    loss.backward()
    optimizer.step()
    optimizer.clear_grad()
    value = float(loss)
    return time.perf_counter() - start, value


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--gts", nargs="+", type=int, default=[10, 100], help="boxes an image")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--size", type=int, default=640, help="pixels")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", metavar="FILE")
    args = parser.parse_args()
    paddle.set_device("cpu")
    theirs, their_optimizer = build(upstream=True)
    ours, our_optimizer = build(upstream=False)
    ours.set_state_dict(theirs.state_dict())
    rows = []
    print(f"{'gts':>4} {'PaddleDetection':>16} {'ppdet_ext':>10} {'times as fast':>14}")
    for gts in args.gts:
        batch = make_batch(args.batch, args.size, gts)
        sides = ((theirs, their_optimizer), (ours, our_optimizer))
        losses = [step(*side, batch)[1] for side in sides]
        if abs(losses[0] - losses[1]) > 1e-4 * abs(losses[0]):
            raise SystemExit(f"the losses differ: {losses}")
        times = [[step(*side, batch)[0] for side in sides] for _ in range(args.rounds)]
        theirs_s, ours_s = (statistics.median(column) for column in zip(*times))
        ratio = statistics.median(a / b for a, b in times)
        rows.append({"gts": gts, "upstream_s": theirs_s, "ours_s": ours_s, "ratio": ratio})
        print(f"{gts:>4} {theirs_s:>14.3f} s {ours_s:>8.3f} s {ratio:>14.2f}", flush=True)
    if args.json:
        os.makedirs(os.path.dirname(args.json) or ".", exist_ok=True)
        with open(args.json, "w", encoding="utf-8") as file:
            result = {"batch": args.batch, "size": args.size, "rounds": args.rounds, "rows": rows}
            json.dump(result, file, indent=2)


if __name__ == "__main__":
    main()
