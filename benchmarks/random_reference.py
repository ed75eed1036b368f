"""Random numbers for a reference network of torch, such that parity tells something."""

import math

import numpy as np


def random_image(batch, size, seed):
    """[B, 3, H, W] float32 in 0..1: patches and noise, something for the coarse levels to tell apart."""
    random = np.random.RandomState(seed)
    patches = np.kron(random.uniform(size=(batch, 3, size // 16, size // 16)), np.ones((16, 16)))
    return (0.7 * patches + 0.3 * random.uniform(size=patches.shape)).astype("float32")


def randomise(network, random_weights, image, seed):
    """Random weights, and the statistics of an image, jittered, in every BatchNorm.

    Args:
        network (torch.nn.Module): changed in place.
        random_weights (callable): of {name: shape} and the seed; gives {name: ndarray}.
        image (ndarray): [B, 3, H, W] float32.
        seed (int): of both.
    """
    import torch

    shapes = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    weights = {name: torch.from_numpy(value) for name, value in random_weights(shapes, seed).items()}
    network.load_state_dict(weights, strict=False)
    random = np.random.RandomState(seed + 1)

    def calibrate(norm, inputs):
        # Of all channels, and a part of the mean: where every channel is centred and brought to one scale, a
        # deep network is chaotic, and the largest are 2e-4 away from themselves in double precision.
        mean, variance = inputs[0].mean((0, 2, 3)).numpy(), float(inputs[0].var())
        mean = 0.2 * mean + 0.1 * math.sqrt(variance) * random.standard_normal(mean.shape)
        variance = variance * np.exp(random.uniform(-0.7, 0.7, mean.shape))
        norm.running_mean.copy_(torch.from_numpy(mean.astype("float32")))
        norm.running_var.copy_(torch.from_numpy(variance.astype("float32")))

    norms = [part for part in network.modules() if isinstance(part, torch.nn.BatchNorm2d)]
    hooks = [norm.register_forward_pre_hook(calibrate) for norm in norms]
    with torch.no_grad():
        network(torch.from_numpy(image))
    for hook in hooks:
        hook.remove()
