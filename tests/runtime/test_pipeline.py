"""Batches, threads, order, errors and buffers, with a network that does nothing but answer."""

import itertools
import subprocess
import sys
import threading
import time

import cv2
import numpy as np
import pytest

from ppdet_ext.runtime.detector import SLOTS

from .fake import fake_detector, number_of, picture, workers
from .tiny_model import write_folder


@pytest.fixture
def detector(tmp_path, monkeypatch):
    return fake_detector(tmp_path, monkeypatch)


def wait_until(true, seconds=10):
    """Wait for what other threads do; the assertion is the caller's."""
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.002)
    return true()


@pytest.mark.parametrize("count", [0, 2, 7, 8, 9, 100])
@pytest.mark.parametrize("batch_size", [1, 4])
def test_order_is_kept(detector, count, batch_size):
    found = detector.predict((picture(number) for number in range(count)), batch_size)
    assert [number_of(each) for each in found] == list(range(count))
    assert sum(shape[0] for shape in detector.backend.shapes) == count
    assert max((shape[0] for shape in detector.backend.shapes), default=0) <= batch_size
    assert workers() == []


def test_one_batch_at_a_time_is_in_the_network(detector):
    streams = [detector.stream((picture(n % 200) for n in itertools.count()), 2) for _ in range(3)]
    for number in range(20):
        assert [number_of(next(stream)) for stream in streams] == [number] * 3
    for stream in streams:
        stream.close()
    assert detector.backend.most == 1 and workers() == []


def test_stages_overlap(detector):
    """While the network holds one batch, the next ones are read; else this test would end in a wait."""
    taken = []

    def source():
        for number in range(20):
            taken.append(number)
            yield picture(number)

    detector.backend.gate.clear()
    stream, got = detector.stream(source(), 2), []
    caller = threading.Thread(target=lambda: got.extend(map(number_of, stream)))
    caller.start()
    assert wait_until(lambda: len(taken) == 2 * SLOTS)
    detector.backend.gate.set()
    caller.join(20)
    assert got == list(range(20)) and workers() == []


def test_an_endless_source_is_read_a_few_batches_ahead(detector):
    taken = []

    def source():
        for number in itertools.count():
            taken.append(number)
            yield picture(number % 200)

    stream = detector.stream(source(), batch_size=4)
    assert taken == [] and workers() == []
    for number in range(50):
        assert number_of(next(stream)) == number
        assert len(taken) <= number + 1 + 4 * SLOTS
    stream.close()


def test_closing_ends_threads_and_closes_the_source(detector):
    closed = []

    def source():
        try:
            for number in itertools.count():
                yield picture(number % 200)
        finally:
            closed.append(threading.current_thread().name)

    stream = detector.stream(source(), 2)
    assert number_of(next(stream)) == 0
    assert len(workers()) >= 3
    stream.close()
    assert closed == ["ppdet_ext reader"] and workers() == []
    stream = detector.stream(source(), 2)
    next(stream)
    del stream
    assert len(closed) == 2 and workers() == []


class Reader:
    """An iterator with a close of its own, such as a video."""

    def __init__(self):
        self.closed = False

    def __iter__(self):
        return self

    def __next__(self):
        return picture(7)

    def close(self):
        self.closed = True


def test_a_reader_is_closed(detector):
    reader = Reader()
    stream = detector.stream(reader, 2)
    assert number_of(next(stream)) == 7 and not reader.closed
    stream.close()
    assert reader.closed


def test_a_source_that_is_stuck_does_not_hold_the_end_up(detector, monkeypatch):
    from ppdet_ext.runtime import pipeline

    monkeypatch.setattr(pipeline, "PATIENCE", 0.1)
    gate = threading.Event()

    def source():
        yield picture(1)
        yield picture(2)
        gate.wait(20)

    stream = detector.stream(source(), 1)
    assert number_of(next(stream)) == 1
    stream.close()
    gate.set()
    assert wait_until(lambda: workers() == [])


@pytest.mark.parametrize("batch_size", [1, 3, 8])
@pytest.mark.parametrize("place", [0, 1, 5])
def test_an_exception_of_the_source_comes_at_its_place(detector, batch_size, place):
    def source():
        for number in range(place):
            yield picture(number)
        raise KeyError("the camera's own")

    got = []
    with pytest.raises(KeyError, match="the camera's own"):
        for found in detector.stream(source(), batch_size):
            got.append(number_of(found))
    assert got == list(range(place)) and workers() == []
    assert number_of(detector.predict([picture(3), picture(4)])[1]) == 4


