"""EfficientDet as a whole, small: built from a config, trained a little, deployed, exported."""

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
from collections import Counter
from functools import partial

import numpy as np
import onnx
import paddle
import pytest
import yaml
from paddle.regularizer import L2Decay
from ppdet.core.workspace import create

from ppdet_ext.config import load_config
from ppdet_ext.evaluation.trained import TrainedModel
from ppdet_ext.export import export_model
from ppdet_ext.export.graph import RawGraph, deployed, head_of
from ppdet_ext.modeling.detectors import EfficientDet
from ppdet_ext.quantization.layers import convolution_weights
from ppdet_ext.runtime import Detector
from ppdet_ext.runtime.backends import create_backend
from ppdet_ext.runtime.nms import NMS

from ..nn.reference import relative_error
from .upstream import CONFIGS, make_batch, parameter_count

CLASSES, SIDE = 10, 128
NECK = {"out_channels": 16, "num_cells": 1, "num_levels": 5, "coarsest_first": False}
SECTIONS = {
    "architecture": "EfficientDet",
    "num_classes": CLASSES,
    "EfficientDet": {"backbone": "EfficientNet", "neck": "WeightedBiFPN", "head": "EfficientDetHead"},
    "EfficientNet": {"width_mult": 0.25, "depth_mult": 0.3, "drop_path_rate": 0.0},
    "WeightedBiFPN": NECK,
    "EfficientDetHead": {
        "fpn_strides": [8, 16, 32, 64, 128],
        "num_repeats": 2,
        "nms": {"name": "SoftNMS", "nms_top_k": 200},
    },
    "TestDataset": {"dataset_dir": None, "anno_path": "tests/export/labels.txt"},
}
# EfficientDet's, written out.
SETTINGS = {
    "name": "SoftNMS",
    "score_threshold": 0.001,
    "nms_top_k": 200,
    "keep_top_k": 100,
    "nms_threshold": 0.5,
    "post_threshold": 0.001,
    "use_gaussian": True,
    "gaussian_sigma": 0.5,
    "normalized": True,
    "background_label": -1,
}
batch_of = partial(make_batch, SIDE, classes=CLASSES, label_dtype="int32")


def build(folder, **changes):
    """The config, with sections changed, and the model."""
    bases = ("plugin", "runtime", "datasets/demo", "readers/demo")
    config = {"_BASE_": [str(CONFIGS / "_base_" / f"{base}.yml") for base in bases], **SECTIONS, **changes}
    path = folder / "tiny.yml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    cfg = load_config(str(path))
    paddle.seed(0)
    return cfg, create(cfg.architecture)


def settle(model, image):
    """Gives BatchNorms the statistics of an image, jittered, and predictions something to say."""
    rng = np.random.default_rng(0)

    def measure(norm, inputs):
        x = inputs[0].numpy()
        variance = x.var((0, 2, 3))
        variance = np.maximum(variance, variance.mean()) * rng.uniform(0.7, 1.5, variance.shape)
        mean = x.mean((0, 2, 3)) + 0.2 * np.sqrt(variance) * rng.standard_normal(variance.shape)
        norm._mean.set_value(mean.astype("float32"))
        norm._variance.set_value(variance.astype("float32"))
        norm.bias.set_value(rng.normal(0, 0.2, variance.shape).astype("float32"))

    model.eval()
    # Boxes near their anchors: a side of thousands of pixels that ends at 0 hides no rounding error.
    kernel = model.head.box_net.predict.pointwise.weight
    kernel.set_value(kernel * 0.3)
    norms = [layer for layer in model.sublayers() if isinstance(layer, paddle.nn.BatchNorm2D)]
    hooks = [norm.register_forward_pre_hook(measure) for norm in norms]
    with paddle.no_grad():
        model.head(model.features({"image": image}))
    for hook in hooks:
        hook.remove()
    return model


# --- parts ------------------------------------------------------------------------------------------------


