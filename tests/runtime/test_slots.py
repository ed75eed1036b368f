"""The arrays of batches: used again, stacked where sizes differ, filled where the batch is fixed."""

import numpy as np
import pytest

from ppdet_ext.runtime.detector import SLOTS

from .fake import FREE_SIZE, RESIZE, TO_NETWORK, fake_detector, number_of, picture


@pytest.fixture
def detector(tmp_path, monkeypatch):
    return fake_detector(tmp_path, monkeypatch)


def test_buffers_are_allocated_once(detector):
    backend = detector.backend
    images = [picture(number) for number in range(50)]
    assert [number_of(found) for found in detector.predict(images, 4)] == list(range(50))
    assert sum(out is None for out in backend.outs) == SLOTS
    assert backend.shapes[-1] == (2, 3, 32, 64) and [len(part) for part in backend.outs[-1]] == [2, 2]
    before = {out[0].ctypes.data for out in backend.outs if out is not None}
    backend.outs.clear()
    assert [number_of(found) for found in detector.predict(images, 4)] == list(range(50))
    assert {out[0].ctypes.data for out in backend.outs} == before and len(before) == SLOTS
    backend.outs.clear()
    for number in range(3):
        assert number_of(detector.predict(picture(number))[0]) == number
    assert [out is None for out in backend.outs] == [True, False, False]


def test_results_do_not_change_with_later_runs(detector):
    first = detector.predict(picture(1))[0]
    boxes, scores = first.boxes.copy(), first.scores.copy()
    for number in (50, 100):
        detector.predict([picture(number)] * 9, 2)
        detector.predict(picture(number))
    np.testing.assert_array_equal(first.boxes, boxes)
    np.testing.assert_array_equal(first.scores, scores)


def test_images_of_different_sizes_are_stacked(tmp_path, monkeypatch):
    detector = fake_detector(tmp_path, monkeypatch, Preprocess=FREE_SIZE)
    sizes = [(32, 64), (32, 128), (64, 64), (32, 64), (32, 64), (32, 64), (32, 64)]
    found = detector.predict([picture(n, *size) for n, size in enumerate(sizes)], 2)
    assert [number_of(each) for each in found] == list(range(7))
    assert sorted(detector.backend.shapes)[:2] == [(1, 3, 32, 64), (2, 3, 32, 64)]
    assert (2, 3, 32, 128) in detector.backend.shapes
    images = [picture(0, 32, 64), tmp_path / "none.png", picture(2, 32, 64)]
    results = list(detector.results(images, 3))
    assert [number_of(r.detections) for r in results[::2]] == [0, 2] and results[1].error
    assert detector.backend.shapes[-1] == (2, 3, 32, 64)


@pytest.mark.parametrize("entries", [[RESIZE, *TO_NETWORK], FREE_SIZE])
def test_a_fixed_batch_is_filled(tmp_path, monkeypatch, entries):
    detector = fake_detector(tmp_path, monkeypatch, Preprocess=entries, batch_size=4)
    found = detector.predict([picture(number, 32, 64) for number in range(6)], 3)
    assert [number_of(each) for each in found] == list(range(6))
    assert detector.backend.firsts == [[0, 1, 2, 3], [4, 5, 4, 4]]  # the first again in empty places
    assert number_of(detector.predict(picture(5, 32, 64))[0]) == 5
    assert {shape[0] for shape in detector.backend.shapes} == {4}
    results = list(detector.results([tmp_path / "none.png", picture(1, 32, 64), picture(2, 32, 64)]))
    assert results[0].error and [number_of(r.detections) for r in results[1:]] == [1, 2]
