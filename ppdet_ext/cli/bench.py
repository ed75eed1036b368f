"""`ppdet-ext bench`: what an exported model costs in each engine."""

import tempfile
from pathlib import Path

from .common import add_device_arguments
from .json_output import STDOUT, add_json_argument, give_json

REPORT = "output/bench.json"
EXAMPLE = """
ppdet-ext bench --model output/demo/exported --backends onnxruntime
ppdet-ext bench -c configs/demo/ppyoloe_nano_demo.yml --sizes 96 128 --backends onnxruntime
"""


def add_arguments(parser):
    """Add the arguments of `bench` to an argparse parser."""
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--model", metavar="FOLDER", help="the exported folder")
    source.add_argument("-c", "--config", metavar="CFG", help="export this config here instead, once a size")
    parser.add_argument("-o", "--opt", nargs="*", metavar="KEY=VALUE", help="with -c: weights=FILE, ...")
    parser.add_argument(
        "--backends",
        "--backend",
        nargs="+",
        metavar="NAME",
        help="engines, the first one the yardstick (default: all)",
    )
    parser.add_argument(
        "--batch", nargs="+", type=int, default=[1], metavar="N", help="batch sizes (default: 1)"
    )
    parser.add_argument("--sizes", nargs="+", type=int, metavar="PIXELS", help="sides of square inputs")
    parser.add_argument("--images", metavar="FOLDER", help="images to use (default: a generated photograph)")
    add_device_arguments(parser, threads="the usable cores")
    parser.add_argument("--rounds", type=int, default=10, metavar="N", help="turns of each row")
    parser.add_argument("--steps", type=int, default=3, metavar="N", help="timed runs a turn")
    parser.add_argument("--warmup", type=int, default=5, metavar="N", help="runs of each row before")
    parser.add_argument(
        "--seconds", type=float, default=180, metavar="S", help="begin no round that would end later"
    )
    add_json_argument(parser, "the report", REPORT)
    parser.add_argument("--plot", metavar="FILE", help="plot, a PNG (default: beside the report)")
    parser.epilog = "exit status: 0 when every row was measured, 1 when some were, 2 when none was"


def run(args):
    """Measure, write report and plot, print the table."""
    from ppdet_ext.environment import machine
    from ppdet_ext.evaluation.bench.benchmark import run_benchmark
    from ppdet_ext.evaluation.bench.rounds import MEASURED, Plan
    from ppdet_ext.evaluation.bench.table import bench_table
    from ppdet_ext.runtime.backends import check_backends, check_engine
    from ppdet_ext.versions import is_importable
    from ppdet_ext.visualize import plot_bench

    if args.opt and args.model:
        raise ValueError("-o changes a config, and --model has none; give -c CONFIG -o ... or --model alone")
    if args.plot and not is_importable("matplotlib"):
        raise ValueError("--plot needs matplotlib, which is not installed; pip install matplotlib")
    if args.backends:
        check_backends(args.backends)
    check_engine(None, args.device)
    threads = machine()["cores"] if args.threads is None else args.threads
    plan = Plan(threads, args.rounds, args.seconds, args.steps, args.warmup)
    options = {"backends": args.backends, "batches": args.batch, "sizes": args.sizes}
    options.update(images=args.images, device=args.device)
    if args.model:
        report = run_benchmark([args.model], plan, **options)
    else:
        with tempfile.TemporaryDirectory() as parent:
            folders = _export(args, parent)
            report = run_benchmark(folders, plan, model=args.config, **options)
    give_json(args, report)
    print(bench_table(report), flush=True)
    if is_importable("matplotlib"):
        file = Path(REPORT if args.json == STDOUT else args.json)
        plot_bench(report, args.plot or file.with_suffix(".png"))
    measured = [row for row in report["rows"] if row["status"] == MEASURED]
    return 0 if len(measured) == len(report["rows"]) else 1 if measured else 2


def _export(args, parent):
    """Export the config's model once a size; the folders."""
    from ppdet_ext.evaluation.bench.process import silent_stdout
    from ppdet_ext.evaluation.bench.sizes import export_sizes

    from .common import load_trainer

    with silent_stdout():
        trainer = load_trainer(args)
        return export_sizes(trainer.cfg, trainer.model, parent, args.sizes, args.backends)