def test_published_parameter_count(tmp_path):
    """D0 with 90 classes, as google/automl's own test has it."""
    neck = {"num_levels": 5, "coarsest_first": False}
    _, model = build(tmp_path, num_classes=90, EfficientNet={}, WeightedBiFPN=neck, EfficientDetHead={})
    assert parameter_count(model) == 3_880_067
    parts = [parameter_count(part) for part in (model.backbone, model.neck, model.head)]
    assert parts == [3_595_388, 196_281, 69_354 + 19_044]


def test_the_head_has_one_name_in_every_family(tmp_path):
    _, model = build(tmp_path)
    assert isinstance(model, EfficientDet) and head_of(model) is model.head
    assert {name.split(".")[0] for name in model.state_dict()} == {"backbone", "neck", "head"}
    model.eval()
    assert "head.class_net.predict.pointwise" in convolution_weights(RawGraph(model))
    yolo = create(load_config("configs/demo/ppyoloe_nano_demo.yml").architecture)
    assert head_of(yolo) is yolo.head is yolo.yolo_head
    assert {name.split(".")[0] for name in yolo.state_dict()} == {"backbone", "neck", "yolo_head"}
    assert "yolo_head.pred_cls.0" in convolution_weights(RawGraph(yolo))


def test_a_neck_in_the_wrong_order(tmp_path):
    with pytest.raises(ValueError, match="levels come coarsest first, with strides .128, 64, 32, 16, 8."):
        build(tmp_path, WeightedBiFPN={**NECK, "coarsest_first": True})


def test_weight_decay_takes_kernels_alone(tmp_path):
    _, model = build(tmp_path)
    before = {name: parameter.numpy() for name, parameter in model.named_parameters()}
    optimizer = paddle.optimizer.Momentum(0.5, parameters=model.parameters(), weight_decay=L2Decay(0.1))
    sum(parameter.sum() * 0.0 for parameter in model.parameters()).backward()
    optimizer.step()
    for name, parameter in model.named_parameters():
        if not parameter.stop_gradient:
            share = 1 - 0.5 * 0.1 if parameter.ndim == 4 else 1.0
            np.testing.assert_allclose(parameter.numpy(), share * before[name], rtol=1e-6, err_msg=name)


# --- training ---------------------------------------------------------------------------------------------


def test_steps_lower_the_loss(tmp_path):
    _, model = build(tmp_path)
    model.train()
    batch = batch_of()
    optimizer = paddle.optimizer.Momentum(0.01, parameters=model.parameters())
    seen = []
    for _ in range(4):
        losses = model(batch)
        losses["loss"].backward()
        optimizer.step()
        optimizer.clear_grad()
        seen.append({key: float(value) for key, value in losses.items()})
    assert all(value > 0 for value in seen[0].values())
    assert seen[1]["loss"] < seen[0]["loss"] and seen[-1]["loss"] < 0.8 * seen[0]["loss"]


def test_a_step_without_boxes(tmp_path):
    _, model = build(tmp_path)
    model.train()
    batch = batch_of(gts=(0, 0))
    losses = model(batch)
    assert float(losses["loss_box"]) == 0 < float(losses["loss_cls"])
    losses["loss"].backward()
    for name, parameter in model.named_parameters():
        if not parameter.stop_gradient:
            assert parameter.grad is not None and np.isfinite(parameter.grad.numpy()).all(), name
    assert np.abs(model.backbone.stem.conv.weight.grad.numpy()).max() > 0


# --- deployment -------------------------------------------------------------------------------------------


