"""The operators that a reader lists, in order, over a sample and over a batch."""

import numpy as np
from ppdet.data import transform
from ppdet.data.utils import default_collate_fn

from ..fast import OPERATORS, Lazy, Picture, settle
from ..file_decoder import FileDecoder

# PaddleDetection's that never look at the pixels: a picture may wait through them.
BLIND = ("BboxXYXY2XYWH", "PadBox", "PadGT", "PadRGT")
# What no model takes, as in PaddleDetection.
LEFT_BEHIND = ("h", "w", "flipped")


class ImageError(ValueError):
    """Of one image, which the message names."""


class Operators:
    """A reader's ``sample_transforms`` or ``batch_transforms``: PaddleDetection's by our faster ones.

    Args:
        listed (list[dict]): as YAML has them, [{name: options}, ...].
        num_classes (int): for operators that ask for it.
    """

    def __init__(self, listed, num_classes=80):
        self.operators = []
        for entry in listed:
            for name, options in entry.items():
                operator = OPERATORS.get(name, getattr(transform, name))(**(options or {}))
                if hasattr(operator, "num_classes"):
                    operator.num_classes = num_classes
                self.operators.append((name, operator))

    def read_by(self, read):
        """Lets the operators that open image files do so by ``read``, which takes a path."""
        for _, operator in self.operators:
            if isinstance(operator, FileDecoder):
                operator.read = read

    def __call__(self, samples):
        """A sample, or the list of those that make one (Mosaic) or a batch, through every operator.

        Raises:
            ImageError: a file that can't be read; ValueError: another one of an operator, with its name;
                RuntimeError for whatever else goes wrong in one.
        """
        for name, operator in self.operators:
            if not isinstance(operator, Lazy) and name not in BLIND:
                settle(samples)
            try:
                samples = operator(samples)
            except ValueError as error:
                text = str(error)
                if _names_its_file(text, samples):
                    raise ImageError(text) from error
                raise ValueError(text if text.startswith(name) else f"{name}: {text}") from error
            except Exception as error:
                raise RuntimeError(f"{name}: {type(error).__name__}: {error}") from error
        return samples


def _names_its_file(text, samples):
    samples = samples if isinstance(samples, list) else [samples]
    return any(text.startswith(sample["im_file"]) for sample in samples if "im_file" in sample)


class Assembly:
    """A list of samples to a batch, their pictures painted straight into it.

    Args:
        operators (Operators): a reader's ``batch_transforms``.
        together (bool): PaddleDetection's ``collate_batch``; without it boxes stay lists of arrays.
    """

    def __init__(self, operators, together=True):
        self._operators, self._together = operators, together

    def __call__(self, samples):
        """Returns a dict of arrays [B, ...]; image: [B, 3, H, W] float32."""
        samples = self._operators(samples)
        for sample in samples:
            for field in LEFT_BEHIND:
                sample.pop(field, None)
        images = _painted([sample["image"] for sample in samples])
        if images is None:
            settle(samples)
        else:
            for sample in samples:
                del sample["image"]
        if self._together:
            batch = default_collate_fn(samples)
        else:
            batch = {}
            for field in samples[0]:
                values = [sample[field] for sample in samples]
                apart = "gt_" in field or field in ("is_crowd", "difficult")
                batch[field] = values if apart else np.stack(values)
        if images is not None:
            batch["image"] = images
        return batch


def _painted(pictures):
    """[B, 3, H, W] float32, or None where these are no pictures of one size with their channels first."""
    if not all(isinstance(p, Picture) and p.shape == pictures[0].shape for p in pictures):
        return None
    if pictures[0].shape[0] != 3:
        return None
    images = np.empty([len(pictures), *pictures[0].shape], "float32")
    for picture, image in zip(pictures, images):
        picture.paint(image)
    return images
