"""What the kind of fusion costs: EfficientDet-D0 with each, in training and deployed, interleaved in one run.

    .venv/bin/python benchmarks/fusion.py --json output/benchmarks/fusion.json

Times the neck's forward and backward pass in plain Paddle, in training form, and the whole deployed network
in ONNX Runtime; ratios to 'fast' are medians over rounds. It also counts the ops of the exported graphs:
those of the three fusions that weigh must be the same. Exit status 1 if they are not.
"""

import argparse
import os
import sys
import tempfile
from collections import Counter

from common import ROOT, add_json_argument, timed, turns, write_report

# isort: split
import numpy as np
import onnx
import paddle
from ppdet.core.workspace import create
from tqdm import tqdm

from ppdet_ext.config import load_config
from ppdet_ext.environment import machine
from ppdet_ext.evaluation.bench.numbers import quartiles
from ppdet_ext.evaluation.bench.process import silent_stdout
from ppdet_ext.evaluation.bench.table import spread
from ppdet_ext.evaluation.text_table import align
from ppdet_ext.export.graph import RawGraph, deployed
from ppdet_ext.export.onnx_model import save_onnx
from ppdet_ext.export.paddle_model import save_paddle

CONFIG = "configs/efficientdet/efficientdet_d0_coco.yml"
YARDSTICK, WEIGHING = "fast", ("fast", "softmax", "unbounded")
FUSIONS = (*WEIGHING, "sum")
IN_TRAINING, DEPLOYED = "training", "deployed"


def make_model(fusion):
    """D0 with edge weights as if trained."""
    model = create(load_config(str(ROOT / CONFIG), {"WeightedBiFPN": {"fusion": fusion}}).architecture)
    rng = np.random.RandomState(0)
    for name, parameter in model.named_parameters():
        if name.endswith("edge_weights"):
            parameter.set_value(rng.uniform(0.2, 1.0, parameter.shape).astype("float32"))
    return model


def training_step(model, side, batch):
    """A function that runs the neck forward and backward."""
    rng = np.random.RandomState(1)
    maps = [
        paddle.to_tensor(rng.randn(batch, spec.channels, side // spec.stride, side // spec.stride), "float32")
        for spec in model.backbone.out_shape
    ]

    def step():
        sum(level.mean() for level in model.neck(maps)).backward()
        model.neck.clear_gradients()

    return step


def deployed_step(model, folder, side, threads):
    """A function that runs the exported network, and the ops of its graph."""
    import onnxruntime

    os.makedirs(folder)
    with silent_stdout():
        file = save_onnx(save_paddle(deployed(RawGraph(model)), folder, [1, 3, side, side]), folder)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    image = np.random.RandomState(2).rand(1, 3, side, side).astype("float32")
    ops = Counter(node.op_type for node in onnx.load(file).graph.node)
    return lambda: session.run(None, {"image": image}), ops


def report_rows(steps, rounds):
    """{fusion: {'ms', 'ratio' to the yardstick}}, each with quartiles."""
    seconds = turns({name: timed(step) for name, step in steps.items()}, rounds, warmup=1)
    base = np.array(seconds[YARDSTICK])
    return {
        name: {"ms": quartiles(values, 1000), "ratio": quartiles(np.array(values) / base)}
        for name, values in seconds.items()
    }


def quoted(report):
    """What the docs quote: milliseconds and ratio to the yardstick, in training and deployed."""
    found = {fusion: {} for fusion in FUSIONS}
    for fusion, row in found.items():
        for phase in (IN_TRAINING, DEPLOYED):
            row[f"{phase}_ms"] = report[phase][fusion]["ms"]["median"]
            row[f"{phase}_ratio"] = report[phase][fusion]["ratio"]["median"]
    return {**found, "graphs": {"same": report["same_graph"]}}


def table(report):
    """The report as text."""
    rows = {phase: report[phase] for phase in (IN_TRAINING, DEPLOYED)}
    body = [
        [fusion, *[spread(rows[phase][fusion][figure]) for phase in rows for figure in ("ms", "ratio")]]
        for fusion in FUSIONS
    ]
    heads = [
        ["", "neck, training", "", "network, deployed", ""],
        ["", "ms", "to fast", "ms", "to fast"],
    ]
    same = "the same" if report["same_graph"] else "NOT the same"
    return "\n".join([*align(heads, body), "", f"exported graphs of {', '.join(WEIGHING)}: {same} ops"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--size", type=int, default=512, help="side of the image (512)")
    parser.add_argument("--batch", type=int, default=2, help="of the training step (2)")
    parser.add_argument("--rounds", type=int, default=20, help="turns of each (20)")
    add_json_argument(parser)
    args = parser.parse_args()
    threads = machine()["cores"]
    models = {fusion: make_model(fusion) for fusion in FUSIONS}
    steps = {fusion: training_step(model, args.size, args.batch) for fusion, model in models.items()}
    report = {"machine": machine(), "size": args.size, IN_TRAINING: report_rows(steps, args.rounds)}
    graphs, steps = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for fusion, model in tqdm(models.items(), unit="export"):
            place = os.path.join(folder, fusion)
            steps[fusion], graphs[fusion] = deployed_step(model, place, args.size, threads)
        report[DEPLOYED] = report_rows(steps, args.rounds)
    report["same_graph"] = all(graphs[fusion] == graphs[YARDSTICK] for fusion in WEIGHING)
    write_report(args.json, report, quoted(report))
    print(table(report))
    return 0 if report["same_graph"] else 1


if __name__ == "__main__":
    sys.exit(main())
