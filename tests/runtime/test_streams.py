"""Several sources at once: order, fairness, dropped frames, sources that end or fail."""

import itertools
import threading
import time

import pytest

from ppdet_ext.runtime.detector import LIVE_SLOTS, SLOTS
from ppdet_ext.runtime.pipeline import FLUSH
from ppdet_ext.runtime.streams import WAITING, Merged

from .fake import fake_detector, number_of, picture, workers
from .test_pipeline import wait_until


@pytest.fixture
def detector(tmp_path, monkeypatch):
    return fake_detector(tmp_path, monkeypatch)


def numbers(first, count):
    return (picture(first + number) for number in range(count))


def by_source(results):
    """Picture numbers by source, each frame checked against its detections."""
    got = {}
    for source, frame, found in results:
        assert frame[0, 0, 0] == number_of(found)
        got.setdefault(source, []).append(number_of(found))
    return got


def test_each_source_keeps_its_order(detector):
    counts = [0, 1, 7, 30, 30]
    sources = [numbers(10 * source, count) for source, count in enumerate(counts)]
    got = by_source(detector.streams(sources, 4))
    assert got == {
        source: list(range(10 * source, 10 * source + count)) for source, count in enumerate(counts) if count
    }
    assert workers() == [] and list(detector.streams([])) == []


def test_one_run_serves_several_sources(detector):
    detector.backend.gate.clear()
    got = []
    streams = detector.streams([numbers(20 * source, 10) for source in range(8)], 8)
    caller = threading.Thread(target=lambda: got.extend((s, number_of(found)) for s, _, found in streams))
    caller.start()
    # The first batch holds what had come by then; by now each source has frames waiting.
    assert wait_until(lambda: detector.backend.inside == 1)
    time.sleep(0.2)
    detector.backend.gate.set()
    caller.join(20)
    assert len(got) == 80 and len(detector.backend.shapes) < 40
    later = got[40:48]
    assert len({source for source, _ in later}) >= 4  # sources take turns


def test_sources_take_turns():
    merged = Merged([iter("abcdef"), iter("ABCDEF"), iter("")])
    frames = iter(merged)
    assert next(frames) is not None  # from here on the sources are read
    assert wait_until(lambda: len(merged.waiting[0]) == len(merged.waiting[1]) == WAITING)
    got = [frame for frame in (next(frames) for _ in range(2 * WAITING)) if frame is not FLUSH]
    sources = [frame.source for frame in got]
    assert sources in ([0, 1] * WAITING, [1, 0] * WAITING)
    frames.close()
    assert workers() == []


def test_a_slow_source_does_not_hold_up_a_fast_one(detector):
    gate = threading.Event()

    def slow():
        yield picture(100)
        assert gate.wait(20)
        yield picture(101)

    order = []
    for source, _, found in detector.streams([slow(), numbers(0, 40)], 8):
        order.append((source, number_of(found)))
        if order[-1] == (1, 39):
            gate.set()  # the slow one waits for all of the fast one
    assert [number for source, number in order if source == 1] == list(range(40))
    assert [number for source, number in order if source == 0] == [100, 101]
    assert order[-1] == (0, 101) and workers() == []


def test_sources_wait_when_nothing_is_dropped(detector):
    taken = [0, 0]

    def source(place):
        for number in itertools.count():
            taken[place] += 1
            yield picture(number % 200)

    streams = detector.streams([source(0), source(1)], 3)
    got = by_source(itertools.islice(streams, 100))
    for place in (0, 1):
        assert got[place] == list(range(len(got[place]))) and len(got[place]) > 20
        assert taken[place] <= len(got[place]) + 3 * SLOTS + WAITING + 2
    streams.close()
    assert workers() == []


