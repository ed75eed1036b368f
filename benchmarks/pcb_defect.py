"""The board-inspection case: accuracy by DeepPCB's rule and COCO's, the threshold for work, boards a minute.

    .venv/bin/python benchmarks/pcb_defect.py --fp32 FOLDER --int8 FOLDER \
        --anno dataset/deeppcb/annotations/val.json --images dataset/deeppcb

FOLDERs are what `ppdet-ext export` and `ppdet-ext quantize ptq` made of configs/applications/pcb_defect.yml.
Speed is measured from file to boxes on all usable cores, FP32 and INT8 in turns. Writes report.json,
operating_point.png, and for each precision the worst errors close up.
"""

import argparse
import os
import statistics
import sys
from pathlib import Path

from common import add_json_argument, write_report

from ppdet_ext.environment import machine
from ppdet_ext.evaluation.bench.benchmark import CASE
from ppdet_ext.evaluation.bench.numbers import quartiles, ratio, with_total
from ppdet_ext.evaluation.bench.rounds import MEASURED, Case, Plan, interleave
from ppdet_ext.evaluation.coco import evaluate, load_truths
from ppdet_ext.evaluation.errors import write_errors
from ppdet_ext.evaluation.matching import average_precision, match
from ppdet_ext.evaluation.operating_point import best_f_score, curve, operate
from ppdet_ext.evaluation.text_table import align
from ppdet_ext.evaluation.work_report import detect_all, one_class, work_report, work_table
from ppdet_ext.runtime import Detector
from ppdet_ext.visualize import plot_operating_points

# DeepPCB's: right from this overlap on. Its authors report mAP 98.6 and F 98.2 by their script.
IOU = 0.33
PHASES = ("decode", "pre", "network", "post")
# Boards that are timed; a round goes on where the last one stopped.
TIMED = 40


def deep_pcb_figures(predictions, truths):
    """AP and F as DeepPCB's evaluation script computes them, F of the detections at the best threshold."""
    matches = match(predictions, truths, IOU, "deep_pcb")
    threshold = best_f_score(matches)
    working = match([p.filter(threshold) for p in predictions], truths, IOU, "deep_pcb")
    point = operate(working, threshold, len(truths))
    return {"ap": average_precision(matches), "f_score": point.f_score, "threshold": threshold}


def accuracy(folder, backend, files, truths, args, output):
    """Everything about one model's detections, and its curve."""
    predictions = detect_all(Detector(folder, backend), files)
    matches, work = work_report(predictions, truths, IOU, args.recall)
    _, anywhere = work_report(one_class(predictions), one_class(truths), IOU, args.recall)
    threshold = work["point"]["threshold"]
    pictures = write_errors(output, files, predictions, truths, matches, threshold)
    report = {
        "deep_pcb": deep_pcb_figures(predictions, truths),
        "coco": evaluate(predictions, args.anno, args.images, progress=False),
        "work": work,
        "any_class": anywhere,
        "pictures": [str(picture) for picture in pictures],
    }
    return report, curve(matches), threshold


def speed(folders, backend, files, rounds):
    """Boards a minute from file to boxes, of each model, and the ratio to the first."""
    threads = machine()["cores"]
    images = [str(file) for file in files[:TIMED]]
    arguments = {"backend": backend, "threads": threads, "batch": 1, "images": images}
    cases = [Case(name, CASE, {"folder": str(folder), **arguments}) for name, folder in folders.items()]
    results, _ = interleave(cases, Plan(threads=threads, rounds=rounds, steps=10))
    for result in results:
        if result.status != MEASURED:
            raise RuntimeError(f"{result.case.name}: {result.reason}")
    timed = {result.case.name: with_total(result.rounds, PHASES) for result in results}
    first = next(iter(timed.values()))
    return {
        name: {
            "boards_a_minute": 60 / statistics.median(s for times in own for s in times["total"]),
            "total_ms": quartiles([s for times in own for s in times["total"]], 1000),
            "network_ms": quartiles([s for times in own for s in times["network"]], 1000),
            "ratio": ratio(first, own, "total"),
        }
        for name, own in timed.items()
    }


def quoted(report):
    """What the docs quote: accuracy by both rules, recall and false alarms at work, in points; speed."""
    found = {}
    for name, row in report["models"].items():
        honest = row["work"]["cross_fitted"] or row["work"]["point"]
        found[name] = {
            "map": 100 * row["work"]["map"],
            "deep_pcb_ap": 100 * row["deep_pcb"]["ap"],
            "deep_pcb_f": 100 * row["deep_pcb"]["f_score"],
            "coco_ap": 100 * row["coco"]["ap"],
            "recall": 100 * honest["recall"],
            "false_alarms": 100 * (1 - honest["precision"]),
            "boards_a_minute": row["speed"]["boards_a_minute"],
            "speed_ratio": row["speed"]["ratio"]["median"],
        }
    return found


def table(report):
    """The report as text."""
    rows = []
    for name, row in report["models"].items():
        honest = row["work"]["cross_fitted"] or row["work"]["point"]
        rows.append(
            [
                name,
                f"{100 * row['work']['map']:.2f}",
                f"{100 * row['deep_pcb']['ap']:.2f}",
                f"{100 * row['deep_pcb']['f_score']:.2f}",
                f"{100 * row['coco']['ap']:.2f}",
                f"{100 * honest['recall']:.2f}",
                f"{100 * (1 - honest['precision']):.2f}",
                f"{row['speed']['boards_a_minute']:.0f}",
                f"{row['speed']['ratio']['median']:.2f}x",
            ]
        )
    heads = [
        ["", "mAP", "AP", "F", "COCO", "recall", "false", "boards", "speed"],
        ["", "0.33", "DeepPCB's", "DeepPCB's", "AP", "", "alarms", "a minute", ""],
    ]
    lines = align(heads, rows)
    for name, row in report["models"].items():
        lines += [
            "",
            f"{name}: {work_table(row['work'])}",
            "",
            f"of any class: {work_table(row['any_class'])}",
        ]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--fp32", required=True, metavar="FOLDER", help="the exported model")
    parser.add_argument("--int8", required=True, metavar="FOLDER", help="the quantised one")
    parser.add_argument("--anno", required=True, metavar="FILE", help="COCO instances of the validation part")
    parser.add_argument("--images", required=True, metavar="DIR", help="their images")
    parser.add_argument("--backend", default="openvino", help="engine (openvino)")
    parser.add_argument("--recall", type=float, default=0.99, help="the share to find (0.99)")
    parser.add_argument("--rounds", type=int, default=15, help="turns of each model when timed (15)")
    parser.add_argument("--output", default="output/benchmarks/pcb_defect", help="(%(default)s)")
    add_json_argument(parser)
    args = parser.parse_args()
    output = Path(args.output)
    files, truths = load_truths(args.anno, args.images)
    folders = {"FP32": args.fp32, "INT8": args.int8}
    models, curves, thresholds = {}, {}, {}
    for name, folder in folders.items():
        found = accuracy(folder, args.backend, files, truths, args, output / name.lower())
        models[name], curves[name], thresholds[name] = found
    for name, figures in speed(folders, args.backend, files, args.rounds).items():
        models[name]["speed"] = figures
    report = {"machine": machine(), "backend": args.backend, "iou": IOU, "models": models}
    for path in (output / "report.json", args.json):
        write_report(path, report, quoted(report))
    plot_operating_points(curves, thresholds, output / "operating_point.png", "DeepPCB, validation boards")
    print(table(report))
    print(f"\n{os.path.relpath(output)}: report.json, pictures")
    return 0


if __name__ == "__main__":
    sys.exit(main())
