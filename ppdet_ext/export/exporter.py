"""One call from a trained detector to the exported folder."""

import contextlib
import os
import shutil
import tempfile

import numpy as np
import paddle
from tqdm import tqdm

from ppdet_ext.config import input_size
from ppdet_ext.nearest import choice
from ppdet_ext.runtime.manifest import MANIFEST

from .graph import NMSGraph, RawGraph, deployed, head_of
from .infer_cfg import write_infer_cfg
from .int8_files import make_int8_files
from .lite_model import save_lite
from .manifest import write_manifest
from .normalization import Normalization
from .onnx_model import DEFAULT_OPSET, LEAST_OPSET, save_onnx, save_onnx_nms
from .onnx_nms import LEAST_OPSET as LEAST_NMS_OPSET
from .onnx_nms import check_settings
from .onnx_ranges import LEAST_OPSET as LEAST_QUANTIZED_OPSET
from .openvino_model import save_openvino
from .paddle_model import save_paddle
from .parity import compare_raw
from .proof import prove

TARGETS = ("paddle", "onnx", "openvino", "tensorrt", "lite")
# Their files are made from the ONNX graph.
FROM_ONNX = ("onnx", "openvino", "tensorrt")
# What an export may have left in a folder: removed from it when another takes its place.
EXPORTED_FILES = {
    MANIFEST,
    "infer_cfg.yml",
    "detector.txt",
    "model.pdmodel",
    "model.json",
    "model.pdiparams",
    "model.pdiparams.info",
    "model.onnx",
    "model_trt.onnx",
    "model.engine",
    "model.engine.json",
    "model.xml",
    "model.bin",
    "model_x86.nb",
    "model_arm.nb",
    "model_arm_fp16.nb",
    "quantization.png",
}
# Stands in for a free side of the image when outputs are compared, or the coarsest stride's next multiple.
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
    fold_normalization=False,
    fp16=False,
    say=print,
    quantizer=None,
):
    """Exports a detector, each file compared with the model as trained.

    The model is re-parameterised in place. The folder gets ``model.pdmodel`` and ``model.pdiparams``
    (``model.json`` on Paddle 3), ``infer_cfg.yml``, ``export.json`` and the files of every other target.

    Args:
        cfg: the config the model was made from, its TestDataset created.
        model (nn.Layer): the detector with its weights.
        folder (str): made if absent; an earlier export in it gives way, once all files are made.
        targets (list[str]): of ``TARGETS``; 'paddle' is always made.
        image_size (list[int] | None): [H, W]; by default the config's TestReader's; [-1, -1] leaves it free.
        batch (int | None): fixed batch size, or None for a free one.
        nms (bool): put NMS into each graph: PaddleDetection's form in Paddle's, NonMaxSuppression in ONNX's
            and OpenVINO's, the EfficientNMS plugin in TensorRT's.
        opset (int): of the ONNX file.
        fold_normalization (bool): the graphs take pixels, 0..255, and normalise them.
        fp16 (bool): half precision where the target has it: ONNX (for GPUs) and so TensorRT, OpenVINO's
            weights, Paddle Lite for arm.
        say (callable): is told each file and how far its outputs are from the model's.
        quantizer (PostTraining | Trained | None): makes INT8 files in the place of float ones; see
            `ppdet_ext.quantization`.

    Returns:
        dict[str, dict]: for each file's target its 'file', 'precision' and 'max_error', which is None with
        the reason in 'not_measured' where it could not be run here.

    Raises:
        ValueError: an unknown target, a size that the strides don't divide, a batch or opset that does not
            exist, a target that cannot be made, or outputs outside the gates. The folder is as it was then.
    """
    targets = ["paddle"] + [t for t in targets if t != "paddle"]
    shape = [batch, 3, *_image_size(cfg, model, image_size)]
    _check(targets, batch, nms, opset, quantizer)
    model.eval()
    partial = os.path.normpath(folder) + ".partial"
    shutil.rmtree(partial, ignore_errors=True)
    os.makedirs(partial)
    bar = tqdm(total=1 + 2 * len(targets), desc="export", unit="step", delay=2, disable=None, leave=False)

    def tell(line):
        with bar.external_write_mode():
            say(line)
        bar.update()

    try:
        raw = RawGraph(model)
        raw.eval()
        normalization = Normalization.of_reader(cfg.TestReader) if fold_normalization else None
        prepare = quantizer.prepare if quantizer else deployed
        images, reference = _reference(raw, shape, normalization, prepare, tell)
        settings = write_infer_cfg(cfg, model, partial, shape, nms, fold_normalization)
        if nms and set(FROM_ONNX) & set(targets):
            check_settings(settings)
        settings = settings if nms else None
        with normalization.inside(raw) if normalization else contextlib.nullcontext():
            if quantizer:
                report = make_int8_files(raw, quantizer, partial, targets, shape, opset)
            else:
                report = _make_files(raw, partial, targets, shape, settings, opset, fp16, bar.update)
        bar.n, bar.total = 1 + len(report), 1 + 2 * len(report)
        quantization = quantizer.account() if quantizer else None
        account = partial, cfg, shape, fold_normalization, nms, report, quantization
        write_manifest(*account)  # a backend may ask it for the size
        prove(partial, report, images, reference, settings, tell)
        write_manifest(*account)
        _publish(partial, folder)
    finally:
        bar.close()
        shutil.rmtree(partial, ignore_errors=True)
    for entry in report.values():
        entry["file"] = os.path.join(folder, os.path.basename(entry["file"]))
    return report


