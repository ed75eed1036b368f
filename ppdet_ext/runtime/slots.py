"""The arrays of a batch, allocated once and used again: the network's input, and what it gives."""

import threading

import numpy as np

from .preprocess import stack


class Slot:
    """Room for one batch.

    Args:
        size (int): images that fit.
        shape (tuple | None): [3, H, W] of an image, None where images differ: then they are stacked anew.
    """

    def __init__(self, size, shape):
        self.size = size
        self.shape = shape
        # Zeros, not whatever memory holds: a row whose image cannot be read goes through the network, too.
        self.images = None if shape is None else np.zeros((size, *shape), np.float32)
        self._outputs, self._outputs_of = None, None

    def row(self, number):
        """[3, H, W] float32, the place of an image; None where images differ in shape."""
        return None if self.images is None else self.images[number]

    def run(self, backend, prepared, fixed_size=None):
        """Run the network on what stands in the rows.

        Args:
            backend: as in `runtime.backends`.
            prepared (list): a NetworkImage, or None for an image that failed, of each row from the first on;
                not all None.
            fixed_size (int | None): the one batch size that the model takes.

        Returns:
            tuple: boxes [N, L, 4] float32 xyxy, network pixels, and scores [N, C, L] float32, of the N images
            that did not fail; valid until the next run.

        Raises:
            ValueError: the model takes another size.
        """
        good = [number for number, image in enumerate(prepared) if image is not None]
        if self.images is not None:
            images, rows = self.images[: len(prepared)], good
        else:
            images, rows = stack([prepared[number] for number in good]), list(range(len(good)))
        if fixed_size is not None and len(images) < fixed_size:
            images = self._fill(images, fixed_size)
        outputs = self._run(backend, images)
        if rows == list(range(len(rows))):
            return tuple(output[: len(rows)] for output in outputs)
        return tuple(output[rows] for output in outputs)

    def _fill(self, images, count):
        """The last images of a model with a fixed batch: the first one again in the empty places."""
        if self.images is None:
            return np.concatenate([images, np.repeat(images[:1], count - len(images), axis=0)])
        self.images[len(images) : count] = images[:1]
        return self.images[:count]

    def _run(self, backend, images):
        """Write into the arrays of an earlier run where images were as large and at least as many."""
        count = len(images)
        if self._outputs_of == images.shape[1:] and count <= len(self._outputs[0]):
            return backend.run(images, tuple(output[:count] for output in self._outputs))
        self._outputs, self._outputs_of = backend.run(images), images.shape[1:]
        return self._outputs


class SlotStore:
    """Slots that no run uses at the moment, kept for the next one; safe to use from several threads.

    It keeps those for a single image, and those of the batch size asked for last.

    Args:
        make (callable): makes one, of a size and a shape, as `Slot` does.
    """

    def __init__(self, make=Slot):
        self._make = make
        self._lock = threading.Lock()
        self._slots = []

    def take(self, count, size, shape):
        """`count` Slots for `size` images of `shape`, kept ones first."""
        with self._lock:
            fit = [slot for slot in self._slots if (slot.size, slot.shape) == (size, shape)]
            self._slots = [slot for slot in self._slots if slot.shape == shape and slot.size in (1, size)]
            for slot in fit[:count]:
                self._slots.remove(slot)
        return fit[:count] + [self._make(size, shape) for _ in range(count - len(fit))]

    def give(self, slots):
        """Keep Slots whose run is over."""
        with self._lock:
            self._slots.extend(slots)