def test_the_latest_frame_counts(detector):
    """The network stands still while two cameras go on: afterwards it sees their last frames."""
    ready, taken = threading.Event(), [0, 0]

    def camera(place):
        for number in range(150):
            yield picture(number)
            taken[place] = number
            if number == 2 * LIVE_SLOTS:
                ready.wait(20)  # both have filled what is on its way
        gate.wait(20)

    gate = threading.Event()
    detector.backend.gate.clear()
    got = {0: [], 1: []}
    stop = threading.Event()

    def work():
        for source, _, found in detector.streams([camera(0), camera(1)], 2, latest=True, stop=stop):
            got[source].append(number_of(found))

    caller = threading.Thread(target=work)
    caller.start()
    assert wait_until(lambda: min(taken) == 2 * LIVE_SLOTS)
    ready.set()
    assert wait_until(lambda: min(taken) == 149)  # no camera was made to wait
    detector.backend.gate.set()
    assert wait_until(lambda: min(each[-1] if each else 0 for each in got.values()) == 149)
    gate.set()
    caller.join(20)
    assert workers() == []
    for numbers_seen in got.values():
        assert numbers_seen == sorted(set(numbers_seen)) and len(numbers_seen) <= 2 * LIVE_SLOTS + 2


def failing(first, count, error):
    yield from numbers(first, count)
    raise error


def test_a_source_that_fails_ends_alone(detector):
    def sources():
        broken = [picture(60), picture(61), picture(62)[..., :2], picture(63)]
        return [numbers(0, 30), failing(40, 3, OSError("cable")), broken, numbers(80, 2)]

    errors = []

    def on_error(source, error):
        assert source not in [number for number, _ in errors]
        errors.append((source, str(error)))

    expected = {0: list(range(30)), 1: [40, 41, 42], 2: [60, 61], 3: [80, 81]}
    assert by_source(detector.streams(sources(), 4, on_error=on_error)) == expected
    assert sorted(errors) == [
        (1, "cable"),
        (2, "image 2 of source 2: an array of shape [8, 8, 2]; give RGB [height, width, 3]"),
    ]
    got = []
    with pytest.raises((OSError, ValueError), match="cable|image 2 of source 2"):
        for result in detector.streams(sources(), 4):
            got.append(result)
    assert by_source(got) == expected and workers() == []


def test_the_error_comes_after_the_last_frame_of_its_source(detector):
    seen = []

    def on_error(source, error):
        seen.append("error")

    for _, _, found in detector.streams([failing(0, 9, OSError())], 2, on_error=on_error):
        seen.append(number_of(found))
    assert seen == [*range(9), "error"]


def test_an_error_of_the_network_ends_all(detector):
    detector.backend.error = ValueError("the engine's own")
    with pytest.raises(ValueError, match="the engine's own"):
        list(detector.streams([numbers(0, 9), numbers(0, 9)], 2))
    assert workers() == []


def test_closing_closes_every_source(detector):
    closed = []

    def source(place):
        try:
            for number in itertools.count():
                yield picture(number % 200)
        finally:
            closed.append(place)

    streams = detector.streams([source(0), source(1), source(2)], 4)
    next(streams)
    streams.close()
    assert sorted(closed) == [0, 1, 2] and workers() == []


def test_stop_does_not_wait_for_a_source_that_is_stuck(detector, monkeypatch):
    from ppdet_ext.runtime import streams as module

    monkeypatch.setattr(module, "PATIENCE", 0.1)
    gate, stop = threading.Event(), threading.Event()

    def stuck():
        yield picture(0)
        gate.wait(20)

    seen = []
    for _, _, found in detector.streams([stuck()], 4, latest=True, stop=stop):
        seen.append(number_of(found))
        stop.set()
    assert seen == [0]
    gate.set()
    assert wait_until(lambda: workers() == [])


def test_what_is_no_list_of_sources(detector):
    for wrong in ("a.mp4", picture(0)):
        with pytest.raises(ValueError, match="sources is a (str|ndarray); give a list of iterables"):
            list(detector.streams(wrong))
    with pytest.raises(ValueError, match="batch_size is 0"):
        list(detector.streams([], 0))
