"""Random weights, and layers computed once more in float64 NumPy, by loops and definitions."""

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import numpy as np
import paddle


def randomise(layer, seed=0):
    """Gives every parameter and every BatchNorm statistic a random value; returns the layer, in evaluation.

    Scales of either sign, variances over two decades: a fused kernel that forgets one of them is far off.
    Convolutions are scaled to their fan-in, so that a deep network's outputs stay of order one.
    """
    rng = np.random.default_rng(seed)
    norms = {id(norm.weight) for norm in layer.sublayers(True) if isinstance(norm, paddle.nn.BatchNorm2D)}
    for name, parameter in layer.named_parameters():
        leaf, shape = name.split(".")[-1], parameter.shape
        if leaf == "_variance":
            value = np.exp(rng.uniform(np.log(0.2), np.log(5.0), shape))
        elif leaf == "alpha":
            value = rng.uniform(-1.5, 1.5, shape)
        elif id(parameter) in norms:
            value = rng.uniform(0.5, 1.5, shape) * rng.choice([1, 1, 1, -1], shape)
        elif "proj_conv" in name:
            continue
        elif len(shape) == 4:
            value = rng.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))
        else:
            value = rng.standard_normal(shape) * 0.3
        parameter.set_value(value.astype(parameter.numpy().dtype))
    layer.eval()
    return layer


def random_input(*shape, dtype="float32", seed=1):
    return paddle.to_tensor(np.random.default_rng(seed).standard_normal(shape).astype(dtype))


def relative_error(value, expected):
    """The largest difference over the largest expected magnitude; infinite where only 0 was expected."""
    value, expected = (np.asarray(x, "float64") for x in (value, expected))
    assert value.shape == expected.shape
    error, scale = np.abs(value - expected).max(), np.abs(expected).max()
    return error / scale if scale else np.inf if error else 0.0


def fuse_twice(block, x):
    """The relative error after one and after two conversions, and whether the second changed anything."""
    expected = block(x).numpy()
    block.convert_to_deploy()
    once = block(x).numpy()
    state = {key: value.numpy().copy() for key, value in block.state_dict().items()}
    block.convert_to_deploy()
    assert list(block.state_dict()) == list(state)
    for key, value in block.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), state[key])
    assert relative_error(block(x).numpy(), once) <= 1e-6
    return relative_error(once, expected)


def array(tensor):
    return np.asarray(tensor.numpy(), "float64")


PAD_MODES = {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def convolution(x, kernel, bias=None, stride=1, groups=1, dilation=1, padding_mode="zeros"):
    """A convolution of same-size padding, tap by tap: [B, Cin, H, W] to [B, Cout, H / stride, W / stride]."""
    size = kernel.shape[-1]
    margin = dilation * (size // 2)
    padded = np.pad(x, [(0, 0), (0, 0), (margin, margin), (margin, margin)], PAD_MODES[padding_mode])
    height, width = ((side - 1) // stride + 1 for side in x.shape[2:])
    inputs, outputs = x.shape[1] // groups, len(kernel) // groups
    y = np.zeros((len(x), len(kernel), height, width))
    for group in range(groups):
        part = padded[:, group * inputs : (group + 1) * inputs]
        for out in range(group * outputs, (group + 1) * outputs):
            for row in range(size):
                for column in range(size):
                    rows = slice(row * dilation, row * dilation + stride * height, stride)
                    columns = slice(column * dilation, column * dilation + stride * width, stride)
                    window = part[:, :, rows, columns]
                    y[:, out] += (window * kernel[out, :, row, column][:, None, None]).sum(1)
    return y if bias is None else y + bias[:, None, None]


def transposed_convolution(x, kernel, bias, stride):
    """Every pixel adds its value times a kernel [Cin, Cout, k, k]; k is the stride, so they don't overlap."""
    batch, _, height, width = x.shape
    assert kernel.shape[2:] == (stride, stride)
    y = np.zeros((batch, kernel.shape[1], height * stride, width * stride))
    for row in range(stride):
        for column in range(stride):
            y[:, :, row::stride, column::stride] = np.einsum("bihw,io->bohw", x, kernel[:, :, row, column])
    return y + bias[:, None, None]


def batch_norm(x, bn, epsilon=None):
    """What a BatchNorm2D layer does in evaluation; its epsilon is a float32 in Paddle's kernels."""
    mean, variance, scale, shift = (
        array(t)[:, None, None] for t in (bn._mean, bn._variance, bn.weight, bn.bias)
    )
    epsilon = np.float64(np.float32(bn._epsilon if epsilon is None else epsilon))
    return (x - mean) / np.sqrt(variance + epsilon) * scale + shift


def max_pool(x, size):
    """The largest of a window of odd size around each pixel, cut off at the border."""
    height, width = x.shape[2:]
    y = np.empty_like(x)
    for row in range(height):
        for column in range(width):
            rows, columns = (slice(max(i - size // 2, 0), i + size // 2 + 1) for i in (row, column))
            y[:, :, row, column] = x[:, :, rows, columns].max((2, 3))
    return y


def put(parameter, value):
    """Gives a parameter its values, as an array of any shape with as many."""
    parameter.set_value(np.asarray(value, "float32").reshape(parameter.shape))


def cross_entropy(x, q):
    """Of logits and targets between 0 and 1, element by element."""
    return np.maximum(x, 0) - x * q + np.log1p(np.exp(-np.abs(x)))


def hard_sigmoid(x):
    return np.clip(x / 6 + 0.5, 0, 1)


def sigmoid(x):
    return (1 + np.tanh(x / 2)) / 2


def silu(x):
    return x * sigmoid(x)
