"""What is in the models: parameters in training and deployed, multiply-accumulates of the deployed form.

    .venv/bin/python benchmarks/models.py --json output/benchmarks/models.json

Counted on networks built from the configs; nothing is timed. Multiply-accumulates are counted on a small
image and grow with its area (EfficientDet's SAME padding does not let them: its own size is run).

Parameters are the numbers that a training changes, deployed with every BatchNorm folded. PP-YOLOE's published
counts are of a form that keeps those outside its RepVGG blocks (7.93 million of s, not 7.92).
"""

import argparse
import sys

from common import ROOT, add_json_argument, write_report

# isort: split
import paddle
from ppdet.core.workspace import create
from tqdm import tqdm

from ppdet_ext.config import load_config
from ppdet_ext.evaluation.text_table import align
from ppdet_ext.nn import reparameterize
from ppdet_ext.nn.cost import multiply_accumulates, trainable_parameters

# name: config, options, side of the image that multiply-accumulates are told at (None: not told).
NO_AUXILIARY = ("EfficientRepHead.anchor_aided=false",)
MODELS = {
    **{f"PP-YOLOE {s}": (f"ppyoloe/ppyoloe_{s}_coco", (), 640) for s in "smlx"},
    **{f"YOLOv6 {s}": (f"yolov6/yolov6_{s}_coco", NO_AUXILIARY, 640) for s in "nsml"},
    **{f"YOLOv6 {s}6": (f"yolov6/yolov6_{s}6_coco", NO_AUXILIARY, 1280) for s in "nsml"},
    **{
        f"EfficientDet D{s}": (f"efficientdet/efficientdet_d{s}_coco", ("num_classes=90",), None)
        for s in ("0", "1", "2", "3", "4", "5", "6", "7", "7x")
    },
    "demo, PP-YOLOE": ("demo/ppyoloe_nano_demo", (), 640),
    "demo, YOLOv6": ("demo/yolov6_nano_demo", NO_AUXILIARY, 640),
    "demo, EfficientDet": ("demo/efficientdet_nano_demo", (), 640),
}
SMALL = 64
EFFICIENT_DET = "EfficientDet"


def count(config, options, side):
    """The figures of one model: 'training' and 'deployed' parameters, 'macs' at `side` or None."""
    cfg = load_config(str(ROOT / "configs" / f"{config}.yml"), list(options))
    model = create(cfg.architecture)
    model.eval()
    found = {"training": trainable_parameters(model)}
    reparameterize(model)
    found["deployed"] = trainable_parameters(model)
    found["macs"] = None
    if side:
        run = side if cfg.architecture == EFFICIENT_DET else SMALL
        image = {"image": paddle.zeros([1, 3, run, run])}
        macs = multiply_accumulates(model, lambda: model.head(model.features(image)))
        found["macs"] = macs * (side // run) ** 2
    return found


def quoted(report):
    """What the docs quote: all of it."""
    return report["models"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS), metavar="NAME")
    add_json_argument(parser)
    args = parser.parse_args()
    paddle.set_device("cpu")
    models = {}
    for name in tqdm(args.models, unit="model", disable=None):
        models[name] = count(*MODELS[name])
    report = {"models": models}
    write_report(args.json, report, quoted(report))
    body = [
        [
            name,
            f"{row['training']:,}",
            f"{row['deployed']:,}",
            f"{row['macs'] / 1e9:.2f}" if row["macs"] else "-",
        ]
        for name, row in models.items()
    ]
    print("\n".join(align([["", "training", "deployed", "GMACs"]], body)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
