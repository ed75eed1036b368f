"""BatchNorm statistics with which a deep network of random weights is no chaos."""

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import numpy as np
import paddle


@paddle.no_grad()
def calibrate(network, forward, seed=3):
    """Gives every BatchNorm the statistics of what reaches it in one run, jittered; returns the network.

    Args:
        network (nn.Layer): in evaluation, with random weights.
        forward (callable): without arguments; runs it once.
        seed (int): of the jitter.
    """
    rng = np.random.default_rng(seed)

    def measure(norm, inputs):
        x = inputs[0].numpy().astype("float64")
        mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3))
        # A nearly constant channel, divided by its own deviation, would turn rounding into answers.
        variance = np.maximum(variance, variance.mean())
        values = {
            "_mean": mean + 0.2 * np.sqrt(variance) * rng.standard_normal(mean.shape),
            "_variance": variance * np.exp(rng.uniform(-0.3, 0.7, variance.shape)),
        }
        for name, value in values.items():
            statistic = getattr(norm, name)
            statistic.set_value(value.astype(statistic.numpy().dtype))

    norms = [part for part in network.sublayers() if isinstance(part, paddle.nn.BatchNorm2D)]
    hooks = [norm.register_forward_pre_hook(measure) for norm in norms]
    try:
        forward()
    finally:
        for hook in hooks:
            hook.remove()
    return network
