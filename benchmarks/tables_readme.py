"""The READMEs' table of what was measured: one row a claim, in English and in Chinese, out of the results."""

import re
from functools import partial
from typing import NamedTuple

from suite import SUITE, shown

FIELD = re.compile(r"{([^{}|]+)\|([^{}|]+)}")
OV, ORT, PI = ENGINES = ("OpenVINO", "ONNX Runtime", "Paddle Inference")
BAR = "bar: network, re-parameterised against the training form, "
BOXES = ", file to boxes"
IN_CHINESE = {"plain Paddle": "原生 Paddle"}
BOARD = "300 + 7 x 30"
NMS = ("hard NMS", "class-agnostic NMS", "soft NMS, linear", "matrix NMS, linear")


class Claim(NamedTuple):
    """One row. In both languages the same fields, {BENCHMARK/ROW/FIGURE|format}, stand in it."""

    benchmark: str
    what: str
    figure: str
    what_zh: str
    figure_zh: str


def _field(path, form=".2f"):
    return f"{{{path}|{form}}}"


def _trained(name):
    return " / ".join(_field(f"trainings/{name}/{key}", ".1f") for key in ("ap", "ap50"))


def _steps(model):
    return " / ".join(_field(f"train_step/{model}, {boxes} boxes/ratio") for boxes in (10, 50, 200))


def _assigner(name, case, phrase):
    return phrase.format(*(_field(f"assigners/{name}, {case}/{key}", ".0f") for key in ("faster", "smaller")))


def _ratios(path, names=ENGINES):
    """{engine: its ratio}, of a path with a place for the engine."""
    return {name: _field(path.format(name)) for name in names}


def _listed(ratios):
    return ", ".join(f"{name} {ratio}" for name, ratio in ratios.items())


def _listed_zh(ratios):
    return "、".join(f"{ratio} 倍（{IN_CHINESE.get(name, name)}）" for name, ratio in ratios.items())


_FASTER = partial(_assigner, phrase="{} times as fast, 1/{} of the memory")
_FASTER_ZH = partial(_assigner, phrase="速度为 {} 倍，内存为 1/{}")
_SAME = ", the same boxes and labels, scores within 1e-6"
_SAME_ZH = "，框与标签相同，得分相差不超过 1e-6"
_NETWORK = _ratios("deployment/ours, {}/ratio")
_LITE = _field("deployment/ours, Paddle Lite/ratio")
_THEIRS = _field("deployment/PaddleDetection, Paddle Inference/ms", ".0f")
_ENDS = _ratios(f"deployment/ours, {{}}{BOXES}/ratio")
_THEIR_ENDS = _field("deployment/PaddleDetection, deploy_python_infer.py/ms", ".0f")
_AROUND = _field("deployment/bar: pre- and post-processing as a part of the network's time/value", ".0%")
_FUSED = _ratios(f"deployment/{BAR}{{}}/value", ("plain Paddle", *ENGINES))
_INT8, _OLD = (_ratios(f"{name}/s, ReLU, {{}}, INT8/ratio") for name in ("int8_speed", "int8_speed_avx2"))
_INT8_ENDS, _OLD_ENDS = (
    _field(f"{name}/s, ReLU, {OV}, INT8{BOXES}/ratio") for name in ("int8_speed", "int8_speed_avx2")
)
_YOLOV6 = _field("yolov6_parity/*/largest_error", ".0e")
_EFFDET = _field("efficientdet_parity/*/largest_error", ".0e")
_HOP = _field("verify_models/blood cells, ReLU; onnxruntime/raw_error", ".1e")
_DEMO = [_field(f"trainings/demo, ReLU/ap_{end}", ".1f") for end in ("lowest", "highest")]
_SOFTMAX = " / ".join(_field(f"fusion/softmax/{phase}_ratio") for phase in ("training", "deployed"))
_NMS = " / ".join(_field(f"postprocess/{kind}, 3082 candidates/ours_ms", ".1f") for kind in NMS)
_READ, _WORKERS = (_field(f"reader/PP-YOLOE, 320 to 768/{key}", ".1f") for key in ("ratio", "workers_ratio"))
_WAIT, _STEP = _field("reader/nano/wait_ms", ".1f"), _field("reader/nano/step_ms", ",.0f")
_MEMORY, _TIME = (_field(f"recompute/recomputed/{key}") for key in ("memory", "time"))
_PROCESSES = _field("scaling/processes 2/times")

