"""What `recompute: true` saves of a training step's memory, and what it costs in time.

    .venv/bin/python benchmarks/recompute.py -c configs/ppyoloe/ppyoloe_s_coco.yml --json output/memory.json

A step is forward, loss, backward and optimizer, on random weights and boxes. Memory is the step's peak above
what the process held with model and optimizer in place, in a fresh process for each number: of the resident
set on a CPU, of Paddle's allocator on a GPU. Both sides see the same batch; their losses have to agree.
"""

import argparse
import json
import resource
import statistics
import sys
import time

from common import ROOT, add_json_argument, run, write_report

SIDES = {"kept": False, "recomputed": True}
MEGABYTE = 2**20


def held(device):
    """Bytes that the process holds now and has held at most."""
    if device == "gpu":
        import paddle

        return paddle.device.cuda.memory_allocated(), paddle.device.cuda.max_memory_allocated()
    with open("/proc/self/statm") as file:
        pages = int(file.read().split()[1])
    return pages * resource.getpagesize(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measure(args, recompute):
    """One side's figures: loss, peak and parameters in MB, seconds a step."""
    import numpy as np
    import paddle
    from ppdet.core.workspace import create

    from ppdet_ext.config import load_config
    from ppdet_ext.training.recipe import recompute_backbone

    paddle.set_device(args.device)
    paddle.seed(0)
    cfg = load_config(args.config, ["norm_type=bn"])
    model = create(cfg.architecture)
    if recompute:
        recompute_backbone(model)
    model.train()
    optimizer = create("OptimizerBuilder")(1e-5, model)
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, args.size * 0.7, (args.batch, args.gts, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(8, args.size * 0.3, corner.shape)], -1)
    batch = {
        "image": paddle.to_tensor(rng.random((args.batch, 3, args.size, args.size)).astype("float32")),
        "gt_class": paddle.to_tensor(
            rng.integers(0, cfg.num_classes, (args.batch, args.gts, 1)).astype("int32")
        ),
        "gt_bbox": paddle.to_tensor(boxes.astype("float32")),
        "pad_gt_mask": paddle.ones([args.batch, args.gts, 1]),
        "epoch_id": 0,
    }
    before, _ = held(args.device)
    losses, seconds = [], []
    for _ in range(1 + args.rounds):
        start = time.perf_counter()
        loss = model(dict(batch))["loss"]
        loss.backward()
        optimizer.step()
        optimizer.clear_grad()
        losses.append(float(loss))
        seconds.append(time.perf_counter() - start)
    return {
        "losses": losses,
        "peak_mb": (held(args.device)[1] - before) / MEGABYTE,
        "seconds": statistics.median(seconds[1:]),
    }


def quoted(report):
    """What the docs quote: the peak and seconds of each side, and the ratios."""
    found = {side: {key: report[side][key] for key in ("peak_mb", "seconds")} for side in SIDES}
    kept, recomputed = found.values()
    recomputed["memory"] = recomputed["peak_mb"] / kept["peak_mb"]
    recomputed["time"] = recomputed["seconds"] / kept["seconds"]
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    config = str(ROOT / "configs" / "ppyoloe" / "ppyoloe_s_coco.yml")
    parser.add_argument("-c", "--config", default=config, help="(PP-YOLOE-s)")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--size", type=int, default=640, help="pixels")
    parser.add_argument("--gts", type=int, default=10, help="boxes an image")
    parser.add_argument("--rounds", type=int, default=2, help="steps that are timed, after one that is not")
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    add_json_argument(parser)
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)  # of this program's own processes
    args = parser.parse_args()
    if args.side:
        print(json.dumps(measure(args, SIDES[args.side])))
        return
    results = {}
    for side in SIDES:
        command = [sys.executable, __file__, *sys.argv[1:], "--side", side]
        results[side] = json.loads(run(command).splitlines()[-1])
        print(
            f"{side:>11}: {results[side]['peak_mb']:7.0f} MB {results[side]['seconds']:7.2f} s a step",
            flush=True,
        )
    kept, recomputed = results.values()
    worst = max(abs(a - b) / abs(a) for a, b in zip(kept["losses"], recomputed["losses"]))
    memory, seconds = (recomputed[key] / kept[key] for key in ("peak_mb", "seconds"))
    print(f"      ratio: {memory:7.2f}    {seconds:7.2f}      losses differ by {worst:.1e} at most")
    report = {"settings": vars(args), **results}
    write_report(args.json, report, quoted(report))
    if worst > 1e-4:
        raise SystemExit("the losses differ")


if __name__ == "__main__":
    main()
