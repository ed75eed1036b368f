"""From a trained model to INT8 files, in one call."""

import os

from ppdet_ext.environment import machine
from ppdet_ext.evaluation.coco import evaluate, image_files, load_annotations
from ppdet_ext.evaluation.datasets import dataset_files
from ppdet_ext.export import export_model
from ppdet_ext.export.onnx_qdq import FITTING
from ppdet_ext.visualize import plot_ranking

from .calibration import calibration_warnings, find_calibration_images
from .quantizers import PostTraining, check_quantizable

PLOT = "quantization.png"


def quantize_after_training(
    trainer,
    folder,
    targets,
    calibration=None,
    image_dir=None,
    count=64,
    method="hist",
    max_drop=None,
    rank=False,
    float_layers=(),
    weight_levels=FITTING,
    say=print,
    **graph,
):
    """Quantises a detector and exports it.

    Args:
        trainer (Trainer): in test mode, the float model with its weights.
        folder (str): gets the files; it is replaced when all are made.
        targets (list[str]): of the exporter's.
        calibration (str | None): folder of images or COCO instances JSON; by default TrainDataset.
        image_dir (str | None): where the JSON's images are.
        count (int): images to calibrate on.
        method (str): hist, kl, mse or absmax.
        max_drop (float | None): AP that may be lost on EvalDataset, in points of 100.
        rank (bool): rank the layers, and draw it, even where ``max_drop`` does not need it.
        float_layers (iterable[str]): convolutions that stay float, with * and ? for many.
        weight_levels (int): largest level of a weight in ONNX and OpenVINO, see :func:`place`.
        say (callable): is told what happens.
        graph: 'image_size', 'batch', 'opset', 'fold_normalization' of :func:`export_model`.

    Returns:
        dict: report of :func:`export_model`.

    Raises:
        ValueError: no calibration images, a dataset that is missing, or what the exporter refuses.
    """
    check_quantizable(graph.get("image_size") or ())
    files = calibration_files(calibration, image_dir, count)
    evaluation = _evaluation_set(required=max_drop is not None)
    for warning in calibration_warnings(files, evaluation[2] if evaluation else ()):
        say(f"warning: {warning}")
    if weight_levels > FITTING and _saturates():
        say("note: this processor has no VNNI: here, 8-bit weights saturate or are slow")

    def score(detector):
        ap = evaluate(detector, *evaluation[:2])["ap"]
        return None if ap is None else 100 * ap

    quantizer = PostTraining(files, method, float_layers, max_drop, score, weight_levels, rank, say)
    report = export_model(trainer.cfg, trainer.model, folder, targets, quantizer=quantizer, say=say, **graph)
    if quantizer.float_layers:
        say(f"float convolutions: {', '.join(quantizer.float_layers)}")
    if quantizer.ranking:
        path = os.path.join(folder, PLOT)
        plot_ranking(quantizer.ranking, quantizer.float_layers, path, quantizer.drop, max_drop)
        say(f"ranking: {path}")
    return report


def calibration_files(calibration=None, image_dir=None, count=64):
    """Files of :func:`find_calibration_images`, by default of the TrainDataset of the config."""
    if calibration is None:
        calibration, image_dir = dataset_files("TrainDataset")
    return find_calibration_images(calibration, count, image_dir)


def _saturates():
    """Whether this processor is an x86 without instructions for 8-bit sums."""
    isa = machine()["isa"]
    return "avx2" in isa and "vnni" not in isa


def _evaluation_set(required):
    """Annotation file, image folder and image files of the evaluation set, None where it is not there."""
    try:
        anno_file, image_dir = dataset_files("EvalDataset")
        return anno_file, image_dir, image_files(load_annotations(anno_file), image_dir, anno_file)
    except ValueError:
        if required:
            raise
        return None
