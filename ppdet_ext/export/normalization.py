"""Normalisation as part of the network: it then takes plain pixels."""

import contextlib

import numpy as np
import paddle

from ppdet_ext.nn import image_convolution

# The operator of infer_cfg.yml that leaves pixels as they are.
PLAIN_PIXELS = {"is_scale": False, "mean": [0.0, 0.0, 0.0], "norm_type": "none", "std": [1.0, 1.0, 1.0]}


class Normalization:
    """What the reader's `NormalizeImage` does: ``(pixels - mean) * scale``, channel by channel.

    Args:
        arguments (dict): of `NormalizeImage`: mean, std, is_scale, norm_type.
    """

    def __init__(self, arguments):
        scaled = arguments.get("is_scale", True)
        unit = 255.0 if scaled else 1.0
        mean, std = np.zeros(3), np.ones(3)
        if arguments.get("norm_type", "mean_std") == "mean_std":
            mean = np.asarray(arguments.get("mean", (0.485, 0.456, 0.406)), np.float64)
            std = np.asarray(arguments.get("std", (0.229, 0.224, 0.225)), np.float64)
        self.mean = (mean * unit).astype("float32")
        self.scale = 1.0 / (std * unit)

    @classmethod
    def of_reader(cls, reader):
        """That of a config's TestReader.

        Raises:
            ValueError: the reader has none.
        """
        for transform in reader["sample_transforms"]:
            if "NormalizeImage" in transform:
                return cls(transform["NormalizeImage"])
        raise ValueError("TestReader has no NormalizeImage: nothing is to be folded; leave the option out")

    def __call__(self, pixels):
        """pixels [B, 3, H, W] float32 to the network's input, in NumPy."""
        return ((pixels - self.mean[:, None, None]) * self.scale[:, None, None]).astype("float32")

    @contextlib.contextmanager
    def inside(self, graph):
        """Makes a graph take pixels, 0..255, within the context.

        The scale goes into the first convolution's kernel. The mean stays one subtraction before it: in the
        bias it would be wrong at the border, where the convolution pads with zeros.

        Args:
            graph (RawGraph): in evaluation mode.
        """
        conv = _first_conv(graph)
        kernel = conv.weight.numpy()
        folded = kernel.astype(np.float64) * self.scale[None, :, None, None]
        try:
            conv.weight.set_value(paddle.to_tensor(folded.astype(kernel.dtype)))
            if self.mean.any():
                graph.mean = paddle.to_tensor(self.mean.reshape(1, 3, 1, 1))
            yield graph
        finally:
            conv.weight.set_value(paddle.to_tensor(kernel))
            graph.mean = None


def _first_conv(graph):
    """The convolution that the image goes into."""
    conv = image_convolution(graph, graph)
    if conv is None or conv.weight.shape[1] != 3:
        raise ValueError(
            "the network does not begin with a convolution over the image's three channels; "
            "leave the normalisation outside"
        )
    return conv
