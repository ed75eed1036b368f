"""Our YOLOv6 against the reference: same weights, same numbers; parameters and multiply-accumulates.

    .venv/bin/python benchmarks/yolov6_parity.py --reference YOLOv6 --python TORCH_VENV/bin/python

The reference is a checkout of meituan/YOLOv6 (GPL-3.0, so it is run and not copied), in a process and a
Python of its own that has torch. Each of its networks gets random weights and BatchNorm statistics; its plain
state dict becomes a checkpoint by what `ppdet-ext weights convert` runs, and our network, built from our
config, loads it. The models v2_n and v2_s need a checkout of release 0.2. Exit status 1 if a row misses.
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
from ppdet_ext.nn.cost import multiply_accumulates, trainable_parameters
from ppdet_ext.training.checkpoints.loading import load_pretrained
from ppdet_ext.weights.convert import convert

# name: our config, theirs, side of the image compared, side that costs are told at.
MODELS = {
    **{size: (f"yolov6_{size}_coco", f"configs/yolov6{size}.py", 128, 640) for size in "nsml"},
    **{f"{s}6": (f"yolov6_{s}6_coco", f"configs/yolov6{s}6.py", 256, 1280) for s in "nsml"},
    **{f"v2_{s}": (f"yolov6_v2_{s}_coco", f"configs/yolov6{s}.py", 128, 640) for s in "ns"},
}
DEFAULT = ["n", "s", "m", "l", "n6"]
REFERENCE = str(Path(__file__).with_name("yolov6_reference.py"))
COST_SIZE = 64
# Against the largest value of the reference's tensor.
OUTPUT_BAR, MACS_BAR = 1e-4, 0.005
# The reference counts the values of its bins, 0..16, as parameters, twice.
PROJECTION_VALUES = 34
# Of training only, with other weights than the reference is built with here.
OVERRIDES = ["EfficientRepHead.anchor_aided=false"]
FORMS = {"training": "as trained", "deployed": "re-parameterised", "from deployed": "from a deployed dict"}
PARTS = ("backbone", "neck", "boxes", "scores")


def run_reference(python, checkout, name, folder, seed):
    """One network of the reference into a folder; its costs.

    Raises:
        RuntimeError: it failed; its last line is the reason.
    """
    _, config, size, _ = MODELS[name]
    job = {"checkout": os.path.abspath(checkout), "config": config, "folder": folder, "size": size}
    job = json.dumps({**job, "seed": seed, "cost_size": COST_SIZE})
    run([python, REFERENCE, job])
    return read_json(os.path.join(folder, "costs.json"))


def build(name, folder, form):
    """Our network with the weights of the reference's state dict."""
    model = create(
        load_config(str(ROOT / "configs" / "yolov6" / f"{MODELS[name][0]}.yml"), OVERRIDES).architecture
    )
    path = os.path.join(folder, f"ours_{form}.pdparams")
    done = convert("yolov6", os.path.join(folder, f"{form}.pt"), model, path)
    print(f"  {done.schema}, {done.mapped} entries mapped", file=sys.stderr, flush=True)
    load_pretrained(model, path, say=lambda text: None)
    os.remove(path)
    model.eval()
    return model


@paddle.no_grad()
def outputs(model, image):
    """As `outputs` of the reference, with 'boxes' [B, L, 4] xyxy and 'scores' [B, L, C] of its order."""
    maps = model.backbone({"image": paddle.to_tensor(image)})
    levels = model.neck(maps)
    boxes, scores = model.yolo_head.decode(model.yolo_head(levels))
    found = {f"backbone{i}": value.numpy() for i, value in enumerate(maps)}
    found.update({f"neck{i}": value.numpy() for i, value in enumerate(levels[::-1])})
    ends = np.cumsum([level.shape[2] * level.shape[3] for level in levels])[:-1]
    for name, rows in (("boxes", boxes.numpy()), ("scores", scores.numpy().transpose(0, 2, 1))):
        found[name] = np.concatenate(np.split(rows, ends, axis=1)[::-1], axis=1)
    return found


