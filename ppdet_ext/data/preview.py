"""Training samples to look at, as the network is about to get them."""

import numpy as np
from ppdet.core.workspace import create

from ..runtime.detections import Detections
from .fast import settle
from .reader.pipeline import Operators
from .reader.stream import Batches

# What takes a sample from pixels and boxes to the network's numbers.
TO_NUMBERS = ("NormalizeImage", "Permute", "PadGT", "PadRGT")


def augmented_pictures(cfg, count=16, epoch=0, seed=0):
    """Reads the first images of a config's training set through its TrainReader, normalisation left out.

    Args:
        cfg: from :func:`ppdet_ext.config.load_config`.
        count (int): so many at most.
        epoch (int): the one to read for: Mosaic ends at some.
        seed (int): another one, other images and other random changes.

    Yields:
        tuple(ndarray, Detections): [H, W, 3] uint8 RGB, and its boxes in pixels of it, with scores of 1;
        `source` is the number of the image.

    Raises:
        ValueError: an image that can't be read, or a reader or a dataset that can't be made.
    """
    stages = ("sample_transforms", "batch_transforms")
    sample_steps, batch_steps = (
        [step for step in cfg.TrainReader.get(stage) or [] if not any(name in step for name in TO_NUMBERS)]
        for stage in stages
    )
    dataset = create("TrainDataset")()
    dataset.check_or_download_dataset()
    dataset.parse_dataset()
    dataset.set_kwargs(**create("TrainReader").kwargs)
    dataset.set_transform(Operators(sample_steps, cfg.num_classes))
    batches = Batches(dataset, Operators(batch_steps, cfg.num_classes), seed)
    names = _names(dataset, cfg.num_classes)
    order = np.random.RandomState(seed).permutation(len(dataset))[:count]
    for step, number in enumerate(order):
        (sample,) = settle(batches[(epoch, step, [int(number)])])
        labels = sample["gt_class"].ravel().astype(int)
        boxes = Detections(sample["gt_bbox"], np.ones(len(labels)), labels, names, str(int(number)))
        yield np.clip(sample["image"], 0, 255).round().astype("uint8"), boxes


def _names(dataset, count):
    """Class names where the dataset knows them, else numbers."""
    known = {label: name for name, label in (getattr(dataset, "cname2cid", None) or {}).items()}
    return [known.get(label, f"class {label}") for label in range(count)]
