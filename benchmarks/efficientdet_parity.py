"""Our EfficientDet against effdet: same weights, same numbers; parameters and multiply-adds as published.

    .venv/bin/python benchmarks/efficientdet_parity.py --python TORCH_VENV/bin/python

The reference is the PyPI package effdet (0.4.1, with timm 1.0.31) in a process and a Python of its own that
has torch. Each of its networks gets random weights, BatchNorm statistics and edge weights; its plain state
dict becomes a checkpoint by what `ppdet-ext weights convert` runs, and our network, built from our config,
loads it. The parameters of every size are counted, whether it is compared or not. Exit status 1 if a row
misses.
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

from common import ROOT, add_json_argument, read_json, run, write_report

# isort: split
import numpy as np
import paddle
from parity_errors import largest_errors
from ppdet.core.workspace import create

from ppdet_ext.config import load_config
from ppdet_ext.environment import machine
from ppdet_ext.evaluation.text_table import align
from ppdet_ext.nn import reparameterize
from ppdet_ext.nn.cost import multiply_accumulates, multiply_adds, trainable_parameters
from ppdet_ext.training.checkpoints.loading import load_pretrained
from ppdet_ext.weights.convert import convert

# google/automl 6a54c87, efficientdet/: parameters and multiply-adds with 90 classes (of D7x, its README's
# 410 billion), and the side of the image.
PUBLISHED = {
    "d0": (3_880_067, 2_550_618_821, 512),
    "d1": (6_625_898, 6_133_752_112, 640),
    "d2": (8_097_039, 11_045_799_933, 768),
    "d3": (12_032_296, 24_982_737_931, 896),
    "d4": (20_723_675, 55_346_593_717, 1024),
    "d5": (33_653_315, 135_729_505_573, 1280),
    "d6": (51_871_782, 226_033_623_795, 1280),
    "d7": (51_871_782, 325_473_789_367, 1536),
    "d7x": (77_147_166, 410e9, 1536),
}
# effdet's, in the place of D0: no squeeze-and-excitation, ReLU6, plain sums.
LITE = [
    "EfficientNet.se=false",
    "EfficientNet.act=relu6",
    "WeightedBiFPN.act=relu6",
    "WeightedBiFPN.fusion=sum",
    "EfficientDetHead.act=relu6",
]
DEFAULT = ["d0", "d1", "d3", "lite0"]
REFERENCE = str(Path(__file__).with_name("efficientdet_reference.py"))
# Side and number of the images compared; the coarsest level of D7x has a stride of 256.
SIDE, BATCH = 256, 2
# Against the largest value of the reference's tensor.
OUTPUT_BAR, ADDS_BAR = 1e-4, 0.005
FORMS = {"training": "as trained", "deployed": "re-parameterised"}
PARTS = ("backbone", "neck", "class", "box")


def create_model(name):
    config, overrides = ("d0", LITE) if name == "lite0" else (name, [])
    path = ROOT / "configs" / "efficientdet" / f"efficientdet_{config}_coco.yml"
    model = create(load_config(str(path), ["num_classes=90", *overrides]).architecture)
    model.eval()
    return model


def run_reference(python, name, folder, seed):
    """One network of the reference into a folder; its parameters.

    Raises:
        RuntimeError: it failed; its last line is the reason.
    """
    job = {"name": f"tf_efficientdet_{name}", "folder": folder, "size": SIDE, "batch": BATCH, "seed": seed}
    run([python, REFERENCE, json.dumps(job)])
    return read_json(os.path.join(folder, "costs.json"))["parameters"]


@paddle.no_grad()
def outputs(model, image):
    """As `outputs` of the reference."""
    maps = model.backbone({"image": paddle.to_tensor(image)})
    levels = model.neck(maps)
    classes, boxes = zip(*model.head.predict_levels(levels))
    parts = {"backbone": maps, "neck": levels, "class": classes, "box": boxes}
    return {f"{part}{i}": value.numpy() for part, values in parts.items() for i, value in enumerate(values)}


def compare(found, expected):
    """As :func:`largest_errors`, of exactly the reference's tensors."""
    if set(found) != set(expected):
        raise RuntimeError(f"ours gives {sorted(found)}, the reference {sorted(expected)}")
    return largest_errors(found, expected, PARTS)


