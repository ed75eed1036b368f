"""A nano PP-YOLOE whose maps are as wide as a trained one's, in a folder that the commands can run in."""

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
from functools import cached_property

import numpy as np
import paddle
import paddle.nn as nn
from ppdet.core.workspace import create

from ppdet_ext.config import load_config
from ppdet_ext.export.graph import RawGraph, deployed, without_swish
from ppdet_ext.export.onnx_ranges import read_quantized
from ppdet_ext.export.paddle_model import save_paddle
from ppdet_ext.quantization.post_training import calibrate, save_quantized
from ppdet_ext.runtime.image import find_images, read_image
from tests.training.tiny import make_workplace

SIDE = 64
SWISH = "CSPRepResNet: {act: swish}\nCSPRepPAN: {act: swish}\n"


def make_detector(config, pixels, seed=0):
    """A detector with random weights, whose BatchNorms have seen `pixels` [B, 3, H, W] and noise."""
    paddle.seed(seed)
    rng = np.random.default_rng(seed)
    model = create(load_config(str(config)).architecture)
    norms = [layer for layer in model.sublayers() if isinstance(layer, nn.BatchNorm2D)]
    for norm in norms:
        norm.weight.set_value(rng.uniform(0.5, 1.5, norm.weight.shape).astype("float32"))
        norm.bias.set_value(rng.normal(0, 0.3, norm.bias.shape).astype("float32"))
        norm._momentum = 0.0  # the statistics are those of this batch alone
    noise = rng.random(pixels.shape, "float32")  # the exporter compares on such
    model.train()
    with paddle.no_grad():
        feats = model.neck(model.backbone({"image": paddle.to_tensor(np.concatenate([pixels, noise]))}))
        model.yolo_head.predict_levels(feats)
    for norm in norms:
        norm._momentum = 0.9
        norm._variance.set_value(norm._variance + 0.1 * norm._variance.mean())
    for layer in [*model.yolo_head.pred_cls, *model.yolo_head.pred_reg]:
        layer.weight.set_value(rng.normal(0, 0.03, layer.weight.shape).astype("float32"))
    for layer in model.yolo_head.pred_cls:
        layer.bias.set_value(np.full(layer.bias.shape, -2, "float32"))
    model.eval()
    return model


def make_pixels(folder, count=8, side=SIDE):
    """Scenes of a demo set as the network gets them: [count, 3, side, side] float32."""
    import cv2

    files = [file for file, _ in find_images([str(folder)])][:count]
    images = [cv2.resize(read_image(file), (side, side), interpolation=cv2.INTER_CUBIC) for file in files]
    return np.stack(images).transpose(0, 3, 1, 2).astype("float32") / 255


def prepare(folder, swish=False):
    """Writes `demo/`, `tiny.yml` and `float.pdparams` into a folder, which is returned."""
    make_workplace(folder)
    config = (folder / "tiny.yml").read_text().replace("96", str(SIDE))
    if swish:
        config = config.replace("ETHead: {", "ETHead: {act: swish, ") + SWISH
    (folder / "tiny.yml").write_text(config)
    model = make_detector(folder / "tiny.yml", make_pixels(folder / "demo" / "images" / "train"))
    paddle.save(model.state_dict(), str(folder / "float.pdparams"))
    return folder


class Tiny:
    """The detector at each step of a post-training quantisation, made when asked for.

    Args:
        folder (Path): exists; gets what :func:`prepare` writes.
        swish (bool): the activation, else ReLU.
    """

    def __init__(self, folder, swish=False):
        self.folder, self.swish = prepare(folder, swish), swish
        self.pixels = make_pixels(folder / "demo" / "images" / "train")

    @cached_property
    def raw(self):
        """The deployed RawGraph."""
        return deployed(RawGraph(make_detector(self.folder / "tiny.yml", self.pixels)))

    @cached_property
    def outputs(self):
        """Raw outputs of the float network for the pixels."""
        with paddle.no_grad():
            return [output.numpy() for output in self.raw(paddle.to_tensor(self.pixels))]

    @cached_property
    def float_file(self):
        """`model.pdmodel` of the float network."""
        (self.folder / "float").mkdir()
        with without_swish(self.raw):
            return save_paddle(self.raw, str(self.folder / "float"), [None, 3, SIDE, SIDE])

    @cached_property
    def scales(self):
        """What `calibrate` measures over the pixels by absmax."""
        return calibrate(self.float_file, list(self.pixels), "absmax")

    @cached_property
    def quantized_file(self):
        """`model.pdmodel` of the quantised program."""
        (self.folder / "int8").mkdir()
        return save_quantized(self.float_file, str(self.folder / "int8"), self.scales, list(self.pixels))

    @cached_property
    def graph(self):
        """QuantizedGraph, as the exporter reads it."""
        more = {name: value for name, value in self.scales.items() if np.ndim(value) == 0}
        return read_quantized(self.quantized_file, more=more)


def run_onnx(model, pixels, names=("boxes", "scores"), optimized=None):
    """Outputs of an ONNX graph, or any of its tensors, by ONNX Runtime.

    Args:
        model (onnx.ModelProto): stays as it is.
        pixels (numpy.ndarray): its input 'image'.
        names (iterable[str]): of tensors.
        optimized (Path | None): gets the graph that runs; else nothing is fused.
    """
    import onnx
    import onnxruntime

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    there = {port.name for port in copy.graph.output}
    copy.graph.output.extend(
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
        for name in names
        if name not in there
    )
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if optimized is None:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    else:
        options.optimized_model_filepath = str(optimized)
    session = onnxruntime.InferenceSession(
        copy.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(list(names), {"image": pixels})


def relative(found, expected):
    """The norm of the difference over that of the expectation."""
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))
