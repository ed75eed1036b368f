"""The algebra of re-parameterisation: branches become one kernel and one bias.

Everything is computed in float64 NumPy and rounded once, into the layer's own dtype.
Source: RepVGG (arXiv:2101.03697, section 3.3).
"""

import numpy as np
import paddle
import paddle.nn as nn


def _f64(tensor):
    return np.asarray(tensor.numpy(), dtype=np.float64)


def weight_array(conv):
    """The kernel of a convolution: [Cout, Cin / groups, k, k] float64."""
    return _f64(conv.weight)


def bn_scale_shift(bn):
    """The affine map a BatchNorm applies in inference.

    Args:
        bn (nn.BatchNorm2D): over C channels.

    Returns:
        tuple(ndarray, ndarray): scale and shift, each [C] float64, so that
        ``bn(x) = scale * x + shift`` channel by channel.
    """
    # Paddle hands epsilon to its kernels in single precision, whatever the layer's dtype.
    scale = _f64(bn.weight) / np.sqrt(_f64(bn._variance) + np.float64(np.float32(bn._epsilon)))
    return scale, _f64(bn.bias) - _f64(bn._mean) * scale


def fold_bn(kernel, bias, bn):
    """Folds a BatchNorm into the kernel and bias before it.

    Args:
        kernel (ndarray): [Cout, Cin / groups, k, k].
        bias (ndarray | None): [Cout].
        bn (nn.BatchNorm2D): over Cout channels.

    Returns:
        tuple(ndarray, ndarray): kernel [Cout, Cin / groups, k, k] and bias [Cout], float64.
    """
    scale, shift = bn_scale_shift(bn)
    return kernel * scale[:, None, None, None], shift if bias is None else shift + scale * bias


def fold_conv_bn(conv, bn):
    """Folds a BatchNorm into the convolution before it.

    Args:
        conv (nn.Conv2D): weight [Cout, Cin / groups, k, k], with or without bias.
        bn (nn.BatchNorm2D): over Cout channels.

    Returns:
        tuple(ndarray, ndarray): kernel [Cout, Cin / groups, k, k] and bias [Cout], float64.
    """
    return fold_bn(weight_array(conv), None if conv.bias is None else _f64(conv.bias), bn)


def pad_kernel(kernel, size):
    """Embeds a kernel [Cout, Cin, k, k] in the centre of a zero one [Cout, Cin, size, size]."""
    margin = (size - kernel.shape[-1]) // 2
    return np.pad(kernel, [(0, 0), (0, 0), (margin, margin), (margin, margin)])


def identity_kernel(channels, groups, size):
    """The convolution kernel that copies its input.

    Returns:
        ndarray: [channels, channels / groups, size, size] float64, one 1 a row, in the centre.
    """
    per_group = channels // groups
    kernel = np.zeros([channels, per_group, size, size])
    rows = np.arange(channels)
    kernel[rows, rows % per_group, size // 2, size // 2] = 1.0
    return kernel


def _blank(conv):
    """A convolution with bias of the geometry of a plain one, with fresh weights."""
    return nn.Conv2D(
        conv._in_channels,
        conv._out_channels,
        conv._kernel_size,
        stride=conv._stride,
        padding=conv._padding,
        dilation=conv._dilation,
        groups=conv._groups,
        padding_mode=conv._padding_mode,
    )


def conv_like(conv, kernel, bias):
    """Makes a convolution with bias of the geometry of ``conv``, holding ``kernel`` and ``bias``.

    Args:
        conv (nn.Conv2D): gives stride, padding, dilation, groups, padding mode and dtype; a subclass says by
            its own ``blank`` what stands in its place.
        kernel (ndarray): [Cout, Cin / groups, k, k].
        bias (ndarray): [Cout].

    Returns:
        nn.Conv2D: in evaluation mode.
    """
    fused = conv.blank() if hasattr(conv, "blank") else _blank(conv)
    dtype = conv.weight.dtype
    if fused.weight.dtype != dtype:
        fused.to(dtype=dtype)  # not astype(), which does nothing in Paddle 3 (issue 76614)
    numpy_dtype = conv.weight.numpy().dtype
    fused.weight.set_value(paddle.to_tensor(kernel.astype(numpy_dtype)))
    fused.bias.set_value(paddle.to_tensor(bias.astype(numpy_dtype)))
    fused.eval()
    return fused
