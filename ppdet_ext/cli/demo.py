"""ppdet-ext demo: from nothing to a trained, exported, evaluated detector and a picture of what it sees."""

import argparse
import json
import os
import time

from . import train
from .common import prepare_config
from .json_output import add_json_argument, give_json

EXAMPLE = """
ppdet-ext demo
ppdet-ext demo -c configs/demo/yolov6_nano_demo.yml --output output/demo_yolov6
"""
CONFIG = os.path.join("configs", "demo", "ppyoloe_nano_demo.yml")
# Pictures on the sheet: enough to see typical successes and failures at one glance.
SHOWN = 12


def add_arguments(parser):
    parser.add_argument("-c", "--config", default=CONFIG, help="config to train")
    parser.add_argument("-o", "--opt", nargs="*", metavar="KEY=VALUE", help="override keys of the config")
    parser.add_argument(
        "--output",
        "--out",
        default=os.path.join("output", "demo"),
        metavar="FOLDER",
        help="where everything goes",
    )
    parser.add_argument(
        "--processes",
        type=int,
        metavar="N",
        default=min(os.cpu_count() or 1, 2),
        help="processes that train together (default: 2, or 1 on a single core)",
    )
    add_json_argument(parser, "the report, which is in report.json of the folder, too,")
    parser.set_defaults(slim_config=None)


def run(args):
    started = time.perf_counter()
    if not os.path.isfile(args.config):
        raise ValueError(f"{args.config}: no such config; run the demo from the root of the repository")
    args.opt = [*(args.opt or []), f"save_dir={os.path.join(args.output, 'training')}"]
    cfg = prepare_config(args, "test")
    data = _make_data(cfg)
    print(f"2/4 training: {cfg.epoch} epochs in {args.processes} processes", flush=True)
    _train(args)
    trained = time.perf_counter()
    run_folder = os.path.join(cfg.save_dir, cfg.filename)
    folder = os.path.join(args.output, "exported")
    exported = _export(cfg, os.path.join(run_folder, "model_final"), folder)
    report = {"config": args.config, "dataset": data, **_evaluate(cfg, folder, args.output)}
    history = _records(os.path.join(run_folder, "history.jsonl"))
    # PaddleDetection evaluates nothing, and says no AP, where a model finds nothing.
    report["training_form"] = next((r for r in reversed(history) if "ap" in r), {"ap": 0.0, "ap50": 0.0})
    report["export"] = exported
    report["seconds"] = {
        "training": round(trained - started, 1),
        "total": round(time.perf_counter() - started, 1),
    }
    _draw_curves(history, os.path.join(args.output, "curves.png"))
    path = os.path.join(args.output, "report.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(report, file, indent=2)
    print(
        f"AP {report['ap']:.3f}, AP50 {report['ap50']:.3f} on {report['images']} unseen images (ONNX Runtime)"
    )
    print(f"pictures: predictions.png and curves.png in {args.output}")
    print(f"figures:  {path}")
    print(f"yours:    ppdet-ext predict --model {folder} IMAGE_OR_FOLDER")
    give_json(args, report)
    return 0


def _make_data(cfg):
    """Makes the demo set where the config looks for it; returns its folder."""
    from ppdet_ext.data import make_demo

    folder = cfg.TrainDataset["dataset_dir"]
    print(f"1/4 data: scenes of real handwritten digits in {folder}", flush=True)
    make_demo(folder, **cfg.get("demo_data", {}))
    return folder


def _train(args):
    """Runs the train verb with an evaluation at each snapshot."""
    parser = argparse.ArgumentParser()
    train.add_arguments(parser)
    command = ["-c", args.config, "--eval", "--processes", str(args.processes), "-o", *args.opt]
    train.run(parser.parse_args(command))


def _export(cfg, weights, folder):
    """Exports a checkpoint to Paddle and ONNX, each compared with the model as trained."""
    from ppdet_ext.export import export_model
    from ppdet_ext.training.trainer import Trainer

    print(f"3/4 export to {folder}", flush=True)
    trainer = Trainer(cfg, mode="test")
    trainer.load_weights(weights)
    return export_model(trainer.cfg, trainer.model, folder, ["paddle", "onnx"])


def _evaluate(cfg, folder, output):
    """COCO AP of the ONNX model on the validation images, and the sheet of predictions."""
    from ppdet_ext.evaluation.coco import evaluate
    from ppdet_ext.runtime import Detector

    print("4/4 evaluation of the exported model by ONNX Runtime", flush=True)
    dataset = cfg.EvalDataset
    images = os.path.join(dataset["dataset_dir"], dataset["image_dir"])
    annotations = os.path.join(dataset["dataset_dir"], dataset["anno_path"])
    detector = Detector(folder, backend="onnxruntime")
    result = evaluate(detector, annotations, images)
    _draw_predictions(detector, annotations, images, os.path.join(output, "predictions.png"))
    return result


def _draw_predictions(detector, annotations, image_dir, path):
    from ppdet_ext.evaluation.coco import load_truths
    from ppdet_ext.runtime.image import read_image
    from ppdet_ext.visualize import contact_sheet, write_image

    files, truths = load_truths(annotations, image_dir, SHOWN)
    images = [read_image(file) for file in files]
    write_image(path, contact_sheet(images, detector.predict(images), truths))


def _records(history):
    with open(history, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def _draw_curves(history, path):
    from ppdet_ext.report.pictures import draw_course

    draw_course(path, history, "Demo: PP-YOLOE nano on handwritten digits")
