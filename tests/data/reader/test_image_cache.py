"""Decoded images that processes share."""

import multiprocessing

import cv2
import numpy as np
import pytest

from ppdet_ext.data.reader import image_cache
from ppdet_ext.data.reader.image_cache import MB, ImageCache
from ppdet_ext.runtime.image import read_image


@pytest.fixture
def files(tmp_path):
    rng = np.random.RandomState(0)
    paths = [str(tmp_path / f"{number}.png") for number in range(3)]
    for number, path in enumerate(paths):
        cv2.imwrite(path, rng.randint(0, 256, [400 + number, 500, 3], "uint8"))  # 0.57 MB and more
    return paths


def is_kept(cache, path):
    return not cache.read(path).flags.writeable


def test_pixels_are_those_of_the_file(files):
    cache = ImageCache(files, 2)
    for _ in range(2):
        for path in files:
            np.testing.assert_array_equal(cache.read(path), read_image(path))


def test_what_another_process_has_read_is_there(files, monkeypatch):
    cache = ImageCache(files, 2)
    process = multiprocessing.get_context("fork").Process(target=cache.read, args=(files[1],))
    process.start()
    process.join()
    expected = read_image(files[1])
    monkeypatch.setattr(image_cache, "read_image", lambda path: pytest.fail(f"{path} is decoded again"))
    np.testing.assert_array_equal(cache.read(files[1]), expected)


def test_a_full_cache_reads_on(files):
    cache = ImageCache(files, 1)
    for _ in range(2):
        for path in files:
            np.testing.assert_array_equal(cache.read(path), read_image(path))
    assert [is_kept(cache, path) for path in files] == [True, False, False]


def test_kept_pixels_cannot_be_written_to(files):
    cache = ImageCache(files, 2)
    cache.read(files[0])
    with pytest.raises(ValueError, match="read-only"):
        cache.read(files[0])[0, 0] = 1


def test_a_file_that_nobody_announced_is_read(files):
    assert not is_kept(ImageCache(files[:1], 2), files[2])


def test_a_file_that_cannot_be_read_is_named(files):
    with open(files[0], "wb"):
        pass
    with pytest.raises(ValueError, match="0.png: is empty"):
        ImageCache(files, 2).read(files[0])


def test_more_memory_than_there_is(files):
    with pytest.raises(ValueError, match=r"cache_mb \d+ is more than this machine's \d+ MB; give less"):
        ImageCache(files, 1 << 44)


def test_memory_is_taken_as_it_fills():
    def resident():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[2])  # shared pages

    before = resident()
    cache = ImageCache([], 1024)
    assert (resident() - before) * 4096 < MB
    assert cache is not None
