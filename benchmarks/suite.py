"""The registry: every benchmark, its command, what it needs, how long it takes and which figures it gives."""

import os
from typing import NamedTuple

# What a user gives as --data NAME=PATH; it stands in commands as {NAME}.
DATA = {
    "checkout": "a checkout of PaddleDetection",
    "checkout_26": "a checkout of its release/2.6",
    "checkout_27": "a checkout of its release/2.7",
    "checkout_develop": "a checkout of its develop branch",
    "yolov6": "a checkout of meituan/YOLOv6",
    "torch": "a Python with torch (for EfficientDet with timm and effdet, too)",
    "bccd": "the blood cells, a Pascal VOC folder",
    "pcb_fp32": "pcb_defect.yml as ppdet-ext export makes it",
    "pcb_int8": "pcb_defect.yml as ppdet-ext quantize ptq makes it",
    "pcb_anno": "DeepPCB's validation part, a COCO file",
    "pcb_images": "DeepPCB's images",
}
# Environment variables that give a path where --data does not.
VARIABLES = {"checkout": "PPDET_CHECKOUT"}


class Benchmark(NamedTuple):
    """One entry.

    command: arguments of Python, from the root of the repository; {NAME} is a path of DATA.
    minutes: about how long, on two cores.
    gives: which figures, in a few words.
    quick: options of a short run, which proves that it works and whose figures are worth nothing; None: there
        is no short run.
    optional: arguments that are added where all the DATA in them is there.
    gpu, vnni: what the machine has to have; None does not matter.
    models: names of `trained_models.MODELS` whose weights it looks at; one of them has to be there.
    plot: (figure, title, what 1 means or None), drawn as a bar a row.
    tables: names of `tables.TABLES` that its part of the page shows; without, all figures.
    """

    command: tuple
    minutes: float
    gives: str
    quick: tuple = None
    optional: tuple = ()
    gpu: bool = None
    vnni: bool = None
    models: tuple = ()
    plot: tuple = None
    tables: tuple = ()


def script(name, *options):
    """A command of this folder."""
    return (f"benchmarks/{name}.py", *options)


