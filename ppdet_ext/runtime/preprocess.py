"""Preprocessing as `infer_cfg.yml` describes it: from a picture to the network's input."""

import cv2
import numpy as np

from .operators import OPERATORS, NetworkImage, NormalizeImage, Permute


class Preprocess:
    """The list of operators of an `infer_cfg.yml`.

    Args:
        entries (list): dicts with 'type' and the operator's arguments.
        source (str): the file they come from, for errors.

    Attributes:
        shape (tuple | None): [3, H, W] of every result, None where it depends on the image.

    Raises:
        ValueError: an operator or one of its arguments is not known, or `Permute` is missing.
    """

    def __init__(self, entries, source="infer_cfg.yml"):
        self.source = source
        operators = [self._build(entry) for entry in entries]
        if not any(isinstance(operator, Permute) for operator in operators):
            raise ValueError(f"{source}: Preprocess has no Permute; the network takes [3, height, width]")
        size = None
        for operator in operators:
            size = operator.output_size(size)
        self.shape = None if size is None else (3, *size)
        self.operators = [operator for operator in operators if not isinstance(operator, Permute)]
        # A normalisation at the end is a look-up from uint8 straight into the network's input.
        self.normalise = None
        if self.operators and isinstance(self.operators[-1], NormalizeImage):
            self.normalise = self.operators.pop()
        self.tables = self.normalise and self.normalise.planes()

    def _build(self, entry):
        if not isinstance(entry, dict) or entry.get("type") not in OPERATORS:
            found = entry.get("type") if isinstance(entry, dict) else entry
            raise ValueError(
                f"{self.source}: Preprocess operator {found!r} is not known; known are {', '.join(OPERATORS)}"
            )
        arguments = {key: value for key, value in entry.items() if key != "type"}
        try:
            return OPERATORS[entry["type"]](**arguments)
        except (TypeError, ValueError) as error:
            reason = str(error).replace(f"{entry['type']}.__init__() ", "")
            raise ValueError(f"{self.source}: Preprocess operator {entry['type']}: {reason}") from None

    def __call__(self, image, out=None):
        """Prepare one image.

        Args:
            image (numpy.ndarray): [H, W, 3] uint8 RGB; stays as it is.
            out (numpy.ndarray | None): C-contiguous float32 of `shape`, the place for the pixels; by default
                a new array.

        Returns:
            NetworkImage: pixels [3, H', W'] float32, `out` itself where one is given.

        Raises:
            ValueError: the image is too slim to be resized, or does not fit; or `out` does not.
        """
        height, width = image.shape[:2]
        prepared = NetworkImage(
            image, np.array([height, width], np.float32), np.ones(2, np.float32), np.zeros(2, np.float32)
        )
        try:
            for operator in self.operators:
                prepared = operator(prepared)
        except cv2.error:
            raise ValueError(
                f"{self.source}: an image of {width}x{height} px loses a side when resized; "
                f"crop it to a less extreme shape"
            ) from None
        return prepared._replace(pixels=self._write(prepared, out))

    def _write(self, prepared, out):
        """Normalise where that is left to do, and move HWC pixels to CHW in `out`."""
        shape = (3, *prepared.pixels.shape[:2])
        if out is None:
            out = np.empty(shape, np.float32)
        elif out.shape != shape or out.dtype != np.float32 or not out.flags.c_contiguous:
            raise ValueError(
                f"{self.source}: out is {out.dtype} {list(out.shape)}; "
                f"give C-contiguous float32 {list(shape)}"
            )
        if prepared.pixels.dtype != np.uint8:
            if self.normalise:
                prepared = self.normalise(prepared)
            cv2.split(prepared.pixels, list(out))
            return out
        for number, plane in enumerate(cv2.split(prepared.pixels)):
            if self.tables is None:
                np.copyto(out[number], plane)
            else:
                cv2.LUT(plane, self.tables[number], out[number])
        return out


def stack(images):
    """Pixels of NetworkImages as one batch [B, 3, H, W] float32.

    Smaller ones are padded with zeros at the right and at the bottom, as PaddleDetection's `PadBatch` does.
    """
    height, width = np.max([image.pixels.shape[1:] for image in images], 0)
    batch = np.zeros((len(images), 3, height, width), np.float32)
    for row, image in zip(batch, images):
        row[:, : image.pixels.shape[1], : image.pixels.shape[2]] = image.pixels
    return batch
