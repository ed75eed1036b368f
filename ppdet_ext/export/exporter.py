"""One call from a trained detector to the exported folder."""

import os
import shutil

import numpy as np
import paddle

from ppdet_ext.runtime.backends import create_backend

from .graph import NMSGraph, RawGraph, deployed
from .infer_cfg import write_infer_cfg
from .onnx_model import DEFAULT_OPSET, LEAST_OPSET, save_onnx
from .paddle_model import save_paddle

TARGETS = ("paddle", "onnx")
# The runtime backend that proves a target.
BACKENDS = {"paddle": "paddle_inference", "onnx": "onnxruntime"}
# Gates for raw FP32 outputs between engines.
RTOL, ATOL = 1e-3, 1e-4
# What an export may have left in a folder: removed from it when another takes its place.
EXPORTED_FILES = {
    "infer_cfg.yml",
    "model.pdmodel",
    "model.json",
    "model.pdiparams",
    "model.pdiparams.info",
    "model.onnx",
}
# Stands in for a free side of the image when the outputs are compared.
PROBE_SIDE = 320


def export_model(
    cfg,
    model,
    folder,
    targets=("paddle",),
    image_size=None,
    batch=None,
    nms=False,
    opset=DEFAULT_OPSET,
    say=print,
):
    """Exports a detector, each file compared with the model as trained.

    The model is re-parameterised in place. The folder gets ``model.pdmodel`` and ``model.pdiparams``
    (``model.json`` on Paddle 3), ``infer_cfg.yml``, and a file for every other target.

    Args:
        cfg: the config the model was made from, its TestDataset created.
        model (nn.Layer): the detector with its weights.
        folder (str): made if absent; an earlier export in it gives way, once all files are made.
        targets (list[str]): of ``TARGETS``; 'paddle' is always made.
        image_size (list[int] | None): [H, W]; by default the config's TestReader's; [-1, -1] leaves it free.
        batch (int | None): fixed batch size, or None for a free one.
        nms (bool): put NMS into the Paddle graph (PaddleDetection's deploy form); other targets then
            cannot be made in the same call.
        opset (int): of the ONNX file.
        say (callable): is told each file and how far its outputs are from the model's.

    Returns:
        dict[str, dict]: for each target its 'file' and 'max_error', or None where it was not compared.

    Raises:
        ValueError: an unknown target, a size that the strides don't divide, a batch or opset that does not
            exist, a target that cannot be made, or outputs outside the gates. The folder is as it was then.
    """
    targets = ["paddle"] + [t for t in targets if t != "paddle"]
    for target in targets:
        if target not in TARGETS:
            raise ValueError(f"target '{target}' is none of {', '.join(TARGETS)}")
    if nms and len(targets) > 1:
        raise ValueError(f"NMS in the graph is for Paddle only; export {targets[1]} without --nms")
    if batch is not None and batch < 1:
        raise ValueError(f"batch size {batch}: give 1 or more, or none for a free one")
    if "onnx" in targets and opset < LEAST_OPSET:
        raise ValueError(f"opset {opset}: the graph needs {LEAST_OPSET} or later")
    shape = [batch, 3, *_image_size(cfg, model, image_size)]
    model.eval()
    partial = os.path.normpath(folder) + ".partial"
    shutil.rmtree(partial, ignore_errors=True)
    os.makedirs(partial)
    try:
        report = _make_files(cfg, model, partial, targets, shape, nms, opset, say)
        _publish(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    for entry in report.values():
        entry["file"] = os.path.join(folder, os.path.basename(entry["file"]))
    return report


def _publish(partial, folder):
    """Moves the files of a finished export into the folder, in the place of those of an earlier one."""
    os.makedirs(folder, exist_ok=True)
    for name in os.listdir(folder):
        if name in EXPORTED_FILES:
            os.remove(os.path.join(folder, name))
    for name in os.listdir(partial):
        os.replace(os.path.join(partial, name), os.path.join(folder, name))


def _make_files(cfg, model, folder, targets, shape, nms, opset, say):
    """Makes every target's file in a folder and compares it; the report of :func:`export_model`."""
    batch = shape[0]
    probe = (
        np.random.RandomState(0)
        .rand(batch or 2, 3, *[PROBE_SIDE if side == -1 else side for side in shape[2:]])
        .astype("float32")
    )
    raw = RawGraph(model)
    raw.eval()
    with paddle.no_grad():
        reference = [output.numpy() for output in raw(paddle.to_tensor(probe))]
        deployed(raw)
        fused = [output.numpy() for output in raw(paddle.to_tensor(probe))]
    error = _compare("re-parameterised model", fused, reference)
    say(f"re-parameterised: differs by {error:.1e} of the largest output from the model as trained")
    write_infer_cfg(cfg, model, folder, shape, nms)
    graph = NMSGraph(model) if nms else raw
    graph.eval()
    model_file = save_paddle(graph, folder, shape, nms)
    report = {"paddle": {"file": model_file, "max_error": None}}
    if "onnx" in targets:
        report["onnx"] = {"file": save_onnx(model_file, folder, opset), "max_error": None}
    for target, entry in report.items():
        if nms:
            say(f"{target}: {os.path.basename(entry['file'])} (NMS inside)")
            continue
        outputs = create_backend(BACKENDS[target], folder).run(probe)
        name = os.path.basename(entry["file"])
        entry["max_error"] = _compare(name, outputs, reference)
        say(f"{target}: {name}, differs by {entry['max_error']:.1e}")
    return report


def _image_size(cfg, model, image_size):
    """[H, W] to export for, checked against the strides."""
    size = list(image_size or cfg.TestReader["inputs_def"]["image_shape"][-2:])
    coarsest = max(model.yolo_head.fpn_strides)
    for side in size:
        if side != -1 and (side <= 0 or side % coarsest):
            raise ValueError(
                f"image size {size[0]}x{size[1]}: each side must be a multiple of the coarsest "
                f"stride, {coarsest}"
            )
    return size


def _compare(what, outputs, reference):
    """Largest difference over the largest value of the reference; ValueError outside the gates."""
    worst = 0.0
    for name, ours, theirs in zip(("boxes", "scores"), outputs, reference):
        difference = np.abs(np.asarray(ours, dtype=np.float64) - theirs)
        if not np.isfinite(difference).all() or (difference > ATOL + RTOL * np.abs(theirs)).any():
            raise ValueError(
                f"{what}: {name} differ from the model as trained by up to "
                f"{np.nanmax(difference):.3g} (gate: rtol {RTOL}, atol {ATOL}); not usable"
            )
        worst = max(worst, difference.max() / max(np.abs(theirs).max(), 1e-12))
    return float(worst)
