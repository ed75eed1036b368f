"""The models of `deployment.py`: one set of weights, exported by PaddleDetection and by ppdet_ext."""

import os

import numpy as np
import paddle

from ppdet_ext.compat import paddle2onnx_options
from ppdet_ext.config import load_config
from ppdet_ext.export import TARGETS, export_model
from ppdet_ext.export.graph import RawGraph
from ppdet_ext.export.infer_cfg import write_infer_cfg
from ppdet_ext.export.onnx_model import DEFAULT_OPSET, save_onnx
from ppdet_ext.export.paddle_model import save_paddle
from ppdet_ext.runtime.image import read_image
from ppdet_ext.runtime.preprocess import Preprocess, stack
from ppdet_ext.versions import is_importable

# Our names of the parts and PaddleDetection's; it takes the same settings.
PARTS = {"CSPRepResNet": "CSPResNet", "CSPRepPAN": "CustomCSPPAN", "ETHead": "PPYOLOEHead"}
ASSIGNERS = {"ATSSLabelAssigner": "ATSSAssigner", "TALLabelAssigner": "TaskAlignedAssigner"}
# Scores over the NMS threshold in an image, as many as a trained model gives on a photograph.
CANDIDATES = 1000


def make_models(config, folder, size, image, weights=None):
    """Export PP-YOLOE both ways, with the same weights.

    Args:
        config (str): one of our PP-YOLOE configs.
        folder (str): where the folders are made.
        size (int): side of the network's input in pixels.
        image (str): the file that random weights are fitted to.
        weights (str | None): a `.pdparams`; None for random ones.

    Returns:
        dict: 'folders' {name: path} with 'ours', 'ours training form', 'theirs' (without NMS, and its
        `model.onnx`) and 'theirs with NMS'; 'weights', what they are.

    Raises:
        ValueError: the weights do not fit, or an export fails.
    """
    said = (
        f"{weights}"
        if weights
        else (
            f"random, BatchNorm statistics randomised around those of the image, class biases shifted so "
            f"that {CANDIDATES} scores exceed the NMS threshold"
        )
    )
    trainer = make_trainer(config, size)
    model = trainer.model
    if weights:
        trainer.load_weights(weights)
    else:
        randomise(model, network_input(image, size), trainer.cfg.ETHead["nms"]["score_threshold"])
    state = {key: value.numpy().copy() for key, value in model.state_dict().items()}
    folders = {name: os.path.join(folder, name.replace(" ", "_")) for name in ("ours", "ours training form")}
    _export_training_form(trainer.cfg, model, folders["ours training form"], size)
    wanted = ["paddle", "onnx", "openvino"] + (["lite"] if is_importable("paddlelite") else [])
    targets = [target for target in wanted if target in TARGETS]
    export_model(trainer.cfg, model, folders["ours"], targets, image_size=[size, size])
    for name, exclude_nms in (("theirs with NMS", False), ("theirs", True)):
        theirs = make_trainer(config, size, upstream=True, exclude_nms=exclude_nms)
        missing, unexpected = theirs.model.set_state_dict(state)
        if missing or unexpected:
            raise ValueError(f"{config}: PaddleDetection's model has other weights, {missing or unexpected}")
        parent = os.path.join(folder, name.replace(" ", "_"))
        theirs.export(parent)
        folders[name] = os.path.join(parent, theirs.cfg.filename)
    _convert(folders["theirs"])
    return {"folders": folders, "weights": said}


def make_trainer(config, size, upstream=False, exclude_nms=False):
    """Our trainer with our model, or PaddleDetection's own with its own model, in test mode."""
    from ppdet.engine import Trainer as PaddleDetectionTrainer

    from ppdet_ext.training.trainer import Trainer

    overrides = {"use_gpu": False, "norm_type": "bn", "TestDataset": {"dataset_dir": None, "anno_path": None}}
    cfg = load_config(config, overrides)
    if upstream:
        cfg = load_config(config, {**overrides, **_their_parts(cfg), "exclude_nms": exclude_nms})
    cfg.TestReader["inputs_def"]["image_shape"] = [3, size, size]
    return (PaddleDetectionTrainer if upstream else Trainer)(cfg, mode="test")


def _their_parts(cfg):
    """The config's architecture in PaddleDetection's names, as its `ppyoloe_crn.yml` has them."""
    parts = {theirs: dict(cfg[ours]) for ours, theirs in PARTS.items()}
    for key in ("static_assigner", "assigner"):
        assigner = parts["PPYOLOEHead"][key]
        parts["PPYOLOEHead"][key] = {**assigner, "name": ASSIGNERS[assigner["name"]]}
    detector = {"backbone": "CSPResNet", "neck": "CustomCSPPAN", "yolo_head": "PPYOLOEHead"}
    return {"architecture": "YOLOv3", "YOLOv3": {**detector, "post_process": None}, **parts}


def network_input(image, size):
    """The network's input [1, 3, size, size] for an image file."""
    entries = [
        {"type": "Resize", "target_size": [size, size], "keep_ratio": False, "interp": 2},
        {"type": "NormalizeImage"},
        {"type": "Permute"},
    ]
    return stack([Preprocess(entries)(read_image(image))])


