"""TensorFlow's SAME padding once more, in float64 NumPy and from its definition, and what is built on it."""

import numpy as np

from .reference import array, batch_norm, sigmoid, silu

ACTIVATIONS = {"swish": silu, "relu6": lambda x: np.clip(x, 0, 6)}


def same_windows(x, size, stride, fill):
    """The windows over ``x`` [B, C, H, W]: [B, C, ceil(H / s), ceil(W / s), k, k].

    The last window has to reach the last row; what rows this takes are put half before and half after, the
    odd one after.
    """
    outputs = [-(-side // stride) for side in x.shape[2:]]
    for axis, count in zip((2, 3), outputs):
        lacking = max((count - 1) * stride + size - x.shape[axis], 0)
        margin = [(0, 0)] * 4
        margin[axis] = (lacking // 2, lacking - lacking // 2)
        x = np.pad(x, margin, constant_values=fill)
    windows = np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(2, 3))
    windows = windows[:, :, ::stride, ::stride]
    return windows[:, :, : outputs[0], : outputs[1]]


def same_convolution(x, kernel, bias=None, stride=1, groups=1):
    windows = same_windows(x, kernel.shape[-1], stride, 0.0)
    parts = [
        np.einsum("bcyxij,ocij->boyx", part, weights)
        for part, weights in zip(np.split(windows, groups, axis=1), np.split(kernel, groups))
    ]
    y = np.concatenate(parts, axis=1)
    return y if bias is None else y + bias[:, None, None]


def same_max_pool(x, size, stride):
    return same_windows(x, size, stride, -np.inf).max((-1, -2))


def conv_norm(layer, x, epsilon, **geometry):
    """A ConvNormAct up to its activation."""
    return batch_norm(same_convolution(x, array(layer.conv.weight), **geometry), layer.bn, epsilon)


def squeeze_excite(layer, x, act):
    """Attention of a channel by its mean, through two dense layers."""
    reduce, expand = (array(conv.weight)[:, :, 0, 0] for conv in (layer.reduce, layer.expand))
    hidden = ACTIVATIONS[act](x.mean((2, 3)) @ reduce.T + array(layer.reduce.bias))
    return x * sigmoid(hidden @ expand.T + array(layer.expand.bias))[:, :, None, None]


def mbconv(layer, x, stride, act, epsilon=1e-3):
    """An inverted residual block in evaluation: expansion, depthwise, attention, projection, shortcut."""
    y = x
    if layer.expand is not None:
        y = ACTIVATIONS[act](conv_norm(layer.expand, y, epsilon))
    channels = y.shape[1]
    y = ACTIVATIONS[act](conv_norm(layer.depthwise, y, epsilon, stride=stride, groups=channels))
    if layer.se is not None:
        y = squeeze_excite(layer.se, y, act)
    y = conv_norm(layer.project, y, epsilon)
    return x + y if x.shape == y.shape and stride == 1 else y
