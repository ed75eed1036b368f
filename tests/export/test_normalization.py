"""Normalisation inside the network gives what it gives outside, up to the border of the image."""

import numpy as np
import paddle
import paddle.nn as nn
import pytest
import yaml

from ppdet_ext.export import export_model
from ppdet_ext.export.graph import RawGraph
from ppdet_ext.export.normalization import Normalization
from ppdet_ext.runtime import Detector

from .test_exporter import random_detector

IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "is_scale": True}


def test_as_the_readers_operator():
    from ppdet.data.transform.operators import NormalizeImage

    pixels = np.random.RandomState(0).randint(0, 256, (5, 7, 3)).astype("uint8")
    for arguments in (IMAGENET, {**IMAGENET, "is_scale": False}, {"mean": [0] * 3, "std": [1] * 3}):
        expected = NormalizeImage(**arguments)({"image": pixels.copy()})["image"].transpose(2, 0, 1)
        ours = Normalization(arguments)(pixels.transpose(2, 0, 1)[None].astype("float32"))[0]
        np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-5)


def test_inside_the_graph_and_out_again():
    _, model = random_detector()
    graph = RawGraph(model)
    graph.eval()
    normalization = Normalization(IMAGENET)
    # A bright border: there a mean in the bias would show.
    pixels = np.full([1, 3, 64, 96], 255, "float32")
    pixels[:, :, 5:-5, 5:-5] = np.random.RandomState(1).randint(0, 256, [3, 54, 86])
    with paddle.no_grad():
        expected = [t.numpy() for t in graph(paddle.to_tensor(normalization(pixels)))]
        with normalization.inside(graph):
            inside = [t.numpy() for t in graph(paddle.to_tensor(pixels))]
        again = [t.numpy() for t in graph(paddle.to_tensor(normalization(pixels)))]
    for ours, theirs, restored in zip(inside, expected, again):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)
        np.testing.assert_array_equal(restored, theirs)


def test_a_network_that_begins_otherwise_is_refused():
    class Flat(nn.Layer):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2D(12, 4, 1)

        def forward(self, image):
            return self.conv(paddle.nn.functional.pixel_unshuffle(image, 2))

    with pytest.raises(ValueError, match="leave the normalisation outside"):
        with Normalization(IMAGENET).inside(Flat()):
            pass


def test_a_reader_without_normalisation():
    with pytest.raises(ValueError, match="no NormalizeImage"):
        Normalization.of_reader({"sample_transforms": [{"Decode": {}}, {"Permute": {}}]})


def test_an_exported_folder_takes_plain_pixels(tmp_path):
    transforms = [
        {"Decode": {}},
        {"Resize": {"target_size": [128, 128], "keep_ratio": False, "interp": 2}},
        {"NormalizeImage": IMAGENET},
        {"Permute": {}},
    ]
    cfg, model = random_detector({"TestReader": {"sample_transforms": transforms}})
    image = np.random.RandomState(2).randint(0, 256, (90, 150, 3)).astype("uint8")
    answers = {}
    for fold in (False, True):
        folder = tmp_path / str(fold)
        export_model(cfg, model, str(folder), ["onnx"], fold_normalization=fold, say=lambda line: None)
        detector = Detector(folder)
        answers[fold] = detector.predict(image)[0]
    assert detector.preprocess(image).pixels.max() > 200
    content = yaml.safe_load((folder / "infer_cfg.yml").read_text())
    entry = next(op for op in content["Preprocess"] if op["type"] == "NormalizeImage")
    assert entry["norm_type"] == "none" and entry["is_scale"] is False
    assert len(answers[True]) == len(answers[False]) > 0
    np.testing.assert_allclose(answers[True].boxes, answers[False].boxes, atol=0.01)
