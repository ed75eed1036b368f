"""Random weights with which a deep network of ReLUs is no chaos."""

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import numpy as np
import paddle

from ..nn.reference import put, randomise
from .upstream import raw_outputs


def steady(model, image, seed=3):
    """Gives a detector random weights, shortcuts of either sign, and an image's statistics, jittered.

    A channel that is nearly constant there gets the variance of an ordinary one: divided by its own, it would
    be thousands as large in the next image, and a network of such channels turns rounding into answers.

    Args:
        model (YOLODetector): is returned, in evaluation mode.
        image (Tensor): [B, 3, H, W] float32, of several cells on the coarsest level.
        seed (int): of everything.
    """
    randomise(model, seed)
    rng = np.random.default_rng(seed + 1)
    head = model.yolo_head

    def measure(norm, inputs):
        x = inputs[0].numpy()
        mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3))
        variance = np.maximum(variance, variance.mean())
        put(norm._mean, mean + 0.2 * np.sqrt(variance) * rng.standard_normal(mean.shape))
        put(norm._variance, variance * np.exp(rng.uniform(-0.3, 0.7, variance.shape)))

    for name, parameter in model.named_parameters():
        if name.endswith("alpha"):
            put(parameter, rng.uniform(0.3, 0.9, 1) * rng.choice([-1, 1]))
    for conv in head.pred_cls:
        put(conv.weight, conv.weight.numpy() * 0.3)
        put(conv.bias, rng.normal(-2, 0.5, conv.bias.shape))
    for part in filter(None, [head.pred_reg, getattr(head, "pred_direct", None)]):
        for conv in part:
            put(conv.weight, conv.weight.numpy() * 0.3)
            put(conv.bias, rng.normal(1, 0.3, conv.bias.shape))
    norms = [layer for layer in model.sublayers() if isinstance(layer, paddle.nn.BatchNorm2D)]
    hooks = [norm.register_forward_pre_hook(measure) for norm in norms]
    raw_outputs(model, {"image": image})
    for hook in hooks:
        hook.remove()
    return model
