"""PP-YOLOE twice, from PaddleDetection's installed classes and from our configs; weights and batches."""

from pathlib import Path

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import numpy as np
import paddle
from ppdet.core.workspace import create
from ppdet.modeling.architectures import YOLOv3
from ppdet.modeling.assigners import ATSSAssigner, TaskAlignedAssigner
from ppdet.modeling.backbones import CSPResNet
from ppdet.modeling.heads import PPYOLOEHead
from ppdet.modeling.layers import MultiClassNMS
from ppdet.modeling.necks import CustomCSPPAN

from ppdet_ext.config import load_config

from ..nn.reference import put, randomise

CONFIGS = Path(__file__).resolve().parents[2] / "configs"

# PaddleDetection's assigners mix the labels' dtype with int64; on Paddle 3 that fails for its reader's int32.
LABEL_DTYPE = "int32" if paddle.__version__.startswith("2.") else "int64"

# Depth and width multipliers of PaddleDetection's configs.
SIZES = {"s": (0.33, 0.50), "m": (0.67, 0.75), "l": (1.0, 1.0), "x": (1.33, 1.25)}


def build_upstream(size, plus=False, num_classes=80, varifocal=True, reg_max=16):
    """PaddleDetection's PP-YOLOE or PP-YOLOE+, with the arguments of its own configs.

    Args:
        size (str | tuple): a key of SIZES, or depth and width multipliers.
    """
    depth, width = SIZES[size] if isinstance(size, str) else size
    scale = {"depth_mult": depth, "width_mult": width}
    backbone = CSPResNet(
        layers=[3, 6, 6, 3],
        channels=[64, 128, 256, 512, 1024],
        return_idx=[1, 2, 3],
        use_large_stem=True,
        use_alpha=plus,
        **scale,
    )
    neck = CustomCSPPAN(
        in_channels=[spec.channels for spec in backbone.out_shape],
        out_channels=[768, 384, 192],
        stage_num=1,
        block_num=3,
        act="swish",
        spp=True,
        **scale,
    )
    head = PPYOLOEHead(
        in_channels=[spec.channels for spec in neck.out_shape],
        num_classes=num_classes,
        fpn_strides=(32, 16, 8),
        reg_max=reg_max,
        static_assigner_epoch=30 if plus else 100,
        use_varifocal_loss=varifocal,
        static_assigner=ATSSAssigner(topk=9, num_classes=num_classes),
        assigner=TaskAlignedAssigner(topk=13, alpha=1.0, beta=6.0),
        nms=MultiClassNMS(nms_top_k=1000, keep_top_k=300, score_threshold=0.01, nms_threshold=0.7),
        eval_size=None,
    )
    return YOLOv3(backbone=backbone, neck=neck, yolo_head=head, post_process=None)


def config_path(size, plus=False):
    return str(CONFIGS / "ppyoloe" / f"ppyoloe_{'plus_' if plus else ''}{size}_coco.yml")


def build_ours(size, plus=False, overrides=None):
    """The same from our YAML."""
    config = load_config(config_path(size, plus), overrides)
    return create(config.architecture)