@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_an_exception_of_an_image_comes_at_its_place(detector, tmp_path, batch_size):
    got = []
    images = [picture(0), picture(1), tmp_path / "none.png", picture(3), picture(4)]
    with pytest.raises(ValueError, match="none.png: cannot be read"):
        for found in detector.stream(images, batch_size):
            got.append(number_of(found))
    assert got == [0, 1] and workers() == []
    with pytest.raises(ValueError, match="image 3: an array of float32"):
        detector.predict([picture(0), picture(1), picture(2), picture(3).astype(np.float32)], batch_size)


def test_an_exception_of_the_network(detector):
    stream = detector.stream((picture(number) for number in range(20)), 2)
    assert number_of(next(stream)) == 0
    detector.backend.error = ValueError("the engine's own")
    with pytest.raises(ValueError, match="the engine's own"):
        for number in range(1, 20):
            assert number_of(next(stream)) == number
    assert workers() == []
    with pytest.raises(ValueError, match="the engine's own"):
        detector.predict(picture(0))


def test_results_have_images_and_go_on_after_errors(detector, tmp_path):
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), picture(9))
    images = [picture(0), tmp_path / "none.png", path, np.zeros((4, 4, 2), np.uint8), picture(4)]
    results = list(detector.results(images, 2))
    assert [result.item is image for result, image in zip(results, images)] == [True] * 5
    assert [None if r.error else number_of(r.detections) for r in results] == [0, None, 9, None, 4]
    assert results[2].detections.source == str(path) and (results[2].image == 9).all()
    for number, message in ((1, "none.png: cannot be read"), (3, "image 3: an array of shape")):
        error = results[number].error
        assert isinstance(error, ValueError) and message in str(error)
        assert results[number].image is None and results[number].detections is None
    broken = list(detector.results([tmp_path / "x.png", tmp_path / "y.png"], 2))
    assert [result.error is not None for result in broken] == [True, True]
    (alone,) = detector.results(tmp_path / "x.png")
    assert "x.png" in str(alone.error)

    def other():
        yield picture(0)
        raise OSError("not an image's")

    with pytest.raises(OSError, match="not an image's"):
        list(detector.results(other(), 2))


def test_stop_ends_after_what_is_in_the_network(detector):
    stop, taken = threading.Event(), []

    def source():
        for number in itertools.count():
            taken.append(number)
            yield picture(number % 200)

    detector.backend.gate.clear()
    results, got = detector.results(source(), 2, stop=stop), []
    caller = threading.Thread(target=lambda: got.extend(number_of(each.detections) for each in results))
    caller.start()
    assert wait_until(lambda: detector.backend.inside == 1 and len(taken) == 2 * SLOTS)
    stop.set()
    detector.backend.gate.set()
    caller.join(20)
    assert got == [0, 1] and len(taken) <= 2 * SLOTS + 1 and workers() == []


def test_the_callers_threads_may_share_a_detector(detector):
    got = {}

    def work(first):
        images = [picture(first + number) for number in range(30)]
        got[first] = [number_of(each) for each in detector.predict(images, 4)]
        got[first] += [number_of(detector.predict(image)[0]) for image in images]

    callers = [threading.Thread(target=work, args=(first,)) for first in (0, 50, 100)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(30)
    assert got == {first: list(range(first, first + 30)) * 2 for first in (0, 50, 100)}


def test_a_program_may_end_with_streams_open(tmp_path):
    """Without a word: a thread that Python stops inside an engine would take the process down."""
    folder = write_folder(tmp_path / "tiny")
    code = f"""
import itertools, sys
import numpy as np
from ppdet_ext.runtime import Detector
endless = lambda: (np.full((64, 64, 3), number % 255, np.uint8) for number in itertools.count())
detector = Detector({str(folder)!r})
sys.modules["kept"] = detector.stream(endless(), 4), detector.streams([endless(), endless()], 4, latest=True)
for stream in sys.modules["kept"]:
    print(len(list(itertools.islice(stream, 10))))
"""
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
        assert (done.returncode, done.stdout, done.stderr) == (0, "10\n10\n", "")
