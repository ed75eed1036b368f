"""The batches of a run in one stream: workers that live as long as it does and know what they read for."""

import copy
import random
import weakref

import cv2
import numpy as np
from paddle.io import DataLoader, Dataset, get_worker_info

from ...data_loader import stop_reading
from .pipeline import ImageError

FOREVER = 1 << 31
# Told apart from images' seeds, which are (seed, epoch, image).
BATCH = 1 << 31


class Batches(Dataset):
    """A dataset whose items are whole batches.

    Every image is read with random numbers of its own, from the run's seed, the epoch and the image, and so
    every batch is put together: what a run reads does not depend on the number of workers, and a resumed run
    reads on as if nothing had happened.

    Args:
        dataset (ppdet.data.source.dataset.DetDataset): with its sample transforms set.
        assemble (callable): a list of samples to a batch.
        seed (int): of the run.
    """

    def __init__(self, dataset, assemble, seed):
        super().__init__()
        self._dataset = copy.copy(dataset)  # its epoch is the one being read, not the one being trained
        self._assemble = assemble
        self.seed = seed

    def __getitem__(self, key):
        """``key``: (epoch, step, images' numbers).

        Raises:
            ValueError: an image that can't be read, named; RuntimeError for what else goes wrong.
        """
        epoch, step, numbers = key
        state = None
        if get_worker_info() is None:  # in the main process, whose random numbers are not ours
            state = np.random.get_state(), random.getstate()
        try:
            self._dataset.set_epoch(epoch)
            samples = [self._read(epoch, number) for number in numbers]
            _seed(self.seed, epoch, BATCH + step)
            return self._assemble(samples)
        finally:
            if state is not None:
                np.random.set_state(state[0])
                random.setstate(state[1])

    def _read(self, epoch, number):
        _seed(self.seed, epoch, number)
        try:
            return self._dataset[number]
        except ImageError:  # perhaps of another image that a mosaic takes
            raise
        except (ValueError, RuntimeError) as error:
            records = self._dataset.roidbs
            kind = RuntimeError if isinstance(error, RuntimeError) else ValueError
            raise kind(f"{records[number % len(records)].get('im_file')}: {error}") from error


def _seed(*numbers):
    np.random.seed(numbers)
    random.seed(hash(numbers))  # of whole numbers: the same in every process


class _Steps:
    """What a DataLoader takes for a batch sampler: the keys of all batches from an epoch to the last one."""

    def __init__(self, sampler, first, end):
        self._sampler, self._first, self._end = sampler, first, end

    def __len__(self):
        return len(self._sampler) * (self._end - self._first)

    def __iter__(self):
        for epoch in range(self._first, self._end):
            sampler = copy.copy(self._sampler)
            if hasattr(sampler, "set_epoch"):
                sampler.set_epoch(epoch)
            for step, numbers in enumerate(sampler):
                yield [(epoch, step, numbers)]


class Stream:
    """Iterates over one epoch at a time, the dataset's current one, while workers read on into the next.

    Args:
        dataset (DetDataset): asked for the epoch.
        batches (Batches): reads.
        sampler (paddle.io.BatchSampler): the images' numbers, batch by batch.
        epochs (int | None): of the run: beyond the last one nothing is read. None: unknown, read on.
        options (dict): of paddle.io.DataLoader.
    """

    def __init__(self, dataset, batches, sampler, epochs, options):
        self._dataset, self._batches, self._sampler = dataset, batches, sampler
        self._epochs, self._options = epochs, options
        # Without workers a thread reads, by the process's random numbers: between epochs these are others'.
        self._ahead = options["num_workers"] > 0
        self._next = None
        self._reading = []  # the one iterator
        # Ends it as the one who holds it last: the garbage collector, which may find a trainer and its reader
        # as one cycle, would close the queues to the workers first and then wait for these forever.
        weakref.finalize(self, _end, self._reading)

    def __len__(self):
        return len(self._sampler)

    def __iter__(self):
        epoch = self._dataset._epoch
        if self._next != (epoch, 0):
            self._start(epoch)
        for step in range(len(self)):
            batch = next(self._reading[0])
            self._next = (epoch, step + 1) if step + 1 < len(self) or not self._ahead else (epoch + 1, 0)
            yield batch

    def close(self):
        """Ends the workers; they begin anew when an epoch is asked for."""
        _end(self._reading)
        self._next = None

    def restart(self, seed):
        """Begins the dataset's epoch anew when it is asked for, with the random numbers of a seed."""
        self.close()
        self._batches.seed = seed

    def _start(self, epoch):
        self.close()  # an epoch was left half read
        end = max(self._epochs or FOREVER, epoch + 1) if self._ahead else epoch + 1
        loader = DataLoader(
            dataset=self._batches,
            batch_sampler=_Steps(self._sampler, epoch, end),
            collate_fn=_only,
            worker_init_fn=_one_thread,
            **self._options,
        )
        self._reading.append(iter(loader))


def _end(iterators):
    for iterator in iterators:
        stop_reading(iterator)
    iterators.clear()


def _only(items):
    return items[0]


def _one_thread(worker):
    cv2.setNumThreads(0)  # workers are as many as the user wants cores busy
