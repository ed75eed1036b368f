"""The Paddle Lite target: what the optimizer refuses is named, what it takes answers as trained."""

import importlib.util
import shutil

import numpy as np
import paddle
import pytest

from ppdet_ext.compat import program_ops
from ppdet_ext.export import export_model, lite_model
from ppdet_ext.export.graph import RawGraph, deployed, without_swish
from ppdet_ext.export.paddle_model import save_paddle
from ppdet_ext.runtime.backends import create_backend
from ppdet_ext.versions import paddle_version

from .test_exporter import random_detector

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("paddlelite") is None, reason="paddlelite is absent"),
    pytest.mark.skipif(paddle_version() >= (3,), reason="Paddle Lite reads models of Paddle 2.6"),
]


@pytest.fixture(scope="module")
def swish(tmp_path_factory):
    """A swish network exported for Paddle Lite; its raw outputs for two images."""
    folder = tmp_path_factory.mktemp("lite")
    cfg, model = random_detector({name: {"act": "swish"} for name in ("CSPRepResNet", "CSPRepPAN", "ETHead")})
    images = np.random.RandomState(1).rand(2, 3, 128, 128).astype("float32")
    with paddle.no_grad():
        expected = [output.numpy() for output in RawGraph(model)(paddle.to_tensor(images))]
    report = export_model(cfg, model, str(folder), ["lite"], fp16=True, say=lambda line: None)
    return folder, images, expected, report, model


def test_the_x86_model_answers_as_trained(swish):
    folder, images, expected, report, _ = swish
    assert report["lite_x86"]["max_error"] < 1e-4
    backend = create_backend("paddle_lite", folder)
    for ours, theirs in zip(backend.run(images), expected):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4)
    out = tuple(np.empty_like(part) for part in expected)
    assert backend.run(images, out) is out
    np.testing.assert_allclose(out[1], expected[1], rtol=1e-3, atol=1e-4)
    with pytest.raises(ValueError, match=r"takes \[any, 3, 128, 128\]"):
        backend.run(images[:, :, :96, :96])


def test_relu6_is_told_its_bound(tmp_path):
    cfg, model = random_detector({name: {"act": "relu6"} for name in ("CSPRepResNet", "CSPRepPAN", "ETHead")})
    report = export_model(cfg, model, str(tmp_path), ["lite"], say=lambda line: None)
    assert report["lite_x86"]["max_error"] < 1e-4


def test_logits_that_are_far_apart(tmp_path):
    """As an undertrained head has them: the softmax of Paddle Lite on x86 gives NaN there."""
    cfg, model = random_detector()
    for layer in model.yolo_head.pred_reg:
        layer.bias.set_value(paddle.to_tensor(np.linspace(-300, 300, layer.bias.shape[0], dtype="float32")))
    report = export_model(cfg, model, str(tmp_path), ["lite"], say=lambda line: None)
    assert report["lite_x86"]["max_error"] < 1e-4
    assert not model.yolo_head.shifted_softmax


def test_files_for_arm_and_the_settings_beside_them(swish):
    folder, _, _, report, _ = swish
    assert report["lite_arm"]["not_measured"] and report["lite_arm_fp16"]["precision"] == "fp16"
    whole, half = (folder / f"model_arm{end}.nb" for end in ("", "_fp16"))
    assert whole.stat().st_size != half.stat().st_size, "half precision brings casts"
    assert (folder / "detector.txt").is_file()


def test_swish_is_lowered_for_the_export_only(swish):
    model = swish[4]
    swishes = [layer for layer in model.sublayers() if isinstance(layer, paddle.nn.Swish)]
    assert swishes
    with without_swish(model):
        assert not any(isinstance(layer, paddle.nn.Swish) for layer in model.sublayers())
    assert len([layer for layer in model.sublayers() if isinstance(layer, paddle.nn.Swish)]) == len(swishes)


def test_unsupported_ops_are_named_before_the_optimizer_aborts(swish, tmp_path, monkeypatch):
    supported = lite_model.supported_ops("x86")
    assert {"conv2d", "silu", "nearest_interp_v2"} <= supported and "no_such_op" not in supported
    monkeypatch.setattr(lite_model, "supported_ops", lambda place: supported - {"silu", "pool2d"})
    shutil.copy(swish[0] / "infer_cfg.yml", tmp_path)
    graph = deployed(RawGraph(swish[4]))
    with pytest.raises(ValueError, match="no kernel for pool2d, silu on x86"):
        lite_model.save_lite(graph, str(tmp_path), [128, 128])


def test_an_optimizer_that_dies_is_an_error_of_one_line(swish, tmp_path):
    graph = deployed(RawGraph(swish[4]))
    program = save_paddle(graph, str(tmp_path), [1, 3, 128, 128])  # with swish
    assert "swish" in program_ops(program)
    with pytest.raises(ValueError, match=r"optimizer failed for x86 \(exit status -\d+\)") as caught:
        lite_model._convert(program, "x86", str(tmp_path / "model_x86"), False)
    assert "\n" not in str(caught.value)


def test_paddle_3_is_told_first(tmp_path, monkeypatch):
    monkeypatch.setattr(lite_model, "lite_reads", lambda: False)
    with pytest.raises(ValueError, match="reads models of Paddle 2.6, and this is Paddle 3; run scripts/set"):
        lite_model.save_lite(None, str(tmp_path), [128, 128])


def test_a_free_size_is_refused(tmp_path):
    cfg, model = random_detector()
    with pytest.raises(ValueError, match="images of one size"):
        export_model(cfg, model, str(tmp_path / "out"), ["lite"], image_size=[-1, -1], say=lambda line: None)
    assert not (tmp_path / "out").exists()


def test_images_of_many_sizes_are_refused(tmp_path):
    transforms = [
        {"Decode": {}},
        {"Resize": {"target_size": [128, 128], "keep_ratio": True, "interp": 2}},
        {"NormalizeImage": {"mean": [0.0] * 3, "std": [1.0] * 3, "norm_type": "none"}},
        {"Permute": {}},
    ]
    cfg, model = random_detector({"TestReader": {"sample_transforms": transforms}})
    with pytest.raises(ValueError, match="gives images of many sizes .*keep_ratio: false"):
        export_model(cfg, model, str(tmp_path / "out"), ["lite"], say=lambda line: None)


def test_another_file_under_the_name(tmp_path, swish):
    for content in (b"", b"nonsense"):
        (tmp_path / "model_x86.nb").write_bytes(content)
        with pytest.raises(ValueError, match="model_x86.nb: Paddle Lite cannot load it"):
            create_backend("paddle_lite", tmp_path)
