"""What INT8 costs in AP: FP32, after training, with a budget, and trained for it; in every engine.

    .venv/bin/python benchmarks/int8_accuracy.py --data bccd=BCCD --json output/benchmarks/int8.json

It runs the commands a user would (`ppdet-ext export`, `quantize ptq`, `verify`) on the trained models of
CASES, which `benchmarks/trainings.py` trains. A model whose weights are not there is not measured. Exit
status 1 if a bar is missed or a hop fails.
"""

import argparse
import os
import sys
import tempfile

from common import ROOT, add_json_argument, read_json, run_cli, write_report
from trained_models import MODELS, add_data_argument, data_of, data_options

from ppdet_ext.environment import machine
from ppdet_ext.evaluation.text_table import align

# Those of MODELS that are quantised; where there is a '..., QAT', it is trained for INT8, too.
CASES = [name for name in MODELS if not name.endswith(", QAT") and f"{name}, QAT" in MODELS]
CASES += [
    "demo, YOLOv6 with QARepVGG",
    "demo, YOLOv6 with RepOptimizer",
    "demo, PP-YOLOE with BiFPN",
    "demo, EfficientDet",
]
BUDGET = 0.5
# Points of AP that a row may lose in each engine against the float model as trained.
FP32, PTQ, BUDGETED, QAT = "FP32", "after training", f"--max-drop {BUDGET}", "in training (QAT)"
BARS = {FP32: 0.1, PTQ: 1.0, BUDGETED: BUDGET, QAT: BUDGET}
ENGINES = ("onnxruntime", "openvino", "paddle_inference", "paddle_lite")
# The engine that --max-drop measures in; the others have kernels of their own, and the bar of plain INT8.
MEASURED_IN = "onnxruntime"
TARGETS = ["paddle", "onnx", "openvino", "tensorrt", "lite"]


def measure(case, folder, data, images):
    """The rows of a case: {row: report of verify}, with 'quantization' of `export.json`.

    Raises:
        RuntimeError: a command failed; its last line is the reason.
    """
    model, trained = MODELS[case], MODELS.get(f"{case}, QAT")
    options = data_options(model, data)
    float_model = ["-c", model.config, "-o", f"weights={model.weights}", *options]
    quantize = ["quantize", "ptq", *float_model, "--images", str(images)]
    ways = {
        FP32: (["export", *float_model], float_model),
        PTQ: (quantize, float_model),
        BUDGETED: ([*quantize, "--max-drop", str(BUDGET)], float_model),
    }
    if trained:
        slim_model = ["-c", model.config, "--slim_config", trained.slim]
        slim_model += ["-o", f"weights={trained.weights}", *options]
        ways[QAT] = (["export", *slim_model], slim_model)
    rows = {}
    for row, (command, described) in ways.items():
        if row == QAT and not (ROOT / f"{trained.weights}.pdparams").is_file():
            rows[row] = None
            continue
        output = os.path.join(folder, f"{case} {row}".replace(" ", "_"))
        run_cli([*command, "--to", *TARGETS, "--output", output])
        report = os.path.join(folder, "report.json")
        run_cli(["verify", "--model", output, *described, "--json", report], statuses=(0, 1))
        rows[row] = read_json(report)
        rows[row]["quantization"] = read_json(os.path.join(output, "export.json")).get("quantization")
    return rows


def judge(cases):
    """The bars: one a row and engine, {'bar', 'needs', 'value', 'passed'}; value None is not measured."""
    bars = []
    for case, rows in cases.items():
        full = rows[FP32]["hops"][0]["ap"]
        for row, report in rows.items():
            for engine in ENGINES:
                hop = _hop(report, engine)
                limit = BARS[row] if engine == MEASURED_IN or row == FP32 else max(BARS[row], BARS[PTQ])
                value = None if hop is None or hop.get("ap") is None else full - hop["ap"]
                passed = value is not None and value <= limit and hop["status"] == "pass"
                bars.append(
                    {"bar": f"{case}, {row}, {engine}", "needs": limit, "value": value, "passed": passed}
                )
    return bars


