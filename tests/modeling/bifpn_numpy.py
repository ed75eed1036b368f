"""A BiFPN once more, in float64 NumPy: from the nodes of its source and the names of the state dict."""

import numpy as np

from ..nn.reference import silu
from ..nn.same_numpy import same_convolution, same_max_pool

EPSILON = np.float64(np.float32(1e-3))


ACTIVATIONS = {
    "swish": silu,
    "silu": silu,
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: np.clip(x, 0, 6),
}


def nearest(x, height, width):
    rows, columns = (
        [int(i * before / after) for i in range(after)] for before, after in zip(x.shape[2:], (height, width))
    )
    return x[:, :, rows][:, :, :, columns]


class NumpyBiFPN:
    """The function of a WeightedBiFPN.

    Args:
        state (dict[str, ndarray]): of the training form.
        nodes (str): '4:[1,2] 3:[0,3] ...', the finest level is 3.
        levels, cells (int): of the pyramid; in a row.
        fusion, act (str): as the neck's.
        tutorial (bool): nodes and coarser levels of that form.
    """

    def __init__(self, state, nodes, levels, cells, fusion, act="swish", tutorial=False):
        self.state = {key: np.float64(value) for key, value in state.items()}
        self.read = set()
        self.nodes = []
        for node in nodes.split():
            level, inputs = node.split(":")
            self.nodes.append((int(level) - 3, [int(i) for i in inputs.strip("[]").split(",")]))
        self.levels, self.cells, self.fusion, self.tutorial = levels, cells, fusion, tutorial
        self.act = ACTIVATIONS[act]

    def get(self, key):
        self.read.add(key)
        return self.state[key]

    def conv(self, x, key, stride=1):
        kernel = self.get(key + ".weight")
        groups = x.shape[1] // kernel.shape[1]
        bias = self.get(key + ".bias") if key + ".bias" in self.state else None
        return same_convolution(x, kernel, bias, stride, groups)

    def norm(self, x, key):
        mean, variance, scale, shift = (
            self.get(f"{key}.{part}")[:, None, None] for part in ("_mean", "_variance", "weight", "bias")
        )
        return (x - mean) / np.sqrt(variance + EPSILON) * scale + shift

    def conv_norm(self, x, key, stride=1):
        return self.norm(self.conv(x, key + ".conv", stride), key + ".bn")

    def resample(self, x, key, size):
        """Projected, then at the height and width of a level."""
        if key + ".project.conv.weight" in self.state:
            x = self.conv_norm(x, key + ".project")
        height, width = x.shape[2:]
        if (height, width) == size:
            return x
        if height < size[0]:
            return nearest(x, *size)
        times = -(-height // size[0])
        return same_max_pool(x, times + 1, times)

    def fuse(self, maps, key):
        if len(maps) == 1 or self.fusion == "sum":
            return sum(maps)
        raw = self.get(key + ".fuse.edge_weights")
        assert raw.shape == (len(maps),)
        if self.fusion == "fast":
            raw = np.maximum(raw, 0)
            raw = raw / (raw.sum() + 1e-4)
        elif self.fusion == "softmax":
            raw = np.exp(raw) / np.exp(raw).sum()
        return sum(weight * x for weight, x in zip(raw, maps))

    def node(self, maps, key, sizes):
        x = self.fuse([self.resample(x, f"{key}.edges.{i}", sizes) for i, x in enumerate(maps)], key)
        key += ".block"
        separable = any(
            key + f".{part}.weight" in self.state for part in ("conv.depthwise", "depthwise.conv")
        )
        if self.tutorial:
            if separable:
                return self.act(self.conv_norm(self.conv_norm(x, key + ".depthwise"), key + ".pointwise"))
            return self.act(self.conv_norm(x, key))
        x = self.act(x)
        if separable:
            x = self.conv(self.conv(x, key + ".conv.depthwise"), key + ".conv.pointwise")
        else:
            x = self.conv(x, key + ".conv")
        return self.norm(x, key + ".bn")

    def __call__(self, feats):
        """Maps, finest first, from as many of the backbone's; every number of the state has been used."""
        maps = list(feats)
        while len(maps) < self.levels:
            key = f"extra.{len(maps) - len(feats)}"
            half = tuple(-(-side // 2) for side in maps[-1].shape[2:])
            if self.tutorial:
                maps.append(self.conv_norm(maps[-1], key, stride=2))
            else:
                maps.append(self.resample(maps[-1], key, half))
        for cell in range(self.cells):
            sizes = [x.shape[2:] for x in maps[: self.levels]]
            outputs = {}
            for number, (level, inputs) in enumerate(self.nodes):
                parts = [maps[i] for i in inputs]
                outputs[level] = self.node(parts, f"cells.{cell}.nodes.{number}", sizes[level])
                maps.append(outputs[level])
            maps = [outputs[level] for level in range(self.levels)]
        assert self.read == set(self.state)
        return maps