def random_weights(model, seed=0, batch=None):
    """Gives a model the random weights and BatchNorm statistics of a detector in mid-training.

    Statistics are those of `batch` (by default `make_batch()`), jittered: with others the scores of a deep
    network of random weights are all 0 or 1, and any two models agree. Alphas are positive: where one is not,
    PaddleDetection leaves it out (`if self.alpha:` asks Paddle whether it is greater than 0).
    """
    randomise(model, seed)
    rng = np.random.default_rng(seed + 1)

    for name, parameter in model.named_parameters():
        if name.endswith("alpha"):
            put(parameter, rng.uniform(0.2, 1.5, 1))
    for layer in [*model.yolo_head.pred_cls, *model.yolo_head.pred_reg]:
        put(layer.weight, layer.weight.numpy() * 0.5)
    for layer in model.yolo_head.pred_cls:
        put(layer.bias, rng.normal(-3, 0.5, layer.bias.shape))
    for layer in model.yolo_head.pred_reg:
        # Distances of a few cells: the nearer bins are likelier.
        bins = -0.3 * np.arange(layer.bias.shape[0] // 4)
        put(layer.bias, np.tile(bins, 4) + rng.normal(0, 0.3, layer.bias.shape))

    def calibrate(norm, inputs):
        x = inputs[0].numpy()
        mean = x.mean((0, 2, 3))
        variance = x.var((0, 2, 3)) + 1e-3
        put(norm._mean, mean + 0.3 * np.sqrt(variance) * rng.standard_normal(mean.shape))
        put(norm._variance, variance * np.exp(rng.uniform(-0.7, 0.7, variance.shape)))

    norms = [layer for layer in model.sublayers() if isinstance(layer, paddle.nn.BatchNorm2D)]
    for norm in norms:
        # Near zero an activation is nearly linear. With larger signals a deep random network is chaotic: it
        # turns a rounding error of 1e-7 into 2e-5.
        put(norm.weight, norm.weight.numpy() * 0.4)
    hooks = [norm.register_forward_pre_hook(calibrate) for norm in norms]
    raw_outputs(model, batch or make_batch())
    for hook in hooks:
        hook.remove()
    return model


@paddle.no_grad()
def raw_outputs(model, batch):
    """What the head returns in evaluation: scores, distances, anchor points and strides."""
    model.eval()
    return model.yolo_head(model.neck(model.backbone(batch)))


def copy_weights(source, target):
    """Every weight of one model into another, key by key; KeyError if they are not the same keys."""
    weights = source.state_dict()
    state = target.state_dict()
    if set(weights) != set(state):
        raise KeyError(sorted(set(weights) ^ set(state)))
    for key, value in weights.items():
        state[key].set_value(value)


def make_batch(size=160, gts=(5, 3), classes=80, seed=0, epoch=0, label_dtype=LABEL_DTYPE):
    """A batch as PaddleDetection's reader makes it; images have `gts` boxes, padded to the most of them."""
    rng = np.random.default_rng(seed)
    count, most = len(gts), max(gts, default=0)
    mask = (np.arange(most) < np.array(gts)[:, None]).astype("float32")[..., None]
    center = rng.uniform(0.2, 0.8, (count, most, 2)) * size
    half = np.exp(rng.uniform(np.log(size / 16), np.log(size / 4), (count, most, 2)))
    boxes = np.concatenate([center - half, center + half], -1).clip(0, size).astype("float32") * mask
    labels = (rng.integers(0, classes, (count, most, 1)) * mask).astype(label_dtype)
    # Patches of 16 pixels and noise: something for the coarse levels to tell apart.
    patches = np.kron(rng.standard_normal((count, 3, size // 16, size // 16)), np.ones((16, 16)))
    image = patches + 0.5 * rng.standard_normal((count, 3, size, size))
    return {
        "image": paddle.to_tensor(image.astype("float32")),
        "im_shape": paddle.full([count, 2], float(size)),
        "scale_factor": paddle.to_tensor(np.float32([[1.0, 1.0], [0.5, 0.8]] * count)[:count]),
        "gt_class": paddle.to_tensor(labels),
        "gt_bbox": paddle.to_tensor(boxes),
        "pad_gt_mask": paddle.to_tensor(mask),
        "epoch_id": epoch,
    }


def is_statistic(name):
    return name.endswith(("_mean", "_variance"))


def parameter_count(model):
    """Parameters without the running statistics of BatchNorms, which Paddle counts among them."""
    return sum(int(np.prod(p.shape)) for name, p in model.named_parameters() if not is_statistic(name))


def train(model, batch):
    """One backward pass; the loss terms as floats."""
    model.train()
    model.clear_gradients()
    losses = model(batch)
    losses["loss"].backward()
    return {key: float(value) for key, value in losses.items()}