def compare(found, reference):
    """The largest difference of each part over the largest value of the reference's tensor."""
    rows = reference["out"]
    half = rows[..., 2:4] / 2
    boxes = np.concatenate([rows[..., :2] - half, rows[..., :2] + half], axis=-1)
    expected = {**reference, "boxes": boxes, "scores": rows[..., 5:]}
    return largest_errors(found, expected, PARTS)


def costs(model, side):
    image = paddle.zeros([1, 3, COST_SIZE, COST_SIZE])
    macs = multiply_accumulates(model, lambda: model.yolo_head(model.features({"image": image})))
    return {"parameters": trainable_parameters(model), "macs": macs * (side // COST_SIZE) ** 2}


def measure(name, python, checkout, seed):
    """The rows of a model: {form: {'errors', 'ours', 'reference', 'passed'}}."""
    side = MODELS[name][3]
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        reference = run_reference(python, checkout, name, folder, seed)
        model = None
        for form in FORMS:
            source = "training" if form == "training" else "deployed"
            if form != "deployed":
                model = build(name, folder, source)
            if form != "training":
                reparameterize(model)
            with np.load(os.path.join(folder, f"{source}.npz")) as expected:
                expected = dict(expected)
            errors = compare(outputs(model, expected["image"]), expected)
            theirs = reference[source]
            theirs = {
                "parameters": theirs["parameters"] - PROJECTION_VALUES,
                "macs": theirs["macs"] * (side // COST_SIZE) ** 2,
            }
            ours = costs(model, side)
            passed = (
                max(errors.values()) <= OUTPUT_BAR
                and ours["parameters"] == theirs["parameters"]
                and abs(ours["macs"] / theirs["macs"] - 1) <= MACS_BAR
            )
            rows[form] = {"errors": errors, "ours": ours, "reference": theirs, "passed": passed}
    return rows


def quoted(report):
    """What the docs quote: the largest error of each model and form, parameters and multiply-accumulates."""
    return {
        f"{name}, {FORMS[form]}": {
            "largest_error": max(row["errors"].values()),
            **row["ours"],
            "passed": row["passed"],
        }
        for name, rows in report["models"].items()
        for form, row in rows.items()
    }


def table(models):
    """The report as text."""
    heads = [
        ["", *PARTS, "parameters", "reference", "GMACs", "reference", ""],
        ["", *["error"] * len(PARTS), "", "less 34", "", "", ""],
    ]
    body = []
    for name, rows in models.items():
        for form, row in rows.items():
            ours, theirs = row["ours"], row["reference"]
            body.append(
                [
                    f"{name}, {FORMS[form]}",
                    *[f"{row['errors'][part]:.1e}" for part in PARTS],
                    f"{ours['parameters']:,}",
                    f"{theirs['parameters']:,}",
                    f"{ours['macs'] / 1e9:.4f}",
                    f"{theirs['macs'] / 1e9:.4f}",
                    "" if row["passed"] else "MISSED",
                ]
            )
    return "\n".join(align(heads, body))


def parse():
    """The command's arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--reference", required=True, metavar="CHECKOUT", help="of meituan/YOLOv6")
    parser.add_argument("--python", default=sys.executable, metavar="PATH", help="one that has torch")
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=DEFAULT, help="(n s m l n6)")
    parser.add_argument("--seed", type=int, default=0, help="of the random weights (0)")
    add_json_argument(parser)
    return parser.parse_args()


def main():
    args = parse()
    models = {}
    for name in args.models:
        print(f"{name} ...", file=sys.stderr, flush=True)
        models[name] = measure(name, args.python, args.reference, args.seed)
    passed = all(row["passed"] for rows in models.values() for row in rows.values())
    report = {"machine": machine(), "bars": {"outputs": OUTPUT_BAR, "macs": MACS_BAR}, "models": models}
    write_report(args.json, {**report, "passed": passed}, quoted(report))
    print(table(models))
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
