"""The one object a user of an exported model needs."""

import os
import threading
from contextlib import closing

import numpy as np

from .backends import NMS, RAW, create_backend
from .config import InferConfig
from .nms import NMS as Suppression
from .pipeline import Pipeline, run_one
from .postprocess import InGraphPostprocess, Postprocess
from .preprocess import Preprocess
from .slots import Slot, SlotStore
from .streams import Merged
from .tta import TTA
from .tta.postprocess import ViewsPostprocess
from .tta.preprocess import ViewSlots, ViewsPreprocess
from .work import Work

# Batches on their way: one being read, one in the network, one after it, one in the caller's hands. With live
# sources one less, as every batch on its way is delay.
SLOTS = 4
LIVE_SLOTS = 3


class Detector:
    """An exported model, ready to run: image -> preprocess -> backend -> NMS -> Detections.

    One Detector may be used from several threads; the network then runs for one of them at a time.

    Args:
        folder (str | Path): the exported folder, with `infer_cfg.yml` and the backend's model file.
        backend (str): 'onnxruntime', 'paddle_inference' or another of `runtime.backends.BACKENDS`.
        threads (int | None): CPU threads of the engine, None for its own choice.
        device (str | None): 'cpu' or 'gpu', None for the engine's own: the GPU for TensorRT, else the CPU.
        tta (TTA | str | dict | None): test-time augmentation: 'flip,0.75,1.25', or as `TTA.of` takes it. An
            image goes through the network once a view.

    Raises:
        ValueError: the folder is not an exported one, or the backend is unknown, not installed, does not run
            on the device or cannot load the model; or the model does not take the scales of `tta`.
    """

    def __init__(self, folder, backend="onnxruntime", threads=None, device=None, tta=None):
        config = InferConfig.load(folder)
        self.folder = os.fspath(folder)
        self.names = config.names
        self.batch_size = config.batch_size
        self.backend_name = backend
        self.tta = TTA.of(tta, "tta")
        postprocess = InGraphPostprocess if config.nms_inside else Postprocess
        self.postprocess = postprocess(config.nms, config.names, config.file)
        if self.tta is None:
            self.preprocess = Preprocess(config.preprocess, config.file)
        else:
            self.preprocess = ViewsPreprocess(config, self.tta)
            nms = Suppression(config.nms, config.file)
            self.postprocess = ViewsPostprocess(self.postprocess, nms, self.tta)
        self.backend = create_backend(backend, folder, threads, device, NMS if config.nms_inside else RAW)
        self._store = SlotStore(Slot if self.tta is None else ViewSlots)
        self._lock = threading.Lock()

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
        """As `predict`, but a generator: for videos, cameras and large folders.

        Reading, the network and post-processing overlap. Up to four batches are on their way, so `images` may
        be endless. An exception of an image, or of `images` itself, comes at its place in the order. Closing
        the generator ends the threads, and closes `images` if it is a generator or has a `close`.
        """
        with closing(self._results(images, batch_size, score_threshold, keep_images=False)) as results:
            for result in results:
                if result.error is not None:
                    raise result.error
                yield result.detections

    def results(self, images, batch_size=8, score_threshold=None, stop=None):
        """As `stream`, but a `Result` an image, with the image itself.

        It goes on after an image that cannot be read: its Result holds the ValueError. Once `stop`, a
        threading.Event, is set, nothing more is read, and it ends after the batch in the network.
        """
        with closing(self._results(images, batch_size, score_threshold, stop)) as results:
            for result in results:
                if result.error is not None and not isinstance(result.error, ValueError):
                    raise result.error
                yield result

    def streams(self, sources, batch_size=8, score_threshold=None, latest=False, on_error=None, stop=None):
        """Detect in several sources at once, such as the cameras of a building.

        Each source is read in a thread of its own. What has arrived goes through the network together, and no
        full batch is waited for, so slow sources do not hold up fast ones. A source that ends or fails does
        so alone; it fails, too, with a frame that is no image.

        Args:
            sources (list): iterables of images as `predict` takes them.
            batch_size (int): images a run of the engine at most.
            score_threshold (float | None): as in `predict`.
            latest (bool): for live sources: of the frames that arrive while the network is busy, only the
                last one of a source is kept, so delay does not grow. Otherwise the source waits.
            on_error (callable | None): called as (number of the source, exception) when a source fails, after
                its last Detections, from this generator. Without it the first such exception is raised when
                all sources are over.
            stop (threading.Event | None): as in `results`.

        Yields:
            tuple: number of the source (int), frame [H, W, 3] uint8 RGB, Detections; each source in order.
        """
        merged, slots = Merged(sources, latest), LIVE_SLOTS if latest else SLOTS
        failed, first = set(), None
        with closing(self._results(merged, batch_size, score_threshold, stop, slots=slots)) as results:
            for item, image, detections, error in results:
                if item.source in failed:
                    continue
                if error is None:
                    yield item.source, image, detections
                    continue
                failed.add(item.source)
                merged.end(item.source)
                if on_error is not None:
                    on_error(item.source, error)
                else:
                    first = first or error
        if first is not None:
            raise first

    def _results(self, images, batch_size, score_threshold, stop=None, keep_images=True, slots=SLOTS):
        """Generator of a Result an image, with whatever error an image met; see `stream`."""
        if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
            raise ValueError(f"batch_size is {batch_size!r}; give a whole number from 1 up")
        work = Work(self, self._lock, score_threshold, keep_images)
        if isinstance(images, (str, os.PathLike)) or isinstance(images, np.ndarray) and images.ndim < 4:
            images = [images]
        if isinstance(images, (list, tuple)) and len(images) == 1:
            # The common call; threads would only add to its time.
            (slot,) = self._store.take(1, self.batch_size or 1, self.preprocess.shape)
            yield run_one(images[0], slot, work)
            self._store.give([slot])
            return
        taken = self._store.take(slots, self.batch_size or batch_size, self.preprocess.shape)
        pipeline = Pipeline(images, taken, work, stop)
        try:
            yield from pipeline.results()
        finally:
            if not pipeline.stuck:
                self._store.give(taken)
