"""The images that activations are measured on."""

import hashlib
import os
from pathlib import Path

from ppdet_ext.evaluation.coco import image_files, load_annotations
from ppdet_ext.runtime.config import InferConfig
from ppdet_ext.runtime.image import find_images, read_image
from ppdet_ext.runtime.preprocess import Preprocess

# With fewer, a range depends on which images they happen to be.
FEW = 32


def find_calibration_images(source, count, image_dir=None):
    """Image files to calibrate on, evenly spread over a folder or a dataset.

    Args:
        source (str): a folder of images, or a COCO instances JSON.
        count (int): so many at most.
        image_dir (str | None): folder that the JSON's file names are relative to; by default its own.

    Returns:
        list[Path]: at least one.

    Raises:
        ValueError: there is no such folder or file, no image in it, or images of the JSON are missing.
    """
    if count < 1:
        raise ValueError(f"--images is {count}; give a whole number from 1 up")
    if os.path.isfile(source) and source.lower().endswith(".json"):
        files = image_files(load_annotations(source), image_dir or os.path.dirname(source), source)
    else:
        files = [Path(file) for file, _ in find_images([source])]
    return [files[i * len(files) // count] for i in range(count)] if count < len(files) else files


def calibration_warnings(files, evaluated):
    """What is doubtful about a choice of images.

    Args:
        files (list[Path]): of :func:`find_calibration_images`.
        evaluated (iterable): image files of the evaluation set; it may be empty.

    Returns:
        list[str]: one line each.
    """
    warnings = []
    if len(files) < FEW:
        warnings.append(
            f"only {len(files)} calibration images: ranges depend on which they are; give {FEW} or more, "
            "such as the training set"
        )
    shared = _shared(files, evaluated)
    if shared:
        whole = "all" if shared == len(files) else f"{shared} of {len(files)}"
        warnings.append(
            f"{whole} calibration images are in the evaluation set, whose AP then flatters the model; "
            "calibrate on training images"
        )
    return warnings


def _shared(files, evaluated):
    """How many files have the content of one of the others."""
    by_size = {}
    for file in evaluated:
        if os.path.isfile(file):
            by_size.setdefault(os.path.getsize(file), []).append(file)
    digests = {}
    return sum(
        _digest(file) in {digests.setdefault(other, _digest(other)) for other in by_size[size]}
        for file in files
        if (size := os.path.getsize(file)) in by_size
    )


def _digest(file):
    return hashlib.sha256(Path(file).read_bytes()).digest()


class CalibrationImages:
    """Images as the network gets them, read when asked for.

    Args:
        files (list): image files.
        folder (str): with the `infer_cfg.yml` that says how they are prepared.

    Raises:
        ValueError: `infer_cfg.yml` gives images of many sizes.
    """

    def __init__(self, files, folder):
        self.files = list(files)
        config = InferConfig.load(folder)
        self._preprocess = Preprocess(config.preprocess, config.file)
        if self._preprocess.shape is None:
            raise ValueError(
                f"{config.file}: gives images of many sizes, and calibration takes one; set keep_ratio: "
                "false in TestReader's Resize"
            )

    def __len__(self):
        return len(self.files)

    def __getitem__(self, index):
        """[3, H, W] float32 for a number; for a slice, the same kind of sequence."""
        if isinstance(index, slice):
            part = object.__new__(CalibrationImages)
            part.files, part._preprocess = self.files[index], self._preprocess
            return part
        return self._preprocess(read_image(self.files[index])).pixels

    def __iter__(self):
        return (self[i] for i in range(len(self)))