def measure(name, python, seed):
    """The row of a model: 'errors' of each form, 'parameters', 'multiply_adds' and what they should be."""
    with tempfile.TemporaryDirectory() as folder:
        reference = run_reference(python, name, folder, seed)
        model = create_model(name)
        path = os.path.join(folder, "ours.pdparams")
        done = convert("effdet", os.path.join(folder, "state.pt"), model, path)
        print(f"  {done.schema}, {done.mapped} entries mapped", file=sys.stderr, flush=True)
        load_pretrained(model, path, say=lambda text: None)
        model.eval()
        with np.load(os.path.join(folder, "outputs.npz")) as expected:
            expected = dict(expected)
    pixels = expected.pop("image")
    parameters = trainable_parameters(model)
    _, published, side = PUBLISHED.get(name, (None, None, None))
    row = {"parameters": parameters, "reference_parameters": reference, "errors": {}}
    if side:
        image = {"image": paddle.zeros([1, 3, side, side])}

        def forward():
            model.head.predict_levels(model.features(image))

        row["convolution_macs"] = multiply_accumulates(model, forward)
        row["multiply_adds"] = multiply_adds(model, forward)
        row["published_multiply_adds"] = published
    for form in FORMS:
        if form == "deployed":
            reparameterize(model)
        row["errors"][form] = compare(outputs(model, pixels), expected)
    row["passed"] = (
        max(max(errors.values()) for errors in row["errors"].values()) <= OUTPUT_BAR
        and parameters == reference
        and (not side or abs(row["multiply_adds"] / published - 1) <= ADDS_BAR)
    )
    return row


def quoted(report):
    """What the docs quote: the largest error of each model and form, and the parameters of every size."""
    found = {
        f"{name}, {FORMS[form]}": {"largest_error": max(errors.values()), "passed": row["passed"]}
        for name, row in report["models"].items()
        for form, errors in row["errors"].items()
    }
    for name, row in report["counts"].items():
        found[name] = {"parameters": row["parameters"], "published": row["published"]}
    return found


def output_table(models):
    costs = ("convolution_macs", "multiply_adds", "published_multiply_adds")
    body = [
        [
            f"{name}, {FORMS[form]}",
            *[f"{errors[part]:.1e}" for part in PARTS],
            *[f"{row[cost] / 1e9:.4f}" if cost in row else "" for cost in costs],
            "" if row["passed"] else "MISSED",
        ]
        for name, row in models.items()
        for form, errors in row["errors"].items()
    ]
    heads = [
        ["", *PARTS, "conv GMACs", "G mult-adds", "published", ""],
        ["", *["error"] * len(PARTS), "", "", "", ""],
    ]
    return "\n".join(align(heads, body))


def count_table(counts):
    body = [
        [name, f"{row['parameters']:,}", f"{row['published']:,}", "" if row["passed"] else "MISSED"]
        for name, row in counts.items()
    ]
    return "\n".join(align([["", "parameters", "published", ""]], body))


def parse():
    """The command's arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--python", required=True, metavar="PATH", help="one that has torch, timm and effdet")
    choices = [*PUBLISHED, "lite0"]
    parser.add_argument("--models", nargs="+", choices=choices, default=DEFAULT, help="(d0 d1 d3 lite0)")
    parser.add_argument("--seed", type=int, default=0, help="of the random weights (0)")
    add_json_argument(parser)
    return parser.parse_args()


def main():
    args = parse()
    counts = {}
    for name, (published, _, _) in PUBLISHED.items():
        ours = trainable_parameters(create_model(name))
        counts[name] = {"parameters": ours, "published": published, "passed": ours == published}
    models = {}
    for name in args.models:
        print(f"{name} ...", file=sys.stderr, flush=True)
        models[name] = measure(name, args.python, args.seed)
    passed = all(row["passed"] for row in (*counts.values(), *models.values()))
    report = {"machine": machine(), "bars": {"outputs": OUTPUT_BAR, "multiply_adds": ADDS_BAR}}
    report.update(counts=counts, models=models, passed=passed)
    write_report(args.json, report, quoted(report))
    print(count_table(counts), output_table(models), sep="\n\n")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