def _check(targets, batch, nms, opset, quantizer):
    for target in targets:
        if target not in TARGETS:
            raise ValueError(f"target '{target}' is not known; {choice(target, TARGETS)}")
    if nms and "lite" in targets:
        raise ValueError("Paddle Lite's models end in raw outputs; export the target lite without --nms")
    if nms and quantizer:
        raise ValueError("--nms: a quantised model ends in raw outputs, which the runtime does the NMS on")
    if batch is not None and batch < 1:
        raise ValueError(f"batch size {batch}: give 1 or more, or none for a free one")
    least = LEAST_NMS_OPSET if nms else LEAST_QUANTIZED_OPSET if quantizer else LEAST_OPSET
    if set(FROM_ONNX) & set(targets) and opset < least:
        raise ValueError(f"opset {opset}: the graph needs {least} or later")


def _reference(raw, shape, normalization, prepare, say):
    """Random images in the form that the files take, and the raw outputs of the model as trained for them.

    The model is put into its deployed form, by ``prepare``, then.
    """
    coarsest = max(raw.head.fpn_strides)
    probe = -(-PROBE_SIDE // coarsest) * coarsest
    sides = [probe if side == -1 else side for side in shape[2:]]
    pixels = np.random.RandomState(0).randint(0, 256, [shape[0] or 2, 3, *sides]).astype("float32")
    inputs = normalization(pixels) if normalization else pixels / 255
    with paddle.no_grad():
        reference = [output.numpy() for output in raw(paddle.to_tensor(inputs))]
        prepare(raw)
        fused = [output.numpy() for output in raw(paddle.to_tensor(inputs))]
    error = compare_raw("re-parameterised model", fused, reference)
    say(f"re-parameterised: differs by {error:.1e} of the largest output from the model as trained")
    return pixels if normalization else inputs, reference


def _make_files(raw, folder, targets, shape, nms_settings, opset, fp16, made):
    """Makes every target's files in a folder, calling ``made`` after each.

    Returns the report of :func:`export_model` without errors.
    """
    report = {}

    def add(target, file, precision="fp32"):
        report[target] = {"file": file, "precision": precision, "max_error": None}
        made()

    half = "fp16" if fp16 else "fp32"
    with tempfile.TemporaryDirectory() as workplace:
        if nms_settings:
            graph = NMSGraph(raw)
            graph.eval()
            add("paddle", save_paddle(graph, folder, shape, nms=True))
        else:
            add("paddle", save_paddle(raw, folder, shape))
        if set(FROM_ONNX) & set(targets):
            source = save_paddle(raw, workplace, shape) if nms_settings else report["paddle"]["file"]
            keep = not nms_settings and {"onnx", "tensorrt"} & set(targets)
            onnx_file = save_onnx(source, folder if keep else workplace, opset, fp16)
        if "onnx" in targets:
            add("onnx", save_onnx_nms(onnx_file, folder, nms_settings) if nms_settings else onnx_file, half)
        if "openvino" in targets:
            full = save_onnx(source, tempfile.mkdtemp(dir=workplace), opset) if fp16 else onnx_file
            if nms_settings:
                full = save_onnx_nms(full, tempfile.mkdtemp(dir=workplace), nms_settings)
            add("openvino", save_openvino(full, folder, fp16), half)
        if "tensorrt" in targets:
            file = save_onnx_nms(onnx_file, folder, nms_settings, plugin=True) if nms_settings else onnx_file
            add("tensorrt", file, half)
        if "lite" in targets:
            for target, (file, precision) in save_lite(raw, folder, shape[2:], fp16).items():
                add(target, file, precision)
    return report


def _publish(partial, folder):
    """Moves the files of a finished export into the folder, in the place of those of an earlier one."""
    os.makedirs(folder, exist_ok=True)
    for name in os.listdir(folder):
        if name in EXPORTED_FILES:
            os.remove(os.path.join(folder, name))
    for name in os.listdir(partial):
        os.replace(os.path.join(partial, name), os.path.join(folder, name))


def _image_size(cfg, model, image_size):
    """[H, W] to export for, checked against the strides."""
    coarsest = max(head_of(model).fpn_strides)
    size = list(image_size or input_size(cfg))
    for side in size:
        if side != -1 and (side <= 0 or side % coarsest):
            raise ValueError(
                f"image size {size[0]}x{size[1]}: each side must be a multiple of the coarsest "
                f"stride, {coarsest}"
            )
    return size
