"""The other side of `efficientdet_parity.py`: one network of effdet, with random weights.

    python efficientdet_reference.py JOB        a JSON object, see `main`

It runs in a Python that has torch, timm and effdet, and needs nothing of ppdet_ext.
"""

import json
import math
import os
import sys

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from benchmarks.random_reference import random_image, randomise  # noqa: E402

# What a network is scaled to, so that scores are neither all 0 nor all 1.
LOGIT_BIAS = -2.0


def build(name, size, classes=None, changes=None, width=None, depth=None):
    """A network in evaluation.

    Args:
        name (str): of effdet, such as 'tf_efficientdet_d0'.
        size (int): side of the image that it is built for; effdet's networks take no other.
        classes (int | None): of the head, in place of the published 90.
        changes (dict | None): over the config, such as ``{'fpn_channels': 16}``.
        width, depth (float | None): multipliers of an EfficientNet in place of the named backbone.
    """
    import torch
    from effdet import EfficientDet, get_efficientdet_config

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", 2)))
    config = get_efficientdet_config(name)
    config.image_size = (size, size)
    config.update(changes or {})
    if classes is not None:
        config.num_classes = classes
    if width is not None:
        config.backbone_name = narrow_backbone(width, depth)
    return EfficientDet(config, pretrained_backbone=False).eval()


def narrow_backbone(width, depth):
    """Tells timm of an EfficientNet of other multipliers than the published ones; its name there."""
    from timm.models import efficientnet, register_model

    def tf_efficientnet_narrow(pretrained=False, **options):
        options.update(bn_eps=1e-3, pad_type="same", channel_multiplier=width, depth_multiplier=depth)
        return efficientnet._gen_efficientnet("tf_efficientnet_b0", pretrained=pretrained, **options)

    register_model(tf_efficientnet_narrow)
    return tf_efficientnet_narrow.__name__


def random_weights(shapes, seed):
    """Weights of a state dict but for BatchNorms' statistics; the same ones for ever (NumPy's RandomState).

    Args:
        shapes (dict): {name: shape} of a network, in its order.
        seed (int): of the generator.

    Returns:
        dict[str, ndarray]: float32.
    """
    random = np.random.RandomState(seed)
    weights = {}
    for name, shape in shapes.items():
        if "num_batches" in name or "running" in name:
            continue
        if len(shape) == 4:
            value = random.standard_normal(shape) / math.sqrt(math.prod(shape[1:]))
        elif name.endswith("edge_weights"):
            # One in a few below 0, which a fast normalised fusion takes for 0; two of them never are.
            value = random.uniform(0.2, 1.5, shape)
            value[0] *= random.choice([1, 1, 1, -1])
        elif name.endswith("weight"):
            # Of a BatchNorm: near zero an activation is nearly linear, and a deep random network not chaotic.
            value = random.uniform(0.3, 0.8, shape)
        else:
            start = LOGIT_BIAS if name.startswith("class_net.predict") else 0.0
            value = start + random.standard_normal(shape) * 0.3
        weights[name] = value.astype("float32")
    return weights


def outputs(network, image):
    """Every level's maps, finest first: 'backbone0', ..., 'neck0', ..., 'class0', ..., 'box0', ..."""
    import torch

    with torch.no_grad():
        maps = network.backbone(torch.from_numpy(image))
        levels = network.fpn(list(maps))
        parts = {
            "backbone": maps,
            "neck": levels,
            "class": network.class_net(levels),
            "box": network.box_net(levels),
        }
    return {f"{part}{i}": value.numpy() for part, values in parts.items() for i, value in enumerate(values)}


def parameters(network):
    """How many numbers a training changes."""
    return sum(value.numel() for value in network.parameters())


def main(job):
    """Writes state.pt (a state dict), outputs.npz and costs.json.

    Args:
        job (dict): 'name', 'folder' (exists), 'size' (of the image), 'batch', 'seed'.
    """
    import torch

    network = build(job["name"], job["size"])
    image = random_image(job["batch"], job["size"], job["seed"])
    randomise(network, random_weights, image, job["seed"])
    torch.save(network.state_dict(), os.path.join(job["folder"], "state.pt"))
    np.savez(os.path.join(job["folder"], "outputs.npz"), image=image, **outputs(network, image))
    with open(os.path.join(job["folder"], "costs.json"), "w", encoding="utf-8") as file:
        json.dump({"parameters": parameters(network)}, file)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