@paddle.no_grad()
def randomise(model, batch, threshold, seed=0):
    """Give a detector the statistics of one in training and scores like those of a trained one.

    Args:
        model (nn.Layer): as it is built.
        batch (numpy.ndarray): [1, 3, H, W] float32.
        threshold (float): the score that CANDIDATES shall exceed.
        seed (int): of the random numbers.
    """
    rng = np.random.default_rng(seed)

    def put(parameter, value):
        parameter.set_value(np.asarray(value, "float32").reshape(parameter.shape))

    def fit(norm, inputs):
        values = inputs[0].numpy()
        mean, variance = values.mean((0, 2, 3)), values.var((0, 2, 3)) + 1e-3
        put(norm._mean, mean + 0.3 * np.sqrt(variance) * rng.standard_normal(mean.shape))
        put(norm._variance, variance * np.exp(rng.uniform(-0.7, 0.7, variance.shape)))

    model.eval()
    hooks = []
    for layer in model.sublayers():
        if isinstance(layer, paddle.nn.BatchNorm2D):
            put(layer.weight, rng.uniform(0.3, 0.8, layer.weight.shape))
            put(layer.bias, rng.normal(0, 0.2, layer.bias.shape))
            hooks.append(layer.register_forward_pre_hook(fit))
    head = model.yolo_head
    for layers, deviation in ((head.pred_cls, 1.0), (head.pred_reg, 0.02)):
        for layer in layers:
            std = deviation / np.sqrt(np.prod(layer.weight.shape[1:]))
            put(layer.weight, rng.normal(0, std, layer.weight.shape))
    for layer in head.pred_reg:
        bins = -0.3 * np.arange(
            layer.bias.shape[0] // 4
        )  # distances of a few cells: the near bins are likelier
        put(layer.bias, np.tile(bins, 4))
    graph = RawGraph(model)
    graph.eval()
    image = paddle.to_tensor(batch)
    graph(image)
    for hook in hooks:
        hook.remove()
    scores = np.sort(graph(image)[1].numpy().astype("float64").ravel())
    border = scores[-CANDIDATES]
    shift = np.log(threshold / (1 - threshold)) - np.log(border / (1 - border))
    for layer in head.pred_cls:
        put(layer.bias, layer.bias.numpy() + shift)


def _export_training_form(cfg, model, folder, size):
    """Our raw graph with every branch of the training still there."""
    os.makedirs(folder)
    shape = [None, 3, size, size]
    graph = RawGraph(model)
    graph.eval()
    write_infer_cfg(cfg, model, folder, shape, False)
    save_onnx(save_paddle(graph, folder, shape), folder, DEFAULT_OPSET)


def _convert(folder):
    """PaddleDetection's export to ONNX, by Paddle2ONNX as its documents have it."""
    import paddle2onnx

    paddle2onnx.export(
        os.path.join(folder, "model.pdmodel"),
        os.path.join(folder, "model.pdiparams"),
        save_file=os.path.join(folder, "model.onnx"),
        opset_version=DEFAULT_OPSET,
        verbose=False,
        **paddle2onnx_options(),
    )


def make_quantized(config, folder, size, pictures, theirs=False):
    """Export PP-YOLOE with random weights in FP32 and in INT8.

    Args:
        config (str): one of our PP-YOLOE configs.
        folder (str): where the folders are made.
        size (int): side of the network's input in pixels.
        pictures (list): image files to calibrate on; random weights are fitted to the first.
        theirs (bool): also PaddleDetection's own export in FP32, NMS inside.

    Returns:
        dict: 'FP32', 'INT8' and 'theirs' -> its folder.
    """
    from ppdet_ext.quantization.quantizers import PostTraining

    trainer = make_trainer(config, size)
    randomise(trainer.model, network_input(pictures[0], size), trainer.cfg.ETHead["nms"]["score_threshold"])
    state = {key: value.numpy().copy() for key, value in trainer.model.state_dict().items()}
    folders = {name: os.path.join(folder, name) for name in ("FP32", "INT8")}
    targets = ["paddle", "onnx", "openvino"]
    for name, quantizer in (("FP32", None), ("INT8", PostTraining(pictures))):
        export_model(
            trainer.cfg, trainer.model, folders[name], targets, image_size=[size, size], quantizer=quantizer
        )
    if theirs:
        other = make_trainer(config, size, upstream=True)
        other.model.set_state_dict(state)
        parent = os.path.join(folder, "theirs")
        other.export(parent)
        folders["theirs"] = os.path.join(parent, other.cfg.filename)
    return folders


def quantize_by_nncf(folder, pictures):
    """The same network, quantised for OpenVINO by NNCF instead; returns its folder."""
    import shutil

    import nncf
    import openvino

    from ppdet_ext.quantization.calibration import CalibrationImages

    model = openvino.Core().read_model(os.path.join(folder, "model.xml"))
    images = CalibrationImages(pictures, folder)
    model.reshape([1, *images[0].shape])
    dataset = nncf.Dataset([image[None] for image in images])
    quantized = nncf.quantize(model, dataset, preset=nncf.QuantizationPreset.MIXED, subset_size=len(images))
    target = folder + "_nncf"
    os.makedirs(target)
    shutil.copy(os.path.join(folder, "infer_cfg.yml"), target)
    openvino.save_model(quantized, os.path.join(target, "model.xml"), compress_to_fp16=False)
    return target
