"""The README's table of what was measured: one row a claim, its figures out of the results."""

import re

from suite import SUITE, shown

FIELD = re.compile(r"{([^{}|]+)\|([^{}|]+)}")
FASTER = "{{deployment/{}/ratio|.2f}}"
INT8 = "{{int8_speed/s, ReLU, {}, INT8{}/ratio|.2f}}"
OLD = "{{int8_speed_avx2/s, ReLU, {}, INT8{}/ratio|.2f}}"
STEP = "{{train_step/{}, {} boxes/ratio|.2f}}"
READ = "{{reader/{}/{}|.1f}}"
OV, ORT, PI = ENGINES = ("OpenVINO", "ONNX Runtime", "Paddle Inference")
BAR = "deployment/bar: network, re-parameterised against the training form, "
FILE = ", file to boxes"
BOARD = "300 + 7 x 30"


def _trained(name):
    return f"{{trainings/{name}/ap|.1f}} / {{trainings/{name}/ap50|.1f}}"


def _steps(model):
    return " / ".join(STEP.format(model, boxes) for boxes in (10, 50, 200))


def _assigner(name, case):
    row = f"assigners/{name}, {case}"
    return f"{{{row}/faster|.0f}} times as fast, 1/{{{row}/smaller|.0f}} of the memory"


def _engines(names, form=FASTER, suffix=""):
    return ", ".join(f"{name} {form.format(name if form != FASTER else f'ours, {name}{suffix}', suffix)}"
                     for name in names)  # fmt: skip


_NMS = ("hard NMS", "class-agnostic NMS", "soft NMS, linear", "matrix NMS, linear")
# What, figures ({BENCHMARK/ROW/FIGURE|format}), and the benchmark whose command stands beside them.
CLAIMS = (
    ("demo: lowest and highest AP of the ONNX file on unseen images, of five runs",
     "{trainings/demo, ReLU/ap_lowest|.1f} to {trainings/demo, ReLU/ap_highest|.1f}", "trainings"),
    ("blood cells (BCCD), nano, from scratch: AP / AP50", _trained("blood cells, ReLU"), "trainings"),
    ("YOLOv6 at the demo's size, demo: AP / AP50", _trained("demo, YOLOv6"), "trainings"),
    ("PP-YOLOE at the same rate", _trained("demo, PP-YOLOE at YOLOv6's rate"), "trainings"),
    ("PP-YOLOE with two cells of BiFPN, demo", _trained("demo, PP-YOLOE with BiFPN"), "trainings"),
    ("EfficientDet at the demo's size, demo", _trained("demo, EfficientDet"), "trainings"),
    ("exported ONNX file against the model as trained, raw outputs, blood cells",
     "{verify_models/blood cells, ReLU; onnxruntime/raw_error|.1e} of the largest output", "verify_models"),
    ("network of PP-YOLOE-s at 640 px, FP32, against PaddleDetection's own export in Paddle Inference with "
     "oneDNN ({deployment/PaddleDetection, Paddle Inference/ms|.0f} ms)",
     _engines(ENGINES) + " times as fast; Paddle Lite x86 (one core) " + FASTER.format("ours, Paddle Lite"),
     "deployment"),
    ("image file to boxes, against its unmodified `deploy/python/infer.py` "
     "({deployment/PaddleDetection, deploy_python_infer.py/ms|.0f} ms)",
     _engines(ENGINES, suffix=FILE) + " times as fast, the same boxes", "deployment"),
    ("pre- and post-processing beside the network",
     "{deployment/bar: pre- and post-processing as a part of the network's time/value|.0%} of its time",
     "deployment"),
    ("re-parameterised against the training form",
     ", ".join(f"{name} {{{BAR}{name}/value|.2f}}" for name in ("plain Paddle", *ENGINES)) + " times as fast",
     "deployment"),
    ("INT8 against FP32 in the same engine, PP-YOLOE-s with ReLU at 640 px, with VNNI",
     _engines(ENGINES, INT8) + " times as fast; from file to boxes " + INT8.format(OV, FILE) +
     " times as fast as `deploy/python/infer.py` in FP32", "int8_speed"),
    ("the same on AVX2 without VNNI", _engines(ENGINES, OLD) + "; " + OLD.format(OV, FILE),
     "int8_speed_avx2"),
    ("YOLOv6 on converted random weights, against the reference",
     "raw outputs within {yolov6_parity/*/largest_error|.0e} of the largest value", "yolov6_parity"),
    ("EfficientDet on converted random weights, against effdet",
     "outputs within {efficientdet_parity/*/largest_error|.0e} of the largest value", "efficientdet_parity"),
    ("softmax against fast fusion, D0's neck in training / D0 deployed",
     "{fusion/softmax/training_ratio|.2f} / {fusion/softmax/deployed_ratio|.2f} of the time, the same graph",
     "fusion"),
    ("NMS of 8400 anchors x 80 classes, 3082 candidates: hard / class-agnostic / soft / matrix",
     " / ".join(f"{{postprocess/{kind}, 3082 candidates/ours_ms|.1f}}" for kind in _NMS) + " ms",
     "postprocess"),
    ("TAL assigner, 8 images x 100 boxes, against PaddleDetection's", _assigner("TAL", "100 gts") +
     ", identical", "assigners"),
    ("ATSS assigner, the same", _assigner("ATSS", "100 gts") + ", identical", "assigners"),
    ("one image of 300 boxes and seven of 30: TAL; ATSS",
     f"{_assigner('TAL', BOARD)}; {_assigner('ATSS', BOARD)}", "assigners"),
    ("whole training step, batch 2: 10 / 50 / 200 boxes an image",
     f"s at 640 px {_steps('s')}, nano at 320 px {_steps('nano')} times as fast", "train_step"),
    ("reading PP-YOLOE's recipe, against PaddleDetection's reader with the same random draws",
     READ.format("PP-YOLOE, 320 to 768", "ratio") + " times as many images a second in one process, " +
     READ.format("PP-YOLOE, 320 to 768", "workers_ratio") + " times with two workers", "reader"),
    ("nano at 320 px, batch 8, two workers: the part of a step in which it waits for images",
     "{reader/nano/wait_ms|.1f} ms of {reader/nano/step_ms|,.0f} ms", "reader"),
    ("recomputing the backbone of PP-YOLOE-s, batch 4, 640 px",
     "{recompute/recomputed/memory|.2f} of the memory, {recompute/recomputed/time|.2f} times the time",
     "recompute"),
    ("two processes against one, nano at 320 px",
     "{scaling/processes 2/times|.2f} times as many images a second", "scaling"),
)  # fmt: skip


def measured(results):
    """Heads and rows of the table; '-' where a figure was not measured."""

    def written(match):
        benchmark, row, key = match[1].split("/")
        figures = results["benchmarks"].get(benchmark, {}).get("figures") or {}
        rows = figures.values() if row == "*" else [figures.get(row, {})]
        values = [found[key] for found in rows if found.get(key) is not None]
        return format(max(values), match[2]) if values else "-"

    rows = [
        [FIELD.sub(written, what), FIELD.sub(written, claim), f"`{shown(SUITE[name])}`"]
        for what, claim, name in CLAIMS
    ]
    return ["what", "figure", "command"], rows
