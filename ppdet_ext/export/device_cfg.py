"""``detector.txt``: the settings of ``infer_cfg.yml`` for programs that read no YAML, such as the one in
deploy/paddle_lite/cpp, where ``src/settings.h`` describes the lines."""

from pathlib import Path

import numpy as np

from ppdet_ext.runtime.config import InferConfig
from ppdet_ext.runtime.nms import NMS, multiclass_nms
from ppdet_ext.runtime.operators import OPERATORS, NormalizeImage, Pad, PadStride, Permute, Resize
from ppdet_ext.runtime.preprocess import Preprocess

DEVICE_CFG = "detector.txt"
FORMAT = 1
# Nearest, linear, cubic, area: what the program's own resize knows.
INTERPOLATIONS = (0, 1, 2, 3)
# An operator's values in the order of its line; Permute is the form of the tensor and needs none.
VALUES = {
    Resize: lambda op: [*op.target_size, bool(op.keep_ratio), op.interp],
    Pad: lambda op: [*op.size, *np.broadcast_to(op.fill_value, 3).tolist()],
    NormalizeImage: lambda op: [bool(op.is_scale), op.norm_type, *op.mean.tolist(), *op.std.tolist()],
    PadStride: lambda op: [max(op.stride, 0)],
}


def write_device_cfg(folder):
    """Writes ``detector.txt`` beside ``infer_cfg.yml``.

    Args:
        folder (str | Path): an exported folder with raw outputs.

    Returns:
        str: path of the file.

    Raises:
        ValueError: the folder is not an exported one, or asks for what the program for devices lacks: another
            NMS than MultiClassNMS, another operator, a class name of several lines.
    """
    config = InferConfig.load(folder)
    if config.nms_inside:
        raise ValueError(f"{config.file}: the model has NMS inside; export it without --nms for a device")
    lines = [["format", FORMAT], *_operators(config), *_nms(config), *_labels(config)]
    path = Path(folder) / DEVICE_CFG
    text = "".join(" ".join(map(_word, line)) + "\n" for line in lines)
    path.write_bytes(text.encode("utf-8"))  # not write_text, whose line ends differ on Windows
    return str(path)


def _operators(config):
    Preprocess(config.preprocess, config.file)  # checks them
    operators = [
        OPERATORS[entry["type"]](**{key: value for key, value in entry.items() if key != "type"})
        for entry in config.preprocess
        if OPERATORS[entry["type"]] is not Permute
    ]
    for number, operator in enumerate(operators):
        kind = type(operator)
        where = f"{config.file}: Preprocess operator {kind.__name__}"
        if kind not in VALUES:
            known = ", ".join(known.__name__ for known in VALUES)
            raise ValueError(f"{where} is not known on a device; take {known} in the config's TestReader")
        if kind is Resize and operator.interp not in INTERPOLATIONS:
            raise ValueError(f"{where} has interp {operator.interp}; take one of 0, 1, 2, 3 on a device")
        if kind is Resize and number and not isinstance(operators[number - 1], Resize):
            raise ValueError(f"{where} stands behind another operator; put it first for a device")
        yield [kind.__name__, *VALUES[kind](operator)]


def _nms(config):
    nms = NMS(config.nms, config.file)
    if nms.function is not multiclass_nms:
        raise ValueError(
            f"{config.file}: NMS '{config.nms['name']}' is not known on a device; "
            f"set its name to MultiClassNMS"
        )
    for key, value in nms.settings.items():
        yield [key, bool(value) if key == "normalized" else value]


def _labels(config):
    for name in config.names:
        if "\n" in name or "\r" in name:
            raise ValueError(f"{config.file}: label_list has {name!r}; take the line break out of the name")
        yield ["label", name]


def _word(value):
    return str(int(value)) if isinstance(value, bool) else str(value)
