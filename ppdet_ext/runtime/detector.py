"""The one object a user of an exported model needs."""

import os

import numpy as np

from .backends import create_backend
from .config import InferConfig
from .image import as_image, read_image
from .postprocess import Postprocess
from .preprocess import Preprocess, stack


class Detector:
    """An exported model, ready to run: image -> preprocess -> backend -> NMS -> Detections.

    Args:
        folder (str | Path): the exported folder, with `infer_cfg.yml` and the backend's model file.
        backend (str): 'onnxruntime', 'paddle_inference' or another of `runtime.backends.BACKENDS`.
        threads (int | None): CPU threads of the engine, None for its own choice.

    Raises:
        ValueError: the folder is not an exported one, or the backend is unknown, not installed or cannot
            load it.
    """

    def __init__(self, folder, backend="onnxruntime", threads=None):
        config = InferConfig.load(folder)
        self.folder = os.fspath(folder)
        self.names = config.names
        self.batch_size = config.batch_size
        self.backend_name = backend
        self.preprocess = Preprocess(config.preprocess, config.file)
        self.postprocess = Postprocess(config.nms, config.names, config.file)
        self.backend = create_backend(backend, folder, threads)

    def predict(self, images, batch_size=8, score_threshold=None):
        """Detect in one image or in many.

        Args:
            images: a path, an array, or an iterable of these. Arrays are [H, W, 3] uint8 RGB.
            batch_size (int): images a run of the engine; a model exported for one batch size keeps to it.
            score_threshold (float | None): least score; None for the model's own, low one.

        Returns:
            list: one Detections an image, in the order given; also for a single image.

        Raises:
            ValueError: an image cannot be read; names the file, or its number for an array.
        """
        return list(self.stream(images, batch_size, score_threshold))

    def stream(self, images, batch_size=8, score_threshold=None):
        """As `predict`, but a generator that holds one batch at a time: for videos and large folders."""
        if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
            raise ValueError(f"batch_size is {batch_size!r}; give a whole number from 1 up")
        batch_size = self.batch_size or batch_size
        if isinstance(images, (str, os.PathLike)) or isinstance(images, np.ndarray) and images.ndim < 4:
            images = [images]
        batch, sources = [], []
        for number, item in enumerate(images):
            if isinstance(item, (str, os.PathLike)):
                batch.append(self.preprocess(read_image(item)))
                sources.append(os.fspath(item))
            else:
                batch.append(self.preprocess(as_image(item, f"image {number}")))
                sources.append(None)
            if len(batch) == batch_size:
                yield from self._run(batch, sources, score_threshold)
                batch, sources = [], []
        if batch:
            yield from self._run(batch, sources, score_threshold)

    def _run(self, batch, sources, score_threshold):
        images = stack(batch)
        if self.batch_size and len(batch) < self.batch_size:
            # The last images of a model with a fixed batch: the first one again in the empty places.
            images = np.concatenate([images, np.repeat(images[:1], self.batch_size - len(batch), axis=0)])
        boxes, scores = (output[: len(batch)] for output in self.backend.run(images))
        return self.postprocess(boxes, scores, batch, score_threshold, sources)