INT8_NETWORKS = ("--networks", "nano, ReLU")
SUITE = {
    "models": Benchmark(
        script("models"),
        2,
        "parameters and multiply-accumulates of the published sizes",
        ("--models", "PP-YOLOE s"),
        tables=("models_ppyoloe", "models_yolov6", "models_efficientdet"),
    ),
    "communication": Benchmark(
        script("communication"),
        1,
        "what training on 8 to 512 GPUs exchanges and reads: counted and computed",
        ("--configs", "ppyoloe/ppyoloe_nano_coco"),
        tables=("exchanged", "exchange", "reading"),
    ),
    "assigners": Benchmark(
        script("assigners"),
        6,
        "TAL and ATSS beside PaddleDetection's: time, memory, equality",
        ("--rounds", "1", "--cases", "20 gts"),
        plot=("faster", "Assigners: times as fast as PaddleDetection's", 1),
    ),
    "train_step": Benchmark(
        script("train_step"),
        8,
        "a whole training step beside PaddleDetection's",
        ("--models", "nano", "--gts", "10", "--rounds", "1"),
        plot=("ratio", "A training step: times as fast as PaddleDetection's", 1),
        tables=("train_step",),
    ),
    "reader": Benchmark(
        script("reader"),
        8,
        "images a second of the reader, and what a step waits for",
        ("--rounds", "1", "--read", "16", "--count", "16", "--steps", "0", "--recipes", "demo, 128"),
        plot=("ratio", "Reading in one process: times as fast as PaddleDetection's", 1),
        tables=("reader",),
    ),
    "recompute": Benchmark(
        script("recompute"),
        3,
        "memory and time with `recompute: true`",
        ("--batch", "1", "--size", "64", "--rounds", "1"),
        tables=("recompute",),
    ),
    "recompute_gpu": Benchmark(
        script("recompute", "--device", "gpu"), 2, "the same on a GPU", gpu=True, tables=()
    ),
    "scaling": Benchmark(
        script("scaling"), 2, "two processes beside one, and their exchange", ("--steps", "1", "--size", "64")
    ),
    "postprocess": Benchmark(
        script("postprocess"),
        4,
        "pre- and post-processing around the network",
        ("--rounds", "2", "--candidates", "1000"),
    ),
    "fusion": Benchmark(
        script("fusion"), 5, "what a kind of weighted fusion costs", ("--rounds", "1"), tables=("fusion",)
    ),
    "deployment": Benchmark(
        script("deployment"),
        14,
        "PP-YOLOE-s in every engine against PaddleDetection's deployment",
        ("--rounds", "1", "--seconds", "60"),
        ("--checkout", "{checkout}"),
        plot=("ratio", "PP-YOLOE-s in FP32: times as fast as PaddleDetection's", 1),
    ),
    "int8_speed": Benchmark(
        script("int8_speed"),
        25,
        "INT8 against FP32 in the same engine, with VNNI",
        (*INT8_NETWORKS, "--rounds", "1"),
        ("--checkout", "{checkout}"),
        vnni=True,
        plot=("ratio", "INT8, with VNNI: times as fast as FP32 (file to boxes: as PaddleDetection's)", 1),
        tables=("int8_speed",),
    ),
    "int8_speed_avx2": Benchmark(
        script("int8_speed", "--rounds", "10"),
        25,
        "the same on a processor without VNNI",
        (*INT8_NETWORKS, "--rounds", "1"),
        ("--checkout", "{checkout}"),
        vnni=False,
        plot=("ratio", "INT8, without VNNI: times as fast as FP32 (file to boxes: as PaddleDetection's)", 1),
        tables=("int8_speed_avx2",),
    ),
    "trainings": Benchmark(
        script("trainings"),
        240,
        "AP of the demo's models and of blood cells, trained from scratch",
        optional=("--data", "bccd={bccd}"),
        plot=("ap", "AP, in points, trained from scratch", None),
        tables=("trainings",),
    ),
    "verify_models": Benchmark(
        script("verify_models"),
        10,
        "every hop from a trained model to an engine",
        optional=("--data", "bccd={bccd}"),
        models=("demo, ReLU", "blood cells, ReLU"),
        tables=("verify",),
    ),
    "int8_accuracy": Benchmark(
        script("int8_accuracy"),
        90,
        "AP in INT8, in every engine",
        optional=("--data", "bccd={bccd}"),
        models=("demo, ReLU",),
        tables=("int8_accuracy", "int8_accuracy_families"),
    ),
    "tta": Benchmark(
        script(
            *("tta", "-c", "configs/demo/ppyoloe_nano_demo.yml", "--views", "flip", "1.25", "0.75,1.25"),
            *("-o", "weights=output/demo/training/ppyoloe_nano_demo/model_final"),
        ),
        6,
        "AP and time of test-time augmentation",
        models=("demo, ReLU",),
        plot=("ap", "Test-time augmentation: AP, in points", None),
        tables=("tta",),
    ),
    "tracking": Benchmark(
        script("tracking", "--model", "output/demo/exported"),
        3,
        "MOTA and IDF1 on generated videos, frames a second with several of them",
        ("--videos", "1", "--frames", "50", "--streams", "1", "--rounds", "1"),
        models=("demo, ReLU",),
        tables=("tracking", "tracking_speed"),
    ),
    "ablation_bifpn": Benchmark(
        script("ablation", "bifpn", "--jobs", "2"),
        80,
        "from FPN to the weighted BiFPN, part by part",
        tables=("ablation_bifpn",),
    ),
    "ablation_components": Benchmark(
        script("ablation", "components", "--jobs", "2"),
        60,
        "from ATSS alone to PP-YOLOE, part by part",
        tables=("ablation_components",),
    ),
    "yolov6_parity": Benchmark(
        script("yolov6_parity", "--reference", "{yolov6}", "--python", "{torch}"),
        15,
        "YOLOv6 against the reference: outputs, parameters, multiply-accumulates",
        ("--models", "n"),
    ),
    "efficientdet_parity": Benchmark(
        script("efficientdet_parity", "--python", "{torch}"),
        10,
        "EfficientDet against effdet: outputs, parameters",
        ("--models", "d0"),
    ),
    "compatibility": Benchmark(
        script("compatibility"),
        50,
        "what works with which Paddle and which PaddleDetection, by the real commands",
        ("--families", "PP-YOLOE"),
        ("--checkouts", "{checkout_26}", "{checkout_27}", "{checkout_develop}"),
        tables=("compatibility", "compatibility_reasons"),
    ),
    "pcb_defect": Benchmark(
        script(
            *("pcb_defect", "--fp32", "{pcb_fp32}", "--int8", "{pcb_int8}"),
            *("--anno", "{pcb_anno}", "--images", "{pcb_images}"),
        ),
        8,
        "board inspection: accuracy, the threshold for work, boards a minute",
        ("--rounds", "1"),
    ),
}


def names_in(arguments):
    """Names of DATA that stand in arguments."""
    return [name for name in DATA if any(f"{{{name}}}" in part for part in arguments)]


def shown(benchmark):
    """A command as the docs show it, with NAMES in the place of paths."""
    names = {name: name.upper() for name in DATA}
    parts = [part.format(**names) for part in (*benchmark.command, *benchmark.optional)]
    return " ".join(["python", *(f"'{part}'" if " " in part else part for part in parts)])


def paths(given):
    """Every path that is known: {name of DATA: path}, from --data and the environment.

    Raises:
        ValueError: a name that there is not, or a path without a file or folder.
    """
    found = {name: os.environ[variable] for name, variable in VARIABLES.items() if os.environ.get(variable)}
    for entry in given:
        name, equals, path = entry.partition("=")
        if not equals or name not in DATA:
            raise ValueError(f"--data {entry}: not NAME=PATH with one of the names {', '.join(DATA)}")
        found[name] = path
    for name, path in found.items():
        if not os.path.exists(path):
            raise ValueError(f"--data {name}={path}: no such file or folder; it is {DATA[name]}")
    return {name: os.path.abspath(path) for name, path in found.items()}
