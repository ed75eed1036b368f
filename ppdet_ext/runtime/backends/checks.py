"""What every backend asks of its files, its model and its batches, in one wording."""

import platform
from pathlib import Path

import numpy as np

# The files of an exported folder that a backend reads, the preferred one first. Paddle Lite has one for each
# kind of processor; TensorRT one of its own where another engine's would not do.
MODELS = {
    "onnxruntime": ("model.onnx",),
    "openvino": ("model.xml", "model.onnx"),
    "paddle_inference": ("model.json", "model.pdmodel"),
    "paddle": ("model.json", "model.pdmodel"),
    "paddle_lite": ("model_x86.nb" if platform.machine() in ("x86_64", "AMD64") else "model_arm.nb",),
    "tensorrt": ("model_trt.onnx", "model.onnx"),
}
# What a model ends in: every box and score, or what an in-graph NMS has left of them.
RAW = ("boxes", "scores")
NMS = ("num_dets", "det_boxes", "det_scores", "det_classes")


def find_model(folder, names, mend="run 'ppdet-ext export'"):
    """The model file of an exported folder.

    Args:
        folder (str | Path): the exported folder.
        names (iterable): file names, the preferred one first.
        mend (str): what makes such a file.

    Returns:
        Path: the first of `names` that the folder has.

    Raises:
        ValueError: it has none.
    """
    files = [Path(folder) / name for name in names]
    for file in files:
        if file.is_file():
            return file
    if len(files) == 1:
        raise ValueError(f"{files[0]}: is missing; {mend}")
    raise ValueError(f"{folder}: has neither {' nor '.join(names)}; {mend}")


def check_ports(file, inputs, outputs, wanted=RAW, by_name=True):
    """Refuse a model that does not take one image and give the outputs wanted.

    Args:
        file (Path): the model, for the error.
        inputs (list): names of its inputs.
        outputs (list): names of its outputs.
        wanted (tuple): RAW or NMS.
        by_name (bool): outputs are asked for by name; False where the names are the engine's own, and the
            order counts.

    Raises:
        ValueError: another number of inputs, or other outputs.
    """
    fits = set(wanted) <= set(outputs) if by_name else len(outputs) == len(wanted)
    if len(inputs) != 1 or not fits:
        raise ValueError(
            f"{file}: has inputs {list(inputs)} and outputs {list(outputs)}, not one image and "
            f"{', '.join(wanted)}; export it with 'ppdet-ext export'"
        )


def check_raw(name, folder, outputs):
    """Refuse a model with NMS inside for an engine that reads Paddle's files: their NMS has another form."""
    if outputs != RAW:
        raise ValueError(
            f"{folder}: was exported with --nms, in which PaddleDetection's deploy programs run the Paddle "
            f"model; export it without --nms for the backend '{name}'"
        )


def deliver(results, out):
    """Results as a tuple of arrays, or copied into the arrays of `out`."""
    if out is None:
        return tuple(results)
    for result, place in zip(results, out):
        np.copyto(place, result)
    return out


class DeviceRefused(ValueError):
    """An engine does not run on the device that it was asked to run on, here."""


def refuse_device(name, device, mend):
    """The :class:`DeviceRefused` of an engine."""
    return DeviceRefused(f"backend '{name}' does not run on device '{device}' here; {mend}")


def check_batch(file, shape, images):
    """Refuse a batch that the model's input does not take.

    Args:
        file (Path): the model, for the error.
        shape (list): shape of its input; what is not a positive int is free.
        images (numpy.ndarray): [B, 3, H, W].

    Raises:
        ValueError: another number of dimensions, or one that differs from a fixed one.
    """
    wanted = [side if isinstance(side, int) and side > 0 else None for side in shape]
    if len(wanted) != images.ndim or any(side not in (None, got) for side, got in zip(wanted, images.shape)):
        text = ", ".join("any" if side is None else str(side) for side in wanted)
        raise ValueError(
            f"{file}: takes [{text}], but the batch is {list(images.shape)}; "
            f"correct target_size in infer_cfg.yml or the batch size"
        )


def cannot_load(file, engine, reason):
    """The ValueError for a model that an engine refuses: the file, the engine with its version, why."""
    return ValueError(f"{file}: {engine} cannot load it ({reason}); export the model again")


def cannot_run(file, images, reason):
    """The ValueError for a batch [B, 3, H, W] on which an engine fails although the input takes it."""
    return ValueError(
        f"{file}: cannot run a batch of {list(images.shape)} ({reason}); "
        f"correct target_size in infer_cfg.yml or the batch size"
    )
