"""What INT8 wins in speed: the same network in FP32 and in INT8, in the same engine, side by side.

    .venv/bin/python benchmarks/int8_speed.py --checkout DIR --json output/benchmarks/int8_speed.json

Nano and s at 640 pixels, ReLU and swish, random weights, quantised as `ppdet-ext quantize ptq` does; with a
checkout of PaddleDetection also from file to boxes, against its unmodified `deploy/python/infer.py` in FP32.
Every row has a process of its own, and their turns are interleaved; ratios are medians of the ratios of each
round. The bars are for processors with VNNI: on others they are not judged. Exit status 1 if one is missed.
"""

import argparse
import os
import sys
import tempfile

from common import add_json_argument, write_report
from deployment import CASES, DEPLOY, ENGINES

from ppdet_ext.environment import machine
from ppdet_ext.evaluation.bench.benchmark import CASE, surroundings
from ppdet_ext.evaluation.bench.images import choose_images, photographs
from ppdet_ext.evaluation.bench.numbers import latencies, ratio
from ppdet_ext.evaluation.bench.process import silent_stdout
from ppdet_ext.evaluation.bench.rounds import MEASURED, Case, Plan, interleave
from ppdet_ext.evaluation.bench.table import heading, number, reason, spread, warnings
from ppdet_ext.evaluation.text_table import align
from ppdet_ext.versions import is_importable

CONFIGS = {
    "nano, ReLU": "configs/ppyoloe/ppyoloe_nano_relu_coco.yml",
    "nano, swish": "configs/ppyoloe/ppyoloe_nano_coco.yml",
    "s, ReLU": "configs/ppyoloe/ppyoloe_s_relu_coco.yml",
    "s, swish": "configs/ppyoloe/ppyoloe_s_coco.yml",
}
END_TO_END = "s, ReLU"
NNCF = "INT8 by NNCF"
# (network, engine): times as fast as FP32 on a processor with VNNI; a tuple of engines: the best of them.
BARS = {
    ("s, ReLU", ("openvino",)): 2.67,
    ("s, ReLU", ("onnxruntime",)): 2.0,
    ("s, swish", ("openvino", "onnxruntime")): 1.8,
}
END_TO_END_BAR = 5.0


def make_cases(folders, image, checkout, threads):
    """The rows: {name: (Case, name of its yardstick or None)}."""
    rows = {}
    for network, forms in folders.items():
        for backend, engine in ENGINES.items():
            base = f"{network}, {engine}, FP32"
            for form, folder in forms.items():
                if form in ("theirs", NNCF) and (form, backend) != (NNCF, "openvino"):
                    continue
                arguments = {"folder": folder, "backend": backend, "batch": 1, "images": [image]}
                name = f"{network}, {engine}, {form}"
                case = Case(name, CASE, {**arguments, "threads": threads})
                rows[name] = case, (None if name == base else base)
    if checkout:
        given = {"image": image, "threads": threads}
        theirs = folders[END_TO_END]["theirs"]
        case = Case(DEPLOY, f"{CASES}:TheirDetector", {"checkout": checkout, "folder": theirs, **given})
        rows[DEPLOY] = case, None
        for backend, engine in ENGINES.items():
            name = f"{END_TO_END}, {engine}, INT8, file to boxes"
            folder = folders[END_TO_END]["INT8"]
            case = Case(name, f"{CASES}:OurDetector", {"folder": folder, "backend": backend, **given})
            rows[name] = case, DEPLOY
    return rows


def report_rows(cases, results):
    """The rows of the report, with the ratio to their yardstick."""
    done = {result.case.name: result for result in results}
    rows = []
    for name, (_, base) in cases.items():
        result = done[name]
        row = {"name": name, "status": result.status, "reason": result.reason}
        if result.status == MEASURED:
            phase = "file_to_boxes" if "file_to_boxes" in result.rounds[0] else "network"
            row["ms"] = latencies(result.rounds)[f"{phase}_ms"]
            row["model_mib"] = result.info.get("model_mib")
            row["rests"] = result.rests
            if base and done[base].status == MEASURED:
                row["ratio"] = ratio(done[base].rounds, result.rounds, phase)
        rows.append(row)
    return rows


