"""One row of `ppdet-ext bench`: an exported folder in one engine, timed step by step in a worker."""

import time
from pathlib import Path

import cv2
import numpy as np

from ppdet_ext.runtime import Detector
from ppdet_ext.runtime.backends import BACKENDS
from ppdet_ext.runtime.config import InferConfig
from ppdet_ext.runtime.image import read_image
from ppdet_ext.runtime.manifest import load_manifest, precision_of
from ppdet_ext.runtime.preprocess import Preprocess
from ppdet_ext.runtime.slots import Slot
from ppdet_ext.versions import package_version

from .sizes import at_size

# Where a format keeps its weights beside the file that a backend names.
WEIGHTS = {".pdmodel": ".pdiparams", ".json": ".pdiparams", ".xml": ".bin"}


class FolderCase:
    """A case of `worker`: decode, pre-process, run the network, post-process, each timed; the steps of
    a Detector, one after the other.

    Args:
        folder (str): the exported folder.
        backend (str): a runtime backend.
        threads (int): CPU threads of the engine and of OpenCV.
        batch (int): images a step.
        images (list): files; the steps go through them in turn.
        size (int | None): side of the network's input in pixels; None for the folder's own.
        device (str | None): 'cpu' or 'gpu'; None for the engine's own.

    Raises:
        ValueError: as `Detector`, or the model is made for another batch size.
    """

    def __init__(self, folder, backend, threads, batch, images, size=None, device=None):
        cv2.setNumThreads(threads)
        self.folder, self.name, self.batch, self.images = folder, backend, batch, images
        self.detector = Detector(folder, backend, threads, device)
        if self.detector.batch_size not in (None, batch):
            fixed = self.detector.batch_size
            raise ValueError(f"{folder}: takes batches of {fixed} only; measure it with --batch {fixed}")
        if size is not None:
            config = InferConfig.load(folder)
            self.detector.preprocess = Preprocess(at_size(config.preprocess, size), config.file)
        self.slot = Slot(batch, self.detector.preprocess.shape)

    def step(self, number):
        """One batch from the files to detections: seconds of 'decode', 'pre', 'network', 'post'."""
        first = number * self.batch
        files = [self.images[(first + at) % len(self.images)] for at in range(self.batch)]
        detector, times = self.detector, [time.perf_counter()]
        pictures = [read_image(file) for file in files]
        times.append(time.perf_counter())
        prepared = [detector.preprocess(picture, self.slot.row(at)) for at, picture in enumerate(pictures)]
        times.append(time.perf_counter())
        outputs = self.slot.run(detector.backend, prepared, detector.batch_size)
        times.append(time.perf_counter())
        self.found = detector.postprocess(*outputs, prepared)
        times.append(time.perf_counter())
        self.size = list(prepared[0].pixels.shape[1:])
        return dict(zip(("decode", "pre", "network", "post"), np.diff(times).tolist()))

    def info(self):
        """Engine and version, model files with their size and precision, the input's size, boxes found."""
        package = BACKENDS[self.name][0]
        files = model_files(self.detector.backend)
        return {
            "engine": f"{package} {package_version(package) or ''}".strip(),
            "precision": precision_of(load_manifest(self.folder), files[0].name, "unknown"),
            "model_files": [file.name for file in files],
            "model_mib": round(sum(file.stat().st_size for file in files) / 2**20, 2),
            "size": self.size,
            "detections": float(np.mean([len(found) for found in self.found])),
        }


def model_files(backend):
    """The files that a backend loaded: the one it names, and its weights where they stand beside it."""
    file = Path(backend.file)
    weights = file.with_suffix(WEIGHTS.get(file.suffix, file.suffix))
    return [file] if weights == file or not weights.is_file() else [file, weights]
