"""Our parts in PaddleDetection's architectures and beside its parts, and its parts in ours, from YAML."""

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import numpy as np
import paddle
import pytest
from ppdet.core.workspace import create

from ppdet_ext.config import load_config

from .upstream import CONFIGS, make_batch

OURS = {
    "backbone": "CSPRepResNet",
    "neck": "CSPRepPAN",
    "head": "ETHead",
    "static_assigner": "ATSSLabelAssigner",
    "assigner": "TALLabelAssigner",
}
THEIRS = {
    "backbone": "CSPResNet",
    "neck": "CustomCSPPAN",
    "head": "PPYOLOEHead",
    "static_assigner": "ATSSAssigner",
    "assigner": "TaskAlignedAssigner",
}

# YOLOv6's parts beside PP-YOLOE's, ours and theirs.
YOLOV6 = [
    ("EfficientRep", "CSPRepPAN", "ETHead"),
    ("EfficientRep", "RepPAN", "ETHead"),
    ("CSPRepResNet", "RepPAN", "EfficientRepHead"),
    ("CSPBepBackbone", "CSPRepPAN", "EfficientRepHead"),
    ("CSPResNet", "RepPAN", "PPYOLOEHead"),
]
# What a part is told besides.
THREE_MAPS = "{layers: [6, 12, 18, 6], return_idx: [1, 2, 3]}"
OPTIONS = {
    "CSPRepResNet": "{use_large_stem: true, use_alpha: true}",
    "CSPResNet": "{use_large_stem: true, use_alpha: true}",
    "EfficientRep": THREE_MAPS,
    "CSPBepBackbone": THREE_MAPS,
    "CSPRepPAN": "{out_channels: [768, 384, 192], act: swish, spp: true}",
    "CustomCSPPAN": "{out_channels: [768, 384, 192], act: swish, spp: true}",
    "RepPAN": "{out_channels: [512, 256, 128], lateral_channels: [256, 128]}",
}

YAML = """
_BASE_: ['{configs}/_base_/plugin.yml']
architecture: {architecture}
num_classes: 7
depth_mult: 0.33
width_mult: 0.25
{architecture}:
  backbone: {backbone}
  neck: {neck}
  yolo_head: {head}
{post_process}
{backbone}: {backbone_options}
{neck}: {neck_options}
{head}:
  reg_max: 16
  fpn_strides: [32, 16, 8]
  static_assigner_epoch: 10
  use_varifocal_loss: true
  static_assigner: {{name: {static_assigner}, topk: 9}}
  assigner: {{name: {assigner}, topk: 13, alpha: 1.0, beta: 6.0}}
  nms: {{name: MultiClassNMS, nms_top_k: 1000, keep_top_k: 300, score_threshold: 0.001, nms_threshold: 0.7}}
"""


def mixes():
    for architecture in ("PPYOLOE", "YOLOv3"):
        yield pytest.param(architecture, OURS, id=f"{architecture} of ours")
        for part in OURS:
            yield pytest.param(architecture, {**THEIRS, part: OURS[part]}, id=f"{architecture}, our {part}")
    yield pytest.param("YOLODetector", THEIRS, id="YOLODetector of theirs")
    for part in OURS:
        yield pytest.param("YOLODetector", {**OURS, part: THEIRS[part]}, id=f"YOLODetector, their {part}")
    for backbone, neck, head in YOLOV6:
        parts = {**OURS, "backbone": backbone, "neck": neck, "head": head}
        yield pytest.param("YOLODetector", parts, id=f"{backbone}, {neck}, {head}")
    parts = {**THEIRS, "backbone": "EfficientRep", "neck": "RepPAN", "head": "EfficientRepHead"}
    yield pytest.param("PPYOLOE", parts, id="PPYOLOE of YOLOv6's, their assigners")


def build(folder, architecture, parts):
    path = folder / "mix.yml"
    # PaddleDetection's architectures ask for a post-process of their own unless told that there is none.
    post_process = "" if architecture == "YOLODetector" else "  post_process: ~"
    text = YAML.format(
        configs=CONFIGS,
        architecture=architecture,
        post_process=post_process,
        backbone_options=OPTIONS[parts["backbone"]],
        neck_options=OPTIONS[parts["neck"]],
        **parts,
    )
    path.write_text(text, encoding="utf-8")
    config = load_config(str(path))
    paddle.seed(0)
    return create(config.architecture)


@pytest.mark.parametrize("architecture, parts", mixes())
def test_mix_trains_and_predicts(tmp_path, architecture, parts):
    model = build(tmp_path, architecture, parts)
    head = model.yolo_head
    built = [model, model.backbone, model.neck, head, head.static_assigner, head.assigner]
    assert [type(part).__name__ for part in built] == [architecture, *parts.values()]

    model.train()
    first = model.backbone.stem.conv1.conv.weight
    for epoch in (0, 10):  # the static assigner's and the other's
        model.clear_gradients()
        losses = model(make_batch(96, classes=7, epoch=epoch))
        assert {"loss", "loss_cls", "loss_iou", "loss_dfl"} <= set(losses)
        # The loss of an untrained model is made of all three terms.
        assert all(0 < float(losses[key]) < 1e4 for key in ("loss", "loss_cls", "loss_iou", "loss_dfl"))
        losses["loss"].backward()
        # The predictions start from kernels of 0, through which the first step can't reach the backbone.
        assert all(np.abs(conv.weight.grad.numpy()).max() > 0 for conv in head.pred_cls)
        for conv in [*head.pred_cls, *head.pred_reg]:
            conv.weight.set_value(paddle.randn(conv.weight.shape) * 0.02)
        model.clear_gradients()
        model(make_batch(96, classes=7, epoch=epoch))["loss"].backward()
        gradient = first.grad.numpy()
        assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0

    model.eval()
    with paddle.no_grad():
        predicted = model(make_batch(96, classes=7))
    boxes, counts = predicted["bbox"].numpy(), predicted["bbox_num"].numpy()
    assert counts.shape == (2,) and counts.min() > 0 and boxes.shape == (counts.sum(), 6)
    assert np.isfinite(boxes).all()
    assert set(boxes[:, 0]) <= set(range(7)) and (boxes[:, 1] > 0.001).all() and (boxes[:, 1] <= 1).all()
