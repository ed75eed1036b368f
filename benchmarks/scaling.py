"""How training scales over the processes of this machine, each on one core, and what they exchange.

    .venv/bin/python benchmarks/scaling.py --processes 1 2 --json output/benchmarks/scaling.json

Every process trains the same network on a batch of its own: images a second of all together, beside those of
one process times their number. The exchange is measured alone, too: one all-reduce of as many bytes as there
are gradients, and the rate at which a process moves what a ring all-reduce makes it move. On a CPU this is
Paddle's gloo through the loopback; it says how the code scales, nothing about GPUs and their links.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

WARMUP = 2


def work(args):
    """What one of the processes does; the first one writes the figures."""
    from ppdet_ext.config import load_config  # before paddle: it keeps zlib alive

    # isort: split
    import paddle
    import paddle.distributed as dist
    from ppdet.core.workspace import create
    from train_step import make_batch

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
        with open(args.worker, "w", encoding="utf-8") as file:
            json.dump(found, file)


def run(processes, args):
    """The figures of so many processes."""
    with tempfile.TemporaryDirectory() as folder:
        result = os.path.join(folder, "result.json")
        options = ["--worker", result, "-c", args.config]
        options += [f"--{name}={getattr(args, name)}" for name in ("batch", "size", "gts", "steps")]
        command = [sys.executable, os.path.abspath(__file__), *options]
        if processes > 1:
            launcher = ["-m", "paddle.distributed.launch", "--nproc_per_node", str(processes)]
            command[1:1] = [*launcher, "--log_dir", folder]
        env = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            raise SystemExit(f"{processes} processes: exit status {done.returncode}\n{done.stdout[-2000:]}")
        with open(result, encoding="utf-8") as file:
            return json.load(file)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("-c", "--config", default=os.path.join("configs", "ppyoloe", "ppyoloe_nano_coco.yml"))
    parser.add_argument("--processes", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--batch", type=int, default=2, help="images of a process and step")
    parser.add_argument("--size", type=int, default=320, help="pixels")
    parser.add_argument("--gts", type=int, default=10, help="boxes an image")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--worker", metavar="FILE", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        work(args)
        return
    rows = []
    print(f"{os.path.basename(args.config)}, {args.batch} images of {args.size} pixels a process")
    print("processes       step  images/s  of linear  all-reduce of the gradients")
    for processes in args.processes:
        row = run(processes, args)
        rows.append(row)
        row["images_per_s"] = processes * args.batch / row["step_s"]
        row["of_linear"] = row["images_per_s"] / processes / (rows[0]["images_per_s"] / rows[0]["processes"])
        exchange = "-"
        if row["exchange_s"]:
            moved = 2 * (processes - 1) / processes * row["gradient_bytes"]
            speed = moved / row["exchange_s"] / 1e9
            exchange = f"{row['exchange_s'] * 1e3:.1f} ms, {moved / 1e6:.1f} MB a process, {speed:.2f} GB/s"
        figures = f"{row['step_s']:>8.3f} s {row['images_per_s']:>9.2f} {row['of_linear']:>9.0%}"
        print(f"{processes:>9} {figures}   {exchange}", flush=True)
    if args.json:
        os.makedirs(os.path.dirname(args.json) or ".", exist_ok=True)
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump({"batch": args.batch, "size": args.size, "rows": rows}, file, indent=2)


if __name__ == "__main__":
    main()
