"""A Detector whose network is a few lines of NumPy, for tests of what goes on around it."""

import threading

import numpy as np

from ppdet_ext.runtime import Detector, detector

from .tiny_model import BOXES, NAMES, write_folder

RESIZE = {"type": "Resize", "target_size": [32, 64], "keep_ratio": False, "interp": 1}
TO_NETWORK = [
    {"type": "NormalizeImage", "mean": [0.0] * 3, "std": [1.0] * 3, "norm_type": "none"},
    {"type": "Permute"},
]
FREE_SIZE = [{**RESIZE, "target_size": [32, 320], "keep_ratio": True}, *TO_NETWORK]


class FakeBackend:
    """Scores the first box with the image's first pixel, (value + 20) / 1000 of its red plane.

    Attributes:
        shapes (list): of the batches it ran.
        firsts (list): the first pixels' red, 0..255, of each batch.
        outs (list): what it was told to write into.
        gate (threading.Event): a batch waits until it is set.
        inside (int), most (int): batches in it now, and at most at one time.
    """

    def __init__(self):
        self.shapes, self.firsts, self.outs, self.inside, self.most = [], [], [], 0, 0
        self.gate = threading.Event()
        self.gate.set()
        self.error = None

    def run(self, images, out=None):
        assert images.dtype == np.float32 and images.flags.c_contiguous
        self.inside += 1
        self.most = max(self.most, self.inside)
        assert self.gate.wait(20)
        if self.error:
            raise self.error
        self.shapes.append(images.shape)
        self.outs.append(out)
        self.firsts.append(np.round(images[:, 0, 0, 0] * 255).tolist())
        scores = np.zeros((len(images), 2, len(BOXES)), np.float32)
        scores[:, 0, 0] = (np.array(self.firsts[-1]) + 20) / 1000
        results = np.repeat(BOXES[None], len(images), 0), scores
        if out is not None:
            for place, result in zip(out, results):
                assert place.shape == result.shape and place.flags.c_contiguous
                place[:] = result
            results = out
        self.inside -= 1
        return results


def fake_detector(tmp_path, monkeypatch, **changes):
    """A Detector with a FakeBackend; `changes` as of `write_folder`."""
    monkeypatch.setattr(detector, "create_backend", lambda *arguments: FakeBackend())
    return Detector(write_folder(tmp_path / "fake", **changes))


def picture(number, height=8, width=8):
    """[H, W, 3] uint8 RGB of one colour, by which `number_of` knows it."""
    return np.full((height, width, 3), number, np.uint8)


def number_of(detections):
    """Which `picture` Detections are of."""
    assert len(detections) == 1 and detections.names == NAMES
    return round(float(detections.scores[0]) * 1000) - 20


def workers():
    """Names of the runtime's threads that are alive."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("ppdet_ext")]
