"""PP-YOLOE as PaddleDetection deploys it on a CPU, and as ppdet_ext does: the same weights, side by side.

    .venv/bin/python benchmarks/deployment.py --checkout DIR --json output/benchmarks/deployment.json

PaddleDetection's model is built and exported by the installed package, the checkout gives its unmodified
`deploy/python/infer.py`. Every row has a process of its own, and their turns are interleaved; ratios are
medians of the ratios of each round. Exit status 1 if a bar is missed or a row was not measured.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

from common import add_json_argument, write_report

from ppdet_ext.environment import machine
from ppdet_ext.evaluation.bench.benchmark import CASE, figures, surroundings
from ppdet_ext.evaluation.bench.images import choose_images
from ppdet_ext.evaluation.bench.numbers import ratio, with_total
from ppdet_ext.evaluation.bench.process import silent_stdout
from ppdet_ext.evaluation.bench.rounds import MEASURED, Case, Plan, interleave
from ppdet_ext.evaluation.bench.table import heading, number, reason, spread, warnings
from ppdet_ext.evaluation.text_table import align

# Plain Paddle runs a graph as it stands: what re-parameterisation saves where no engine folds BatchNorm.
PLAIN = {"paddle": "plain Paddle"}
CASES = str(Path(__file__).with_name("deployment_cases.py"))
ENGINES = {"paddle_inference": "Paddle Inference", "onnxruntime": "ONNX Runtime", "openvino": "OpenVINO"}
BASELINE = "PaddleDetection, Paddle Inference"
DEPLOY = "PaddleDetection, deploy/python/infer.py"
# Boxes of each row that are compared.
BEST = 10
NETWORK, END_TO_END = "network", "image file to boxes"


def make_cases(folders, image, checkout, threads):
    """The rows: {name: (group, Case)}, the yardstick of a group first."""
    rows = {}

    def add(group, name, target, **arguments):
        rows[name] = (group, Case(name, target, {**arguments, "threads": threads}))

    theirs, with_nms, ours = folders["theirs"], folders["theirs with NMS"], folders["ours"]
    add(NETWORK, BASELINE, f"{CASES}:PaddleInference", folder=theirs, image=image)
    add(NETWORK, f"{BASELINE}, NMS inside", f"{CASES}:PaddleInference", folder=with_nms, image=image)
    add(NETWORK, "PaddleDetection, ONNX Runtime", f"{CASES}:OnnxRuntime", folder=theirs, image=image)
    for form in ("ours", "ours training form"):
        for backend, engine in {**ENGINES, **PLAIN}.items():
            folder = folders[form]
            name = f"{form}, {engine}"
            add(NETWORK, name, CASE, folder=folder, backend=backend, batch=1, images=[image])
    if os.path.isfile(os.path.join(ours, "model_x86.nb")):
        name = "ours, Paddle Lite"
        add(NETWORK, name, CASE, folder=ours, backend="paddle_lite", batch=1, images=[image])
    if checkout:
        add(END_TO_END, DEPLOY, f"{CASES}:TheirDetector", checkout=checkout, folder=with_nms, image=image)
    for backend, engine in ENGINES.items():
        name = f"ours, {engine}, file to boxes"
        add(END_TO_END, name, f"{CASES}:OurDetector", folder=ours, backend=backend, image=image)
    return rows


def report_row(name, group, result, first):
    """One row of the report."""
    row = {"name": name, "group": group, "status": result.status, "reason": result.reason}
    if result.status != MEASURED:
        return row
    phase = "network" if group == NETWORK else "file_to_boxes"
    comparable = first is not None and first.status == MEASURED
    found = figures(result, first if comparable else result)
    yardstick = ratio(first.rounds, result.rounds, phase) if comparable else None
    return {**row, **found, "ms": found[f"{phase}_ms"], "ratio": yardstick}


def judge(results):
    """The bars: {'bar', 'needs', 'rows', 'value' (quartiles or None), 'passed'}.

    Args:
        results (dict): {row's name: Measured}.
    """
    done = {name: result.rounds for name, result in results.items() if result.status == MEASURED}

    def compare(slow, fast, phase):
        return ratio(done[slow], done[fast], phase) if slow in done and fast in done else None

    def best(names, slow, phase):
        found = {name: compare(slow, name, phase) for name in names if name in done}
        return max(found, key=lambda name: found[name]["median"]) if slow in done and found else None

    bars = []

    def bar(text, slow, fast, phase, needs):
        value = compare(slow, fast, phase)
        passed = value is not None and value["median"] >= needs
        bars.append(
            {"bar": text, "needs": f">= {needs}x", "rows": [slow, fast], "value": value, "passed": passed}
        )

    engines = list(ENGINES.values())
    network = best([f"ours, {engine}" for engine in engines], BASELINE, "network")
    bar(
        "network, ours in its best engine against PaddleDetection's export", BASELINE, network, "network", 2.0
    )
    ends = best([f"ours, {engine}, file to boxes" for engine in engines], DEPLOY, "file_to_boxes")
    bar("file to boxes, ours against deploy/python/infer.py", DEPLOY, ends, "file_to_boxes", 2.2)
    share = None
    if network:
        rounds = with_total(done[network], ("pre", "post"), "beside")
        share = ratio(rounds, rounds, ("beside", "network"))
    passed = share is not None and share["median"] <= 0.1
    text = "pre- and post-processing as a part of the network's time"
    bars.append({"bar": text, "needs": "<= 0.1", "rows": [network], "value": share, "passed": passed})
    for engine in [*engines, *PLAIN.values()]:
        text = f"network, re-parameterised against the training form, {engine}"
        bar(text, f"ours training form, {engine}", f"ours, {engine}", "network", 1.15)
    return bars


def same_boxes(rows):
    """How far the best boxes of the rows from file to boxes are from PaddleDetection's: {name: figures}."""
    found = {row["name"]: row for row in rows if "best" in row}
    theirs = found.pop(DEPLOY, None)
    if theirs is None:
        return {}
    answers = {}
    for name, row in found.items():
        pairs = [(a, b) for a, b in zip(theirs["best"], row["best"]) if a[0] == b[0]]
        answers[name] = {
            "detections": [theirs["detections"], row["detections"]],
            "same_labels": len(pairs),
            "score_error": max((abs(a[1] - b[1]) for a, b in pairs), default=None),
            "box_error_px": max((abs(x - y) for a, b in pairs for x, y in zip(a[2:], b[2:])), default=None),
        }
    return answers


def quoted(report):
    """What the docs quote: a row a row of the report (milliseconds, ratio to its group's first), one a bar,
    and how far the boxes are apart.
    """
    found = {}
    for row in report["rows"]:
        if row["status"] == MEASURED:
            ratio_ = row["ratio"] and row["ratio"]["median"]
            found[row["name"].replace("/", "_")] = {"ms": row["ms"]["median"], "ratio": ratio_}
    for bar in report["bars"]:
        value = bar["value"] and bar["value"]["median"]
        found[f"bar: {bar['bar']}".replace("/", "_")] = {"value": value, "passed": bar["passed"]}
    for name, same in report["same_boxes"].items():
        found[f"boxes: {name}"] = {key: same[key] for key in ("same_labels", "score_error", "box_error_px")}
    return found


def table(report):
    """The report as text."""
    body = []
    for group in (NETWORK, END_TO_END):
        rows = [row for row in report["rows"] if row["group"] == group]
        body.append([group, ""])
        for row in rows:
            if row["status"] != MEASURED:
                body.append([f"  {row['name']}", reason(row)])
                continue
            peak = "-" if row["peak_mib"] is None else f"{row['peak_mib']:.0f}"
            model = number(row.get("model_mib"))
            body.append([f"  {row['name']}", spread(row["ms"]), spread(row["ratio"]), peak, model])
    heads = [["", "time", "ratio", "peak", "model"], ["", "ms", "", "MiB", "MiB"]]
    lines = [*heading(report), f"weights: {report['weights']}", "", *align(heads, body), ""]
    lines.append(
        "Median (quartiles); ratio: how many times as fast as the group's first row, round by round."
    )
    lines += warnings(report)
    for name, same in report["same_boxes"].items():
        counts, error = " and ".join(map(str, same["detections"])), same["box_error_px"]
        lines.append(
            f"{name}, beside PaddleDetection: {counts} boxes; of the {BEST} best {same['same_labels']} have "
            f"the same label, at most {'-' if error is None else f'{error:.2g}'} px apart"
        )
    for bar in report["bars"]:
        verdict = "not measured" if bar["value"] is None else "pass" if bar["passed"] else "missed"
        lines.append(f"{verdict:>6}  {bar['bar']}: {spread(bar['value'])}, needs {bar['needs']}")
    return "\n".join(lines)


def parse():
    """The command's arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--config", default="configs/ppyoloe/ppyoloe_s_coco.yml", help="one of our PP-YOLOEs")
    parser.add_argument("--weights", metavar="FILE", help=".pdparams (default: random weights)")
    parser.add_argument("--checkout", metavar="DIR", help="PaddleDetection, for its deploy/python")
    parser.add_argument("--size", type=int, default=640, help="side of the network's input (640)")
    parser.add_argument("--images", metavar="FOLDER", help="its first image (default: a generated one)")
    parser.add_argument("--threads", type=int, default=machine()["cores"], help="CPU threads")
    parser.add_argument("--rounds", type=int, default=20, help="turns of each row (20)")
    parser.add_argument("--steps", type=int, default=2, help="timed runs a turn (2)")
    parser.add_argument("--warmup", type=int, default=5, help="runs of each row before (5)")
    parser.add_argument(
        "--seconds", type=float, default=600, help="begin no round that would end later (600)"
    )
    add_json_argument(parser)
    args = parser.parse_args()
    infer = args.checkout and Path(args.checkout, "deploy", "python", "infer.py")
    if infer and not infer.is_file():
        parser.error(f"{infer}: no such file; give --checkout the folder of a PaddleDetection checkout")
    return args


def main():
    args = parse()
    plan = Plan(args.threads, args.rounds, args.seconds, args.steps, args.warmup)
    with tempfile.TemporaryDirectory() as folder:
        images, source = choose_images(args.images, folder)
        with silent_stdout():
            from deployment_models import make_models

            models = make_models(args.config, folder, args.size, images[0], args.weights)
        cases = make_cases(models["folders"], images[0], args.checkout, args.threads)
        measured, others = interleave([case for _, case in cases.values()], plan)
    results = dict(zip(cases, measured))
    first = {NETWORK: results[BASELINE], END_TO_END: results.get(DEPLOY)}
    rows = [report_row(name, group, results[name], first[group]) for name, (group, _) in cases.items()]
    about = surroundings(plan, measured, others)
    about["settings"]["nms"] = (
        "outside the network, but inside in PaddleDetection's 'NMS inside' and infer.py"
    )
    report = {
        "model": f"{args.config}, {args.size}x{args.size}",
        "weights": models["weights"],
        **about,
        "images": source,
        "rows": rows,
        "bars": judge(results),
        "same_boxes": same_boxes(rows),
    }
    write_report(args.json, report, quoted(report))
    print(table(report))
    complete = all(row["status"] == MEASURED for row in rows)
    return 0 if complete and all(bar["passed"] for bar in report["bars"]) else 1


if __name__ == "__main__":
    sys.exit(main())