def judge(rows, isa):
    """The bars: {'bar', 'needs', 'value' (quartiles or None), 'passed' (None where not judged)}."""
    ratios = {row["name"]: row["ratio"] for row in rows if "ratio" in row}
    bars = []

    def bar(text, names, needs):
        found = [ratios[name] for name in names if name in ratios]
        value = max(found, key=lambda figure: figure["median"]) if found else None
        judged = value is not None and "vnni" in isa
        bars.append(
            {
                "bar": text,
                "needs": needs,
                "value": value,
                "passed": value["median"] >= needs if judged else None,
            }
        )

    for (network, backends), needs in BARS.items():
        engines = [ENGINES[backend] for backend in backends]
        bar(f"{network}, {' or '.join(engines)}", [f"{network}, {engine}, INT8" for engine in engines], needs)
    ends = [f"{END_TO_END}, {engine}, INT8, file to boxes" for engine in ENGINES.values()]
    bar("file to boxes, INT8 against deploy/python/infer.py in FP32", ends, END_TO_END_BAR)
    return bars


def quoted(report):
    """What the docs quote: milliseconds, ratio and MiB of each row."""
    found = {}
    for row in report["rows"]:
        if row["status"] == MEASURED:
            times = row["ratio"]["median"] if row.get("ratio") else None
            found[row["name"].replace("/", "_")] = {
                "ms": row["ms"]["median"],
                "ratio": times,
                "model_mib": row["model_mib"],
            }
    return found


def table(report):
    """The report as text."""
    body = []
    for row in report["rows"]:
        if row["status"] != MEASURED:
            body.append([row["name"], reason(row)])
            continue
        body.append([row["name"], spread(row["ms"]), spread(row.get("ratio")), number(row["model_mib"])])
    heads = [["", "time", "ratio", "model"], ["", "ms", "to FP32", "MiB"]]
    lines = [*heading(report), "", *align(heads, body), ""]
    lines += warnings(report)
    for bar in report["bars"]:
        passed = {None: "not judged without VNNI", True: "pass", False: "missed"}[bar["passed"]]
        verdict = "not measured" if bar["value"] is None else passed
        lines.append(f"{verdict}: {bar['bar']}: {spread(bar['value'])}, needs {bar['needs']}x")
    return "\n".join(lines)


def parse():
    """The command's arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--networks", nargs="+", choices=list(CONFIGS), default=list(CONFIGS))
    parser.add_argument("--checkout", metavar="DIR", help="PaddleDetection, for its deploy/python")
    parser.add_argument("--size", type=int, default=640, help="side of the network's input (640)")
    parser.add_argument("--threads", type=int, default=machine()["cores"], help="CPU threads")
    parser.add_argument("--rounds", type=int, default=15, help="turns of each row (15)")
    parser.add_argument(
        "--seconds", type=float, default=600, help="begin no round that would end later (600)"
    )
    add_json_argument(parser)
    args = parser.parse_args()
    if args.checkout and END_TO_END not in args.networks:
        parser.error(f"--checkout compares with the network '{END_TO_END}'; name it in --networks")
    return args


def main():
    args = parse()
    plan = Plan(args.threads, args.rounds, args.seconds, steps=2)
    with tempfile.TemporaryDirectory() as folder:
        images, source = choose_images(None, folder)
        pictures = photographs(folder, 8)
        with silent_stdout():
            from deployment_models import make_quantized

            folders = {}
            for network in args.networks:
                place = os.path.join(folder, network.replace(", ", "_"))
                theirs = bool(args.checkout) and network == END_TO_END
                folders[network] = make_quantized(CONFIGS[network], place, args.size, pictures, theirs)
                if is_importable("nncf") and network.startswith("s,"):
                    from deployment_models import quantize_by_nncf

                    folders[network][NNCF] = quantize_by_nncf(folders[network]["FP32"], pictures)
        cases = make_cases(folders, images[0], args.checkout, args.threads)
        results, others = interleave([case for case, _ in cases.values()], plan)
    rows = report_rows(cases, results)
    about = surroundings(plan, results, others)
    report = {
        "model": f"PP-YOLOE, {args.size}x{args.size}, random weights",
        **about,
        "images": source,
        "rows": rows,
        "bars": judge(rows, about["machine"]["isa"]),
    }
    write_report(args.json, report, quoted(report))
    print(table(report))
    complete = all(row["status"] == MEASURED for row in rows)
    return 0 if complete and not any(bar["passed"] is False for bar in report["bars"]) else 1


if __name__ == "__main__":
    sys.exit(main())
