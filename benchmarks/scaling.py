"""How training scales over the processes of this machine, each on one core, and what they exchange.

    .venv/bin/python benchmarks/scaling.py --processes 1 2 --json output/benchmarks/scaling.json

Every process trains the same network on a batch of its own: images a second of all together, beside those of
one process times their number. The exchange is measured alone, too: one all-reduce of as many bytes as there
are gradients, and the rate at which a process moves what a ring all-reduce makes it move. On a CPU this is
Paddle's gloo through the loopback; it says how the code scales, nothing about GPUs and their links.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time

from common import ROOT, add_json_argument, read_json, run, write_json, write_report

WARMUP = 2


def work(args):
    """What one of the processes does; the first one writes the figures."""
    import paddle
    import paddle.distributed as dist
    from ppdet.core.workspace import create
    from train_step import make_batch

    from ppdet_ext.config import load_config
    from ppdet_ext.nn.cost import trainable_parameters

    dist.init_parallel_env()
    processes = dist.get_world_size()
    cfg = load_config(args.config, {"norm_type": "bn"})
    model = create(cfg.architecture)
    model.train()
    together = paddle.DataParallel(model) if processes > 1 else model
    optimizer = create("OptimizerBuilder")(0.0, model)
    batch = make_batch(args.batch, args.size, args.gts, seed=dist.get_rank())
    gradients = paddle.zeros([trainable_parameters(model)])
    steps, exchanges = [], []
    for _ in range(WARMUP + args.steps):
        start = time.perf_counter()
        together(dict(batch))["loss"].backward()
        optimizer.step()
        optimizer.clear_grad()
        steps.append(time.perf_counter() - start)
        if processes > 1:
            dist.barrier()
            start = time.perf_counter()
            dist.all_reduce(gradients)
            exchanges.append(time.perf_counter() - start)
    if dist.get_rank() == 0:
        found = {
            "processes": processes,
            "step_s": statistics.median(steps[WARMUP:]),
            "gradient_bytes": 4 * gradients.shape[0],
            "exchange_s": statistics.median(exchanges[WARMUP:]) if exchanges else None,
        }
        write_json(args.worker, found)


def train(processes, args):
    """The figures of so many processes."""
    with tempfile.TemporaryDirectory() as folder:
        result = os.path.join(folder, "result.json")
        options = ["--worker", result, "-c", args.config]
        options += [f"--{name}={getattr(args, name)}" for name in ("batch", "size", "gts", "steps")]
        command = [sys.executable, os.path.abspath(__file__), *options]
        if processes > 1:
            launcher = ["-m", "paddle.distributed.launch", "--nproc_per_node", str(processes)]
            command[1:1] = [*launcher, "--log_dir", folder]
        run(command, threads=1)
        return read_json(result)


def quoted(report):
    """What the docs quote: images a second of each number of processes, beside one, and the exchange."""
    first = report["rows"][0]["images_per_s"]
    found = {}
    for row in report["rows"]:
        seconds = row["exchange_s"]
        found[f"processes {row['processes']}"] = {
            "images_per_s": row["images_per_s"],
            "times": row["images_per_s"] / first,
            "of_linear": row["of_linear"],
            "gradient_mb": row["gradient_bytes"] / 1e6,
            "exchange_ms": seconds and 1e3 * seconds,
            "gb_per_s": row.get("gb_per_s"),
        }
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    config = str(ROOT / "configs" / "ppyoloe" / "ppyoloe_nano_coco.yml")
    parser.add_argument("-c", "--config", default=config, help="(PP-YOLOE nano)")
    parser.add_argument("--processes", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--batch", type=int, default=2, help="images of a process and step")
    parser.add_argument("--size", type=int, default=320, help="pixels")
    parser.add_argument("--gts", type=int, default=10, help="boxes an image")
    parser.add_argument("--steps", type=int, default=10)
    add_json_argument(parser)
    parser.add_argument("--worker", metavar="FILE", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        work(args)
        return
    rows = []
    print(f"{os.path.basename(args.config)}, {args.batch} images of {args.size} pixels a process")
    print("processes       step  images/s  of linear  all-reduce of the gradients")
    for processes in args.processes:
        row = train(processes, args)
        rows.append(row)
        row["images_per_s"] = processes * args.batch / row["step_s"]
        row["of_linear"] = row["images_per_s"] / processes / (rows[0]["images_per_s"] / rows[0]["processes"])
        exchange = "-"
        if row["exchange_s"]:
            moved = 2 * (processes - 1) / processes * row["gradient_bytes"]
            row["gb_per_s"] = moved / row["exchange_s"] / 1e9
            exchange = f"{row['exchange_s'] * 1e3:.1f} ms, {moved / 1e6:.1f} MB a process"
            exchange += f", {row['gb_per_s']:.2f} GB/s"
        figures = f"{row['step_s']:>8.3f} s {row['images_per_s']:>9.2f} {row['of_linear']:>9.0%}"
        print(f"{processes:>9} {figures}   {exchange}", flush=True)
    report = {"batch": args.batch, "size": args.size, "rows": rows}
    write_report(args.json, report, quoted(report))


if __name__ == "__main__":
    main()
