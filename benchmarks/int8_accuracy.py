"""What INT8 costs in AP: FP32, after training, with a budget, and trained for it; in every engine.

    .venv/bin/python benchmarks/int8_accuracy.py --data blood_cells=BCCD --json output/benchmarks/int8.json

It runs the commands a user would (`ppdet-ext export`, `quantize ptq`, `verify`) on trained models; CASES says
which, and what trains them. A model whose weights are not there is not measured. Exit status 1 if a bar is
missed or a hop fails.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from ppdet_ext.environment import machine  # noqa: E402
from ppdet_ext.evaluation.text_table import align  # noqa: E402

# name: data set, config, float weights and, where it is trained for INT8, slim config and weights of QAT. By
#   tools/train.py -c CONFIG --eval        and        tools/train.py -c CONFIG --slim_config SLIM --eval
# (with swish and YOLOv6: -o pretrain_weights=... save_dir=..., see slim configs; RepOptimizer: search first).
CASES = {
    "demo, ReLU": (
        "demo",
        "configs/demo/ppyoloe_nano_demo.yml",
        "output/demo/training/ppyoloe_nano_demo/model_final",
        "configs/slim/qat/demo_qat.yml",
        "output/demo_qat/model_final",
    ),
    "demo, swish": (
        "demo",
        "configs/demo/ppyoloe_nano_swish_demo.yml",
        "output/ppyoloe_nano_swish_demo/model_final",
        "configs/slim/qat/demo_qat.yml",
        "output/swish/demo_qat/model_final",
    ),
    "blood cells, ReLU": (
        "blood_cells",
        "configs/applications/blood_cells.yml",
        "output/blood_cells/best_model",
        "configs/slim/qat/blood_cells_qat.yml",
        "output/blood_cells_qat/best_model",
    ),
    "blood cells, swish": (
        "blood_cells",
        "configs/applications/blood_cells_swish.yml",
        "output/blood_cells_swish/best_model",
        "configs/slim/qat/blood_cells_qat.yml",
        "output/swish/blood_cells_qat/best_model",
    ),
    "demo, YOLOv6": (
        "demo",
        "configs/demo/yolov6_nano_demo.yml",
        "output/yolov6_nano_demo/model_final",
        "configs/slim/qat/demo_qat.yml",
        "output/yolov6/demo_qat/model_final",
    ),
    "demo, YOLOv6 with QARepVGG": (
        "demo",
        "configs/demo/yolov6_nano_qarep_demo.yml",
        "output/yolov6_nano_qarep_demo/model_final",
    ),
    "demo, YOLOv6 with RepOptimizer": (
        "demo",
        "configs/demo/yolov6_nano_repopt_demo.yml",
        "output/yolov6_nano_repopt_demo/model_final",
    ),
    "demo, PP-YOLOE with BiFPN": (
        "demo",
        "configs/demo/ppyoloe_bifpn_nano_demo.yml",
        "output/ppyoloe_bifpn_nano_demo/model_final",
    ),
    "demo, EfficientDet": (
        "demo",
        "configs/demo/efficientdet_nano_demo.yml",
        "output/efficientdet_nano_demo/model_final",
    ),
}
COMMAND = "import sys; from ppdet_ext.cli import main; sys.exit(main())"
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
    name, config, weights, *trained = CASES[case]
    options = [f"weights={weights}"]
    if name in data:
        options += [f"{key}.dataset_dir={data[name]}" for key in ("TrainDataset", "EvalDataset")]
    float_model = ["-c", config, "-o", *options]
    quantize = ["quantize", "ptq", *float_model, "--images", str(images)]
    ways = {
        FP32: (["export", *float_model], float_model),
        PTQ: (quantize, float_model),
        BUDGETED: ([*quantize, "--max-drop", str(BUDGET)], float_model),
    }
    if trained:
        slim, qat = trained
        model = ["-c", config, "--slim_config", slim, "-o", f"weights={qat}", *options[1:]]
        ways[QAT] = (["export", *model], model)
    rows = {}
    for row, (command, model) in ways.items():
        if row == QAT and not os.path.isfile(qat + ".pdparams"):
            rows[row] = None
            continue
        output = os.path.join(folder, f"{case} {row}".replace(" ", "_"))
        run([*command, "--to", *TARGETS, "--output", output])
        report = os.path.join(folder, "report.json")
        run(["verify", "--model", output, *model, "--json", report], statuses=(0, 1))
        rows[row] = json.loads(Path(report).read_text(encoding="utf-8"))
        manifest = json.loads(Path(output, "export.json").read_text(encoding="utf-8"))
        rows[row]["quantization"] = manifest.get("quantization")
    return rows


def run(arguments, statuses=(0,)):
    """Runs ppdet-ext; its output is shown if it fails."""
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    if done.returncode not in statuses:
        print(done.stdout, file=sys.stderr)
        raise RuntimeError((done.stdout.strip().splitlines() or ["no message"])[-1])


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
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES), help="(default: all)")
    parser.add_argument(
        "--data", nargs="+", default=[], metavar="NAME=FOLDER", help="where demo and blood_cells are"
    )
    parser.add_argument("--images", type=int, default=64, help="to calibrate on (64)")
    parser.add_argument("--json", metavar="FILE", help="where to write the report")
    return parser.parse_args()


def main():
    args = parse()
    data = dict(entry.split("=", 1) for entry in args.data)
    cases, not_measured = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for case in args.cases:
            weights = CASES[case][2] + ".pdparams"
            if not os.path.isfile(ROOT / weights):
                not_measured[case] = f"no {weights}; train {CASES[case][1]}"
                continue
            print(f"{case} ...", file=sys.stderr, flush=True)
            cases[case] = measure(case, folder, data, args.images)
    report = {"machine": machine(), "cases": cases, "not_measured": not_measured, "bars": judge(cases)}
    if args.json:
        os.makedirs(os.path.dirname(args.json) or ".", exist_ok=True)
        Path(args.json).write_text(json.dumps(report, indent=1), encoding="utf-8")
    print(table(report))
    measured = [bar for bar in report["bars"] if bar["value"] is not None]
    return 0 if not not_measured and all(bar["passed"] for bar in measured) else 1


if __name__ == "__main__":
    sys.exit(main())
