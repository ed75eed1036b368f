"""What data-parallel training on 8 to 512 GPUs asks of network, CPUs, storage and recipe, model by model.

    .venv/bin/python benchmarks/communication.py --json output/benchmarks/communication.json

Counted from the models: gradients, the messages of SyncBatchNorm, checkpoints, multiply-accumulates. By rule:
what a ring all-reduce moves (2 (N - 1) / N of the gradients through every link) and the rate. Assumed, since
no GPU was at hand, and to be replaced by what you measure: what a GPU sustains (--tflops), the links within
a node (--nvlink) and between nodes (--network), the latency of a message (--latency-us), what an image costs
a core of the reader (--reader-ms, see benchmarks/reader.py) and the storage (--image-kb). A step is counted
as three forward passes, of which the exchange of gradients can hide behind the two of backward.
"""

import argparse
import math
import os

from common import ROOT, add_json_argument, write_report

# isort: split
import paddle
from ppdet.core.workspace import create

from ppdet_ext.config import load_config
from ppdet_ext.evaluation.text_table import align
from ppdet_ext.nn.cost import multiply_accumulates, trainable_parameters
from ppdet_ext.training.learning_rate import scaled_rate
from ppdet_ext.training.step import COMM_BUFFER

CONFIGS = (
    "ppyoloe/ppyoloe_nano_coco",
    "ppyoloe/ppyoloe_plus_s_coco",
    "ppyoloe/ppyoloe_plus_m_coco",
    "ppyoloe/ppyoloe_plus_l_coco",
    "ppyoloe/ppyoloe_plus_x_coco",
    "yolov6/yolov6_n_coco",
    "yolov6/yolov6_s_coco",
    "yolov6/yolov6_m_coco",
    "yolov6/yolov6_l_coco",
    "efficientdet/efficientdet_d0_coco",
)
FLOAT, MEGABYTE = 4, 1e6
# Trained weights, their average as evaluated and as it goes on, and the optimizer's momentum.
CHECKPOINT_COPIES = 4
NORMS = (paddle.nn.BatchNorm2D, paddle.nn.SyncBatchNorm)


def count(config, size):
    """What is in a model, and the recipe that it comes with."""
    cfg = load_config(str(ROOT / "configs" / f"{config}.yml"), {"norm_type": "bn"})
    model = create(cfg.architecture)
    model.train()
    gradients = FLOAT * trainable_parameters(model)
    norms = [layer.weight.shape[0] for layer in model.sublayers() if isinstance(layer, NORMS)]
    head = getattr(model, "yolo_head", None) or model.head
    image = {"image": paddle.zeros([1, 3, size, size])}
    head.eval()  # its branches without assignment and loss
    return {
        "model": os.path.basename(config),
        "parameters": gradients // FLOAT,
        "gradient_bytes": gradients,
        "buckets": math.ceil(gradients / (COMM_BUFFER * 2**20)),
        "sync_bn_layers": len(norms),
        # Forward: sums, squares and a count; backward: two sums.
        "sync_bn_bytes": FLOAT * sum(4 * channels + 1 for channels in norms),
        "checkpoint_bytes": CHECKPOINT_COPIES * gradients,
        "macs": multiply_accumulates(model, lambda: head(model.neck(model.backbone(image)))),
        "reference": cfg.lr_reference,
        "optimizer": cfg.OptimizerBuilder["optimizer"]["type"],
    }