CLAIMS = (
    Claim("trainings",
          "demo: lowest and highest AP of the ONNX file on unseen images, of five runs",
          " to ".join(_DEMO),
          "demo：五次训练所得 ONNX 文件在未见过的图片上的最低与最高 AP",
          " 至 ".join(_DEMO)),
    Claim("trainings",
          "blood cells (BCCD), nano, from scratch: AP / AP50", _trained("blood cells, ReLU"),
          "血细胞（BCCD），nano，从零训练：AP / AP50", _trained("blood cells, ReLU")),
    Claim("trainings",
          "YOLOv6 at the demo's size, demo: AP / AP50", _trained("demo, YOLOv6"),
          "demo 规模的 YOLOv6，demo 数据：AP / AP50", _trained("demo, YOLOv6")),
    Claim("trainings",
          "PP-YOLOE at the same rate", _trained("demo, PP-YOLOE at YOLOv6's rate"),
          "相同学习率下的 PP-YOLOE", _trained("demo, PP-YOLOE at YOLOv6's rate")),
    Claim("trainings",
          "PP-YOLOE with two cells of BiFPN, demo", _trained("demo, PP-YOLOE with BiFPN"),
          "PP-YOLOE 配两个 BiFPN 单元，demo 数据", _trained("demo, PP-YOLOE with BiFPN")),
    Claim("trainings",
          "EfficientDet at the demo's size, demo", _trained("demo, EfficientDet"),
          "demo 规模的 EfficientDet，demo 数据", _trained("demo, EfficientDet")),
    Claim("verify_models",
          "exported ONNX file against the model as trained, raw outputs, blood cells",
          f"{_HOP} of the largest output",
          "导出的 ONNX 文件与训练所得模型的原始输出之差，血细胞",
          f"最大输出值的 {_HOP}"),
    Claim("deployment",
          "network of PP-YOLOE-s at 640 px, FP32, against PaddleDetection's own export in Paddle Inference "
          f"with oneDNN ({_THEIRS} ms)",
          f"{_listed(_NETWORK)} times as fast; Paddle Lite x86 (one core) {_LITE}",
          "PP-YOLOE-s 网络，640 px，FP32，对比 PaddleDetection 自行导出的模型在启用 oneDNN 的 "
          f"Paddle Inference 上（{_THEIRS} ms）",
          f"速度为 {_listed_zh(_NETWORK)}；Paddle Lite x86（单核）为 {_LITE} 倍"),
    Claim("deployment",
          f"image file to boxes, against its unmodified `deploy/python/infer.py` ({_THEIR_ENDS} ms)",
          f"{_listed(_ENDS)} times as fast, the same boxes",
          f"从图片文件到检测框，对比其未改动的 `deploy/python/infer.py`（{_THEIR_ENDS} ms）",
          f"速度为 {_listed_zh(_ENDS)}，检测框相同"),
    Claim("deployment",
          "pre- and post-processing beside the network", f"{_AROUND} of its time",
          "网络之外的前处理与后处理", f"网络耗时的 {_AROUND}"),
    Claim("deployment",
          "re-parameterised against the training form", f"{_listed(_FUSED)} times as fast",
          "重参数化之后，对比训练时的结构",
          f"速度为 {_listed_zh(_FUSED)}"),
    Claim("int8_speed",
          "INT8 against FP32 in the same engine, PP-YOLOE-s with ReLU at 640 px, with VNNI",
          f"{_listed(_INT8)} times as fast; from file to boxes {_INT8_ENDS} times as fast as "
          "`deploy/python/infer.py` in FP32",
          "同一引擎中 INT8 对比 FP32，PP-YOLOE-s（ReLU），640 px，有 VNNI",
          f"速度为 {_listed_zh(_INT8)}；从文件到检测框，为 FP32 的 `deploy/python/infer.py` 的 "
          f"{_INT8_ENDS} 倍"),
    Claim("int8_speed_avx2",
          "the same on AVX2 without VNNI", f"{_listed(_OLD)}; {_OLD_ENDS}",
          "同上，AVX2，无 VNNI", f"{_listed_zh(_OLD)}；{_OLD_ENDS} 倍"),
    Claim("yolov6_parity",
          "YOLOv6 on converted random weights, against the reference",
          f"raw outputs within {_YOLOV6} of the largest value",
          "YOLOv6，转换后的随机权重，对比参考实现", f"原始输出之差不超过最大值的 {_YOLOV6}"),
    Claim("efficientdet_parity",
          "EfficientDet on converted random weights, against effdet",
          f"outputs within {_EFFDET} of the largest value",
          "EfficientDet，转换后的随机权重，对比 effdet", f"输出之差不超过最大值的 {_EFFDET}"),
    Claim("fusion",
          "softmax against fast fusion, D0's neck in training / D0 deployed",
          f"{_SOFTMAX} of the time, the same graph",
          "softmax 融合对比 fast 融合，训练中的 D0 颈部 / 部署后的 D0", f"耗时为 {_SOFTMAX} 倍，计算图相同"),
    Claim("postprocess",
          "NMS of 8400 anchors x 80 classes, 3082 candidates: hard / class-agnostic / soft / matrix",
          f"{_NMS} ms",
          "8400 个锚点 x 80 类、3082 个候选框的 NMS：hard / 类别无关 / soft / matrix", f"{_NMS} ms"),
    Claim("assigners",
          "TAL assigner, 8 images x 100 boxes, against PaddleDetection's", _FASTER("TAL", "100 gts") + _SAME,
          "TAL 标签分配，8 张图片 x 100 个框，对比 PaddleDetection", _FASTER_ZH("TAL", "100 gts") + _SAME_ZH),
    Claim("assigners",
          "ATSS assigner, the same", _FASTER("ATSS", "100 gts") + _SAME,
          "ATSS 标签分配，同上", _FASTER_ZH("ATSS", "100 gts") + _SAME_ZH),
    Claim("assigners",
          "one image of 300 boxes and seven of 30: TAL; ATSS",
          f"{_FASTER('TAL', BOARD)}; {_FASTER('ATSS', BOARD)}",
          "一张图片 300 个框、七张图片各 30 个框：TAL；ATSS",
          f"{_FASTER_ZH('TAL', BOARD)}；{_FASTER_ZH('ATSS', BOARD)}"),
    Claim("train_step",
          "whole training step, batch 2: 10 / 50 / 200 boxes an image",
          f"s at 640 px {_steps('s')}, nano at 320 px {_steps('nano')} times as fast",
          "完整的训练步，批大小 2：每张图片 10 / 50 / 200 个框",
          f"速度为 {_steps('s')} 倍（s，640 px）、{_steps('nano')} 倍（nano，320 px）"),
    Claim("reader",
          "reading PP-YOLOE's recipe, against PaddleDetection's reader with the same random draws",
          f"{_READ} times as many images a second in one process, {_WORKERS} times with two workers",
          "按 PP-YOLOE 的训练方案读取数据，对比 PaddleDetection 的读取器，随机抽样相同",
          f"单进程每秒图片数为 {_READ} 倍，两个 worker 时为 {_WORKERS} 倍"),
    Claim("reader",
          "nano at 320 px, batch 8, two workers: the part of a step in which it waits for images",
          f"{_WAIT} ms of {_STEP} ms",
          "nano，320 px，批大小 8，两个 worker：一步之中等待图片的时间", f"{_STEP} ms 中的 {_WAIT} ms"),
    Claim("recompute",
          "recomputing the backbone of PP-YOLOE-s, batch 4, 640 px",
          f"{_MEMORY} of the memory, {_TIME} times the time",
          "重计算 PP-YOLOE-s 的骨干网络，批大小 4，640 px", f"内存为 {_MEMORY} 倍，时间为 {_TIME} 倍"),
    Claim("scaling",
          "two processes against one, nano at 320 px", f"{_PROCESSES} times as many images a second",
          "两个进程对比一个进程，nano，320 px", f"每秒图片数为 {_PROCESSES} 倍"),
)  # fmt: skip


def measured(results):
    """Heads and rows of the table; '-' where a figure was not measured."""
    rows = [(claim.what, claim.figure, claim.benchmark) for claim in CLAIMS]
    return ["what", "figure", "command"], _filled(rows, results)


def measured_zh(results):
    """The same in Chinese."""
    rows = [(claim.what_zh, claim.figure_zh, claim.benchmark) for claim in CLAIMS]
    return ["项目", "结果", "命令"], _filled(rows, results)


def _filled(rows, results):
    def written(match):
        benchmark, row, key = match[1].split("/")
        figures = results["benchmarks"].get(benchmark, {}).get("figures") or {}
        rows = figures.values() if row == "*" else [figures.get(row, {})]
        values = [found[key] for found in rows if found.get(key) is not None]
        return format(max(values), match[2]) if values else "-"

    return [
        [FIELD.sub(written, what), FIELD.sub(written, figure), f"`{shown(SUITE[name])}`"]
        for what, figure, name in rows
    ]
