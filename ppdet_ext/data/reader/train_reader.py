"""The class that stands behind `TrainReader` in PaddleDetection's configs."""

import os
import sys

import numpy as np
from paddle.io import DistributedBatchSampler
from ppdet.core import workspace
from ppdet.data import reader
from ppdet.utils.logger import setup_logger

from ...nearest import nearest
from .closing import last_mosaic_epoch
from .image_cache import ImageCache
from .pipeline import Assembly, Operators
from .stream import Batches, Stream

logger = setup_logger("ppdet.data")

OPTIONS = """
    batch_size cache_mb close_mosaic_epochs collate_batch cutmix_epoch drop_last fast inputs_def mixup_epoch
    mosaic_epoch pre_img_epoch shuffle use_shared_memory
""".split()
TYPO = 0.8  # as of the config's own keys
SHARED_MEMORY = "/dev/shm"
# PaddleDetection's bound; a batch of 32 at 640 pixels has 157 MB, and every worker has some underway.
ENOUGH = 1 << 30


class TrainReader(reader.BaseDataLoader):
    """PaddleDetection's TrainReader with three options more; without them it is that one.

    Args:
        fast (bool): read with our operators in place of PaddleDetection's (`ppdet_ext.data.fast`: the same
            random draws, the same pixels), with workers that stay from epoch to epoch, and with random
            numbers that depend on the run's seed, the epoch and the image alone.
        cache_mb (int): with ``fast``, decoded images stay in memory, shared by the workers, up to so many MB
            of them (an image of 640 x 480 takes 0.9 MB): from the second epoch on, and in mosaics from the
            first, what is there is not decoded again. 0: none. In a training of several processes, each keeps
            as much.
        close_mosaic_epochs (int | None): Mosaic ends so many epochs before the run, though never more than a
            third of the run goes without. 30 if the reader lists MosaicMixUp; null leaves it to
            PaddleDetection's ``mosaic_epoch``, a number that does not follow ``epoch``.
        options: as PaddleDetection's TrainReader.

    Raises:
        ValueError: an option of no use; an operator refuses its own.
    """

    def __init__(
        self, sample_transforms=(), batch_transforms=(), fast=False, cache_mb=0, num_classes=80, **options
    ):
        if not isinstance(fast, bool):
            raise ValueError(f"TrainReader.fast is {fast!r}; give true or false")
        if isinstance(cache_mb, bool) or not isinstance(cache_mb, int) or cache_mb < 0:
            raise ValueError(f"TrainReader.cache_mb is {cache_mb!r}; give whole MB, or 0 for none")
        if cache_mb and not fast:
            raise ValueError("TrainReader.cache_mb needs fast: true; add it, or drop cache_mb")
        for name in options:  # PaddleDetection's reader takes any name, and reads on without it
            close = None if name in OPTIONS else nearest(name, OPTIONS, TYPO)
            if close:
                raise ValueError(f"TrainReader has no option '{name}'; did you mean '{close}'?")
        last = last_mosaic_epoch(options, sample_transforms, workspace.global_config.get("epoch"))
        if last is not None:
            options["mosaic_epoch"] = last
        self._fast, self._cache_mb = fast, cache_mb
        theirs = ([], []) if fast else (list(sample_transforms), list(batch_transforms))
        options = {"shuffle": True, "drop_last": True, **options}
        super().__init__(*theirs, num_classes=num_classes, **options)
        if fast:
            self._sample_transforms = Operators(sample_transforms, num_classes)
            operators = Operators(batch_transforms, num_classes)
            self._batch_transforms = Assembly(operators, options.get("collate_batch", True))

    def __call__(self, dataset, worker_num, batch_sampler=None, return_list=False):
        if not self._fast:
            return super().__call__(dataset, worker_num, batch_sampler, return_list)
        self.dataset = dataset
        dataset.check_or_download_dataset()
        dataset.parse_dataset()
        self.keep_images(dataset)
        dataset.set_transform(self._sample_transforms)
        dataset.set_kwargs(**self.kwargs)
        self._batch_sampler = batch_sampler or DistributedBatchSampler(
            dataset, batch_size=self.batch_size, shuffle=self.shuffle, drop_last=self.drop_last
        )
        self.dataloader = Stream(
            dataset,
            Batches(dataset, self._batch_transforms, seed=np.random.randint(1 << 31)),
            self._batch_sampler,
            workspace.global_config.get("epoch"),
            {
                "num_workers": worker_num,
                "return_list": return_list,
                "use_shared_memory": bool(worker_num and self.use_shared_memory and _room_in_shared_memory()),
            },
        )
        self.loader = iter(self.dataloader)
        return self

    def keep_images(self, dataset):
        """Lets the sample transforms read a parsed dataset's files through a cache, if there is to be one."""
        if self._cache_mb:
            files = (record["im_file"] for record in dataset.roidbs if "im_file" in record)
            self._sample_transforms.read_by(ImageCache(files, self._cache_mb).read)


def _room_in_shared_memory():
    if sys.platform in ("win32", "darwin") or not os.path.isdir(SHARED_MEMORY):
        return False
    state = os.statvfs(SHARED_MEMORY)
    free = state.f_bavail * state.f_frsize
    if free < ENOUGH:
        logger.warning(
            f"{SHARED_MEMORY} has {free >> 20} MB free of the {ENOUGH >> 20} that reading takes: workers "
            "send their batches through pipes, more slowly (docker run --shm-size=2g mends it)"
        )
    return free >= ENOUGH


def put_in_place():
    """Lets PaddleDetection's `create('TrainReader')` make ours; the workspace's schema stays as it is."""
    reader.TrainReader = TrainReader