def plan(model, gpus, args):
    """What so many GPUs ask for, and how much of their time they would compute."""
    batch = gpus * args.batch
    share = 2 * (gpus - 1) / gpus
    within = gpus <= args.per_node
    speed = args.nvlink * 1e9 if within else args.network * 1e9 / 8
    compute = 3 * 2 * model["macs"] * args.batch / (args.tflops * 1e12)
    hops = 2 * (gpus - 1) if within else 2 * (gpus // args.per_node - 1 + args.per_node - 1)
    latency = args.latency_us * 1e-6
    exchange = share * model["gradient_bytes"] / speed + model["buckets"] * hops * latency
    # The first layers' gradients come last, and nothing is left to hide their bucket behind.
    last = share * min(2**20, model["gradient_bytes"]) / speed + hops * latency
    exposed = max(exchange - compute * 2 / 3, last)
    # SyncBatchNorm waits in every layer, forward and backward.
    sync = 2 * model["sync_bn_layers"] * (math.ceil(math.log2(gpus)) * latency)
    sync += share * model["sync_bn_bytes"] / speed
    step = compute + exposed + sync
    images = batch / step
    reference = model["reference"]
    return {
        "gpus": gpus,
        "total_batch": batch,
        "rate": scaled_rate(reference["base_lr"], reference["batch_size"], batch, model["optimizer"]),
        "moved_bytes": share * model["gradient_bytes"],
        "exchange_s": exchange,
        "sync_bn_s": sync,
        "compute_s": compute,
        "step_s": step,
        "efficiency": compute / step,
        "images_per_s": images,
        "reader_cores": images * args.reader_ms / 1e3,
        "storage_bytes_per_s": images * args.image_kb * 1e3,
        "epoch_s": args.images / images,
        "steps_per_epoch": args.images // batch,
    }


def print_models(models):
    heads = ["model", "parameters", "gradients", "buckets", "SyncBN layers", "messages", "checkpoint"]
    rows = [
        [
            model["model"],
            f"{model['parameters'] / 1e6:.2f} M",
            f"{model['gradient_bytes'] / MEGABYTE:.1f} MB",
            f"{model['buckets']}",
            f"{model['sync_bn_layers']}",
            f"{model['sync_bn_bytes'] / 1e3:.0f} kB",
            f"{model['checkpoint_bytes'] / MEGABYTE:.0f} MB",
        ]
        for model in models
    ]
    print("\n".join(align([heads], rows)))


def print_plan(name, plans):
    heads = [
        "GPUs",
        "batch",
        "rate",
        "moved",
        "exchange",
        "SyncBN",
        "compute",
        "busy",
        "images/s",
        "cores",
        "read",
    ]
    rows = [
        [
            f"{row['gpus']}",
            f"{row['total_batch']}",
            f"{row['rate']:.4g}",
            f"{row['moved_bytes'] / MEGABYTE:.1f} MB",
            f"{row['exchange_s'] * 1e3:.1f} ms",
            f"{row['sync_bn_s'] * 1e3:.1f} ms",
            f"{row['compute_s'] * 1e3:.0f} ms",
            f"{row['efficiency']:.0%}",
            f"{row['images_per_s']:.0f}",
            f"{row['reader_cores']:.0f}",
            f"{row['storage_bytes_per_s'] / MEGABYTE:.0f} MB/s",
        ]
        for row in plans
    ]
    print("\n".join(["", name, *align([heads], rows)]))


def quoted(report):
    """What the docs quote: a row a model, and one a model and number of GPUs."""
    kept = ("parameters", "gradient_bytes", "buckets", "sync_bn_layers", "sync_bn_bytes", "checkpoint_bytes")
    found = {model["model"]: {key: model[key] for key in kept} for model in report["models"]}
    for model, plans in report["plans"].items():
        for row in plans:
            name = f"{model}, {row['gpus']} GPUs"
            found[name] = {key: value for key, value in row.items() if key != "gpus"}
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--configs", nargs="+", default=CONFIGS, help="under configs/, without .yml")
    parser.add_argument("--gpus", nargs="+", type=int, default=[8, 16, 32, 64, 128, 256, 512])
    parser.add_argument("--per-node", type=int, default=8, help="GPUs of a node")
    parser.add_argument("--batch", type=int, default=8, help="images of a GPU and step")
    parser.add_argument("--size", type=int, default=640, help="pixels")
    parser.add_argument("--tflops", type=float, default=20.0, help="assumed: what a GPU sustains, 10^12/s")
    parser.add_argument("--nvlink", type=float, default=200.0, help="assumed: GB/s between GPUs of a node")
    parser.add_argument("--network", type=float, default=100.0, help="assumed: Gbit/s between nodes")
    parser.add_argument("--latency-us", type=float, default=10.0, help="assumed: of a message")
    parser.add_argument("--reader-ms", type=float, default=15.0, help="assumed: of a core for an image")
    parser.add_argument("--image-kb", type=float, default=165.0, help="of a file; COCO's 118,287 are 19.5 GB")
    parser.add_argument("--images", type=int, default=118287, help="of an epoch; COCO's")
    add_json_argument(parser)
    args = parser.parse_args()
    paddle.set_device("cpu")
    models = [count(config, args.size) for config in args.configs]
    print_models(models)
    plans = {model["model"]: [plan(model, gpus, args) for gpus in args.gpus] for model in models}
    for model in models:
        print_plan(model["model"], plans[model["model"]])
    report = {"assumed": vars(args), "models": models, "plans": plans}
    write_report(args.json, report, quoted(report))


if __name__ == "__main__":
    main()
