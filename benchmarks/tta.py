"""What test-time augmentation wins in AP, and what it costs in time.

    .venv/bin/python benchmarks/tta.py -c configs/demo/ppyoloe_nano_demo.yml -o weights=output/... \\
        --views flip 0.75,1.25 flip,0.75,1.25 --json output/benchmarks/tta.json

The config's evaluation set is run through an exported model, each set of views with each way of merging,
beside the plain image. Times are for one image from pixels to detections, the best of some rounds that all
rows take turns in.
"""

import argparse
import sys
import tempfile
from functools import partial

from common import add_json_argument, timed, turns, write_report

from ppdet_ext.cli.common import add_config_arguments, load_trainer
from ppdet_ext.environment import machine
from ppdet_ext.evaluation import evaluate
from ppdet_ext.evaluation.coco import image_files, load_annotations
from ppdet_ext.evaluation.datasets import dataset_files
from ppdet_ext.evaluation.text_table import align
from ppdet_ext.export import export_model
from ppdet_ext.runtime import Detector
from ppdet_ext.runtime.image import read_image
from ppdet_ext.runtime.tta import TTA
from ppdet_ext.runtime.tta.settings import MERGES

PLAIN = "plain"


def parse():
    """The command's arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    add_config_arguments(parser)
    parser.add_argument("--model", metavar="FOLDER", help="the exported folder (default: export one here)")
    parser.add_argument(
        "--views", nargs="+", default=["flip", "0.75,1.25", "flip,0.75,1.25"], metavar="VIEWS"
    )
    parser.add_argument("--merge", nargs="+", choices=MERGES, default=MERGES, help="(both)")
    parser.add_argument("--backend", default="onnxruntime", metavar="NAME", help="the engine (onnxruntime)")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="CPU threads of the engine (1)")
    parser.add_argument("--images", type=int, default=50, metavar="N", help="images to take the time of (50)")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="turns of each row (5)")
    add_json_argument(parser)
    return parser.parse_args()


def measure(folder, args):
    """One row a set of views: its AP, and its time and that of the plain image.

    Returns:
        list[dict]: 'views', 'merge', 'runs' (of the network, an image), 'ap', 'ap50', 'ap75', 'ap_small',
        'ap_medium', 'ap_large' (points of 100, or None), 'ms' (an image) and 'times' (that of the plain one).
    """
    anno_file, image_dir = dataset_files()
    files = image_files(load_annotations(anno_file), image_dir, anno_file)
    images = [read_image(file) for file in files[:: max(1, len(files) // args.images)][: args.images]]
    settings = [(PLAIN, None)]
    for views in args.views:
        tta = TTA.of(views, "--views")
        settings += [(str(tta), TTA(tta.scales, tta.flip, merge)) for merge in args.merge]
    detectors = [Detector(folder, args.backend, args.threads, tta=tta) for _, tta in settings]

    def detect_all(detector):
        for image in images:
            detector.predict(image)

    calls = {row: timed(partial(detect_all, detector)) for row, detector in enumerate(detectors)}
    best = [min(seconds) / len(images) for seconds in turns(calls, args.rounds).values()]
    rows = []
    for (views, tta), detector, seconds in zip(settings, detectors, best):
        found = evaluate(detector, anno_file, image_dir)
        stats = {key: value and 100 * value for key, value in found.items() if key.startswith("ap")}
        rows.append(
            {
                "views": views,
                "merge": tta and tta.merge,
                "runs": len(tta.views) if tta else 1,
                **stats,
                "ms": 1000 * seconds,
                "times": seconds / best[0],
            }
        )
    return rows


def quoted(report):
    """What the docs quote: AP in points, milliseconds and times those of the plain image, of each row."""
    return {
        f"{row['views']} {row['merge'] or ''}".strip(): {
            key: row[key] for key in ("ap", "ap50", "ms", "times")
        }
        for row in report["rows"]
    }


def table(report):
    """The report as text."""
    keys = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large")
    heads = [["views", "merge", "runs", *(key.replace("_", " ") for key in keys), "change", "ms", "time"]]
    body = []
    for row in report["rows"]:
        points = ["-" if row[key] is None else f"{row[key]:.1f}" for key in keys]
        change = f"{row['ap'] - report['rows'][0]['ap']:+.1f}"
        figures = [change, f"{row['ms']:.2f}", f"{row['times']:.1f}x"]
        body.append([row["views"], row["merge"] or "", str(row["runs"]), *points, *figures])
    return "\n".join([f"{report['model']} on {report['machine']['cpu']}", "", *align(heads, body)])


def main():
    args = parse()
    trainer = load_trainer(args)
    with tempfile.TemporaryDirectory() as folder:
        if not args.model:
            options = {"image_size": [-1, -1], "say": lambda line: None}
            export_model(trainer.cfg, trainer.model, folder, ["onnx"], **options)
        rows = measure(args.model or folder, args)
    report = {"model": args.model or str(trainer.cfg.weights), "machine": machine(), "rows": rows}
    write_report(args.json, report, quoted(report))
    print(table(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())
