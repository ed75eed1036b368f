"""What a Detector does with an image, in the three steps that a Pipeline runs side by side."""

import os
from typing import Any, NamedTuple, Optional

import numpy as np

from .detections import Detections
from .image import as_image, read_image
from .operators import NetworkImage
from .streams import Frame


class Result(NamedTuple):
    """What became of one image.

    Args:
        item: what was given: a path, an array, a `Frame`.
        image (numpy.ndarray | None): [H, W, 3] uint8 RGB; None where it was not read or is not wanted.
        detections (Detections | None): None where `error` is not.
        error (Exception | None): why there are none.
    """

    item: Any
    image: Optional[np.ndarray]
    detections: Optional[Detections]
    error: Optional[Exception]


class Prepared(NamedTuple):
    """An image that is ready for the network.

    Args:
        image (numpy.ndarray | None): as of `Result`.
        source (str | None): the file it came from.
        network_image (NetworkImage): what goes in.
    """

    image: Optional[np.ndarray]
    source: Optional[str]
    network_image: NetworkImage


class Work:
    """The steps for one run of a Detector.

    Args:
        detector (Detector): with `preprocess`, `backend`, `postprocess` and `batch_size`.
        lock: a lock around the backend, whose session takes one batch at a time.
        score_threshold (float | None): as of `Detector.predict`.
        keep_images (bool): whether Results hold their images.
    """

    def __init__(self, detector, lock, score_threshold, keep_images):
        self.detector = detector
        self.lock = lock
        self.score_threshold = score_threshold
        self.keep_images = keep_images

    def prepare(self, item, number, row):
        """Read and preprocess.

        Args:
            item: a path, an array or a Frame.
            number (int): what an error calls an array by.
            row (numpy.ndarray | None): [3, H, W] float32, where the network takes its input from.

        Returns:
            Prepared

        Raises:
            ValueError: the image cannot be read, or loses a side when resized.
        """
        source = None
        if isinstance(item, Frame):
            if item.error is not None:
                raise item.error
            number, item = f"{item.number} of source {item.source}", item.image
        if isinstance(item, (str, os.PathLike)):
            source = os.fspath(item)
            image = read_image(item)
        else:
            image = as_image(item, f"image {number}")
        network_image = self.detector.preprocess(image, row)
        return Prepared(image if self.keep_images else None, source, network_image)

    def run(self, batch):
        """The network, on a Batch whose images are all prepared or have failed."""
        images = [None if each.exception() else each.result().network_image for each in batch.prepared]
        if any(image is not None for image in images):
            with self.lock:
                batch.outputs = batch.slot.run(self.detector.backend, images, self.detector.batch_size)

    def finish(self, batch):
        """Results of a Batch after the network, one an item, in order."""
        good = [each.result() for each in batch.prepared if each.exception() is None]
        found = iter(())
        if good:
            images = [each.network_image for each in good]
            sources = [each.source for each in good]
            found = iter(self.detector.postprocess(*batch.outputs, images, self.score_threshold, sources))
        return [
            Result(item, None, None, each.exception())
            if each.exception()
            else Result(item, each.result().image, next(found), None)
            for item, each in zip(batch.items, batch.prepared)
        ]
