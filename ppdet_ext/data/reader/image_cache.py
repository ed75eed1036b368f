"""Decoded images that the workers of a reader share."""

import mmap
import multiprocessing

import numpy as np

from ...environment import memory
from ...runtime.image import read_image

MB = 1 << 20


class ImageCache:
    """Pixels of image files, decoded once and kept until the memory given is full.

    The processes that are forked from this one share what each of them reads. Nothing is thrown out: an epoch
    reads every image once, so that the one to go would be as good as any.

    Args:
        files (Iterable[str]): that may be asked for.
        megabytes (int): at most for pixels; an image takes 3 bytes a pixel. Memory is taken as it fills.

    Raises:
        ValueError: more memory than there is.
    """

    def __init__(self, files, megabytes):
        size = megabytes * MB
        if size > memory():
            raise ValueError(
                f"TrainReader.cache_mb {megabytes} is more than this machine's {memory() // MB} MB; give less"
            )
        self._numbers = {file: number for number, file in enumerate(dict.fromkeys(files))}
        count = len(self._numbers)
        self._pixels = np.frombuffer(mmap.mmap(-1, max(size, 1)), "uint8")
        # The end of what is taken, then each image's begin (-1: not kept), height and width.
        self._end = np.frombuffer(mmap.mmap(-1, 8), "int64")
        self._places = np.frombuffer(mmap.mmap(-1, max(count, 1) * 24), "int64").reshape(-1, 3)
        self._places[:, 0] = -1
        self._lock = multiprocessing.Lock()

    def read(self, path):
        """As :func:`ppdet_ext.runtime.image.read_image`; what is kept can't be written to.

        Args:
            path (str): of a file.

        Returns:
            numpy.ndarray: [H, W, 3] uint8 RGB.

        Raises:
            ValueError: see there.
        """
        number = self._numbers.get(path)
        if number is None:
            return read_image(path)
        with self._lock:
            begin, height, width = self._places[number].tolist()
        if begin < 0:
            image = read_image(path)
            self._keep(number, image)
            return image
        pixels = self._pixels[begin : begin + height * width * 3].reshape(height, width, 3)
        pixels.flags.writeable = False
        return pixels

    def _keep(self, number, image):
        with self._lock:
            begin = int(self._end[0])
            if begin + image.size > self._pixels.size:
                return
            self._end[0] += image.size
        self._pixels[begin : begin + image.size] = image.reshape(-1)
        with self._lock:  # of two workers that have read it at once, the later one's
            self._places[number] = begin, *image.shape[:2]