def test_the_deployed_form(tmp_path):
    _, model = build(tmp_path)
    batch = batch_of()
    graph = RawGraph(settle(model, batch["image"]))
    with paddle.no_grad():
        before = [output.numpy() for output in graph(batch["image"])]
        after = [output.numpy() for output in deployed(graph)(batch["image"])]
    for expected, found in zip(before, after):
        assert relative_error(found, expected) < 1e-5
    assert np.ptp(before[1]) > 0.001, "or the comparison would show nothing"


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    cfg, model = build(folder)
    cfg["TestDataset"] = create("TestDataset")()
    images = batch_of()["image"]
    settle(model, images)
    with paddle.no_grad():
        expected = [output.numpy() for output in RawGraph(model)(images)]
    report = export_model(cfg, model, str(folder), ["paddle", "onnx"], batch=2, say=lambda line: None)
    return folder, cfg, model, images.numpy(), expected, report


@pytest.mark.parametrize("backend", ["paddle_inference", "onnxruntime"])
@pytest.mark.smoke
def test_exported_files_answer_as_the_model_as_trained(exported, backend):
    folder, _, _, images, (boxes, scores), report = exported
    found = create_backend(backend, folder).run(images)
    np.testing.assert_allclose(found[0], boxes, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(found[1], scores, rtol=1e-3, atol=1e-4)
    assert found[0].shape == (2, 9 * sum((SIDE // s) ** 2 for s in (8, 16, 32, 64, 128)), 4)
    assert report["onnx"]["max_error"] < 1e-4


def test_ops_after_the_last_maps(exported):
    """Anchors, their centres and sizes are constants; levels are joined before anything is computed."""
    graph = onnx.load(str(exported[0] / "model.onnx")).graph
    ops = Counter(node.op_type for node in graph.node)
    of_the_network = {"Conv", "Mul", "Sigmoid", "Add", "GlobalAveragePool", "MaxPool", "Resize"}
    assert {kind: count for kind, count in ops.items() if kind not in of_the_network} == {
        "Reshape": 2 * 5 + 3,  # each level's two maps to rows; classes apart and together, codes together
        "Concat": 2 + 2 + 1,  # levels of both kinds; y and x change places, twice; corners
        "Transpose": 2,
        "Split": 1,
        "Exp": 1,
        "Sub": 1,
    }


def test_the_runtime_suppresses_as_evaluation_does(exported):
    folder, cfg, model, images, raw, _ = exported
    settings = yaml.safe_load((folder / "infer_cfg.yml").read_text())
    assert settings["arch"] == "EfficientDet"
    assert settings["NMS"] == SETTINGS
    trained = TrainedModel.__new__(TrainedModel)
    trained.nms, trained.names = head_of(model).nms, [str(i) for i in range(CLASSES)]
    expected = trained.detect([output[:1] for output in raw], np.float32([1, 1]))
    nms = Detector(folder).postprocess.nms
    index, label, score = nms(raw[0][0], raw[1][0])
    np.testing.assert_array_equal(expected.labels, label)
    np.testing.assert_allclose(expected.scores, score, rtol=1e-6)
    np.testing.assert_allclose(expected.boxes, raw[0][0, index], rtol=1e-6)
    assert len(label) == 100


def test_soft_nms_does_not_go_into_a_graph(tmp_path):
    cfg, model = build(tmp_path)
    cfg["TestDataset"] = create("TestDataset")()
    with pytest.raises(ValueError, match="--nms: the head's nms, SoftNMS, runs outside of graphs"):
        export_model(cfg, model, str(tmp_path / "out"), nms=True, say=lambda line: None)


def test_boxes_of_the_original_image(tmp_path):
    _, model = build(tmp_path)
    batch = batch_of()
    settle(model, batch["image"])
    with paddle.no_grad():
        found = model(batch)
        boxes, scores = RawGraph(model)(batch["image"])
    counts = found["bbox_num"].numpy()
    assert counts.tolist() == [100, 100]
    original = boxes.numpy()[1] / np.float32([0.8, 0.5, 0.8, 0.5])
    index, label, score = NMS(SETTINGS)(original, scores.numpy()[1])
    expected = original[index]
    np.testing.assert_allclose(found["bbox"].numpy()[100:, 2:], expected, rtol=1e-5)
    np.testing.assert_allclose(found["bbox"].numpy()[100:, 1], score, rtol=1e-5)