def _hop(report, engine):
    return report and next((hop for hop in report["hops"] if hop["hop"] == engine), None)


def quoted(report):
    """What the docs quote: AP of each case and row, as trained and in every engine, and its float layers."""
    found = {}
    for case, rows in report["cases"].items():
        for row, result in rows.items():
            if result is None:
                continue
            hops = {engine: _hop(result, engine) for engine in ENGINES}
            missed = [engine for engine, hop in hops.items() if hop and _missed(report, case, row, engine)]
            kept = (result["quantization"] or {}).get("float_layers")
            found[f"{case}; {row}"] = {
                "as_trained": result["hops"][0]["ap"],
                **{engine: hop and hop.get("ap") for engine, hop in hops.items()},
                "missed": missed,
                "float_layers": None if kept is None else len(kept),
            }
    return found


def _missed(report, case, row, engine):
    name = f"{case}, {row}, {engine}"
    return any(bar["bar"] == name and not bar["passed"] for bar in report["bars"])


def table(report):
    """The report as text."""
    body = []
    for case, rows in report["cases"].items():
        body.append([case, ""])
        for row, found in rows.items():
            cells = [_cell(_hop(found, engine)) for engine in ENGINES]
            quantization = (found or {}).get("quantization") or {}
            kept = len(quantization["float_layers"]) if "float_layers" in quantization else None
            reference = "-" if found is None else f"{found['hops'][0]['ap']:.2f}"
            body.append([f"  {row}", reference, *cells, "-" if kept is None else str(kept)])
    heads = [["", "as trained", *ENGINES, "float"], ["", "AP", *["AP"] * len(ENGINES), "layers"]]
    missed = [bar for bar in report["bars"] if bar["value"] is not None and not bar["passed"]]
    isa = ", ".join(report["machine"]["isa"])
    lines = [f"INT8 on {report['machine']['cpu']} ({isa})", "", *align(heads, body), ""]
    lines += [f"not measured: {case}: {reason}" for case, reason in report["not_measured"].items()]
    lines += [f"missed: {bar['bar']}: AP {-bar['value']:+.2f}, may lose {bar['needs']}" for bar in missed]
    passed = sum(bar["passed"] for bar in report["bars"])
    unknown = sum(bar["value"] is None for bar in report["bars"])
    lines.append(f"{passed} of {len(report['bars'])} bars passed, {unknown} not measured")
    return "\n".join(lines)


def _cell(hop):
    if hop is None or hop.get("ap") is None:
        return "-"
    return f"{hop['ap']:.2f}" if hop["status"] == "pass" else f"{hop['ap']:.2f} FAIL"


def parse():
    """The command's arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--cases", nargs="+", choices=CASES, default=CASES, metavar="CASE", help="(default: all)"
    )
    add_data_argument(parser)
    parser.add_argument("--images", type=int, default=64, help="to calibrate on (64)")
    add_json_argument(parser)
    return parser.parse_args()


def main():
    args = parse()
    data = data_of(args)
    cases, not_measured = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for case in args.cases:
            weights = f"{MODELS[case].weights}.pdparams"
            if not (ROOT / weights).is_file():
                not_measured[case] = f"no {weights}; run benchmarks/trainings.py"
                continue
            print(f"{case} ...", file=sys.stderr, flush=True)
            cases[case] = measure(case, folder, data, args.images)
    report = {"machine": machine(), "cases": cases, "not_measured": not_measured, "bars": judge(cases)}
    write_report(args.json, report, quoted(report))
    print(table(report))
    measured = [bar for bar in report["bars"] if bar["value"] is not None]
    return 0 if not not_measured and all(bar["passed"] for bar in measured) else 1


if __name__ == "__main__":
    sys.exit(main())
