"""Export of a small model on random weights: every file answers as the model as trained."""

import numpy as np
import onnx
import paddle
import pytest
import yaml
from ppdet.core.workspace import create

from ppdet_ext.config import load_config
from ppdet_ext.export import export_model
from ppdet_ext.export.graph import RawGraph
from ppdet_ext.export.parity import count_unmatched
from ppdet_ext.runtime import Detector
from ppdet_ext.runtime.backends import create_backend
from ppdet_ext.runtime.manifest import load_manifest
from ppdet_ext.versions import is_importable

CONFIG = "configs/demo/ppyoloe_nano_demo.yml"


def random_detector(overrides=None, seed=0, config=CONFIG):
    """A demo-sized detector with random weights and BatchNorm statistics, and its config."""
    cfg = load_config(
        config,
        {"TestDataset": {"dataset_dir": None, "anno_path": "tests/export/labels.txt"}, **(overrides or {})},
    )
    cfg["TestDataset"] = create("TestDataset")()
    paddle.seed(seed)
    model = create(cfg.architecture)
    rng = np.random.RandomState(seed)
    for name, value in model.state_dict().items():
        if name.endswith("_variance"):
            value.set_value(rng.uniform(0.5, 2, value.shape).astype("float32"))
        elif name.endswith(("_mean", "bn.bias")):
            value.set_value(rng.uniform(-0.3, 0.3, value.shape).astype("float32"))
        elif "pred_" in name and name.endswith("weight"):
            value.set_value(rng.normal(0, 0.05, value.shape).astype("float32"))
    model.eval()
    return cfg, model


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    cfg, model = random_detector()
    images = np.random.RandomState(1).rand(3, 3, 128, 128).astype("float32")
    with paddle.no_grad():
        boxes, scores = RawGraph(model)(paddle.to_tensor(images))
    said = []
    report = export_model(cfg, model, str(folder), ["paddle", "onnx"], say=said.append)
    return {
        "folder": folder,
        "images": images,
        "boxes": boxes.numpy(),
        "scores": scores.numpy(),
        "report": report,
        "said": said,
    }


@pytest.mark.parametrize("backend", ["paddle_inference", "onnxruntime"])
@pytest.mark.smoke
def test_every_file_answers_as_the_model_as_trained(exported, backend):
    boxes, scores = create_backend(backend, exported["folder"]).run(exported["images"])
    np.testing.assert_allclose(boxes, exported["boxes"], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(scores, exported["scores"], rtol=1e-3, atol=1e-4)
    assert np.ptp(scores) > 0.001, "all scores are alike: the comparison would show nothing"


def test_the_report_says_how_far_each_file_is(exported):
    assert set(exported["report"]) == {"paddle", "onnx"}
    for entry in exported["report"].values():
        assert 0 <= entry["max_error"] < 1e-4
    assert len(exported["said"]) == 3
    manifest = load_manifest(exported["folder"])
    assert manifest["input"] == {"batch": None, "size": [128, 128], "normalization": "outside"}
    assert manifest["outputs"] == "raw" and manifest["versions"]["paddle"]
    assert manifest["files"]["onnx"]["file"] == "model.onnx"
    assert manifest["files"]["onnx"]["max_error"] == exported["report"]["onnx"]["max_error"]


def test_the_graph_is_fused(exported):
    graph = onnx.load(str(exported["folder"] / "model.onnx")).graph
    kinds = [node.op_type for node in graph.node]
    assert "BatchNormalization" not in kinds and "NonMaxSuppression" not in kinds
    assert [i.name for i in graph.input] == ["image"]
    assert [o.name for o in graph.output] == ["boxes", "scores"]
    cfg, model = random_detector()
    trained = sum(type(layer).__name__ == "Conv2D" for layer in model.sublayers())
    blocks = sum(type(layer).__name__ == "RepVGGBlock" for layer in model.sublayers())
    assert kinds.count("Conv") == trained - blocks, "every RepVGG block loses a convolution"


def test_infer_cfg(exported):
    content = yaml.safe_load((exported["folder"] / "infer_cfg.yml").read_text())
    assert content["outputs"] == "raw" and content["arch"] == "YOLO"
    assert content["label_list"] == [f"class {i}" for i in range(10)]
    assert content["NMS"]["nms_threshold"] == 0.7 and content["NMS"]["keep_top_k"] == 300
    assert [op["type"] for op in content["Preprocess"]] == ["Resize", "NormalizeImage", "Permute"]


def test_another_kind_of_nms(tmp_path):
    from ppdet.modeling.layers import MatrixNMS

    cfg, model = random_detector()
    model.yolo_head.nms = MatrixNMS(
        0.01, post_threshold=0.01, nms_top_k=400, keep_top_k=50, use_gaussian=True
    )
    export_model(cfg, model, str(tmp_path), ["onnx"], say=lambda line: None)
    content = yaml.safe_load((tmp_path / "infer_cfg.yml").read_text())
    assert content["NMS"]["name"] == "MatrixNMS" and content["NMS"]["keep_top_k"] == 50
    assert Detector(tmp_path).postprocess.nms.settings["use_gaussian"] is True
    with pytest.raises(ValueError, match="is MultiClassNMS, not MatrixNMS"):
        export_model(cfg, model, str(tmp_path), ["onnx"], nms=True, say=lambda line: None)
    model.yolo_head.nms = object()
    with pytest.raises(ValueError, match="does not know the head's nms, object"):
        export_model(cfg, model, str(tmp_path), say=lambda line: None)


def test_the_runtime_takes_the_folder(exported):
    image = np.random.RandomState(2).randint(0, 255, (90, 150, 3)).astype("uint8")
    one, two = (
        Detector(exported["folder"], backend=name).predict([image])[0]
        for name in ("onnxruntime", "paddle_inference")
    )
    assert len(one) == len(two)
    np.testing.assert_allclose(one.boxes, two.boxes, atol=0.5)


def test_nms_in_the_graph(tmp_path):
    cfg, model = random_detector()
    image = np.random.RandomState(3).rand(2, 3, 128, 128).astype("float32")
    inputs = {"image": paddle.to_tensor(image), "scale_factor": paddle.to_tensor([[1.0, 1.0], [0.5, 2.0]])}
    with paddle.no_grad():
        expected = model(inputs)
    export_model(cfg, model, str(tmp_path), nms=True, say=lambda line: None)
    with pytest.raises(ValueError, match="exported with --nms"):
        Detector(tmp_path, "paddle_inference")
    from paddle import inference

    from ppdet_ext.compat import STATIC_GRAPH_FILES, onednn_runs_inference

    graph = next(
        tmp_path / f"model{ext}" for ext in STATIC_GRAPH_FILES if (tmp_path / f"model{ext}").exists()
    )
    config = inference.Config(str(graph), str(tmp_path / "model.pdiparams"))
    config.disable_glog_info()
    if not onednn_runs_inference():
        config.disable_mkldnn()
    predictor = inference.create_predictor(config)
    assert predictor.get_input_names() == ["image", "scale_factor"]
    for name in predictor.get_input_names():
        predictor.get_input_handle(name).copy_from_cpu(inputs[name].numpy())
    predictor.run()
    found, counts = (predictor.get_output_handle(n).copy_to_cpu() for n in predictor.get_output_names())
    assert counts.tolist() == expected["bbox_num"].numpy().tolist() and counts.min() > 0
    np.testing.assert_allclose(found, expected["bbox"].numpy(), rtol=1e-3, atol=1e-2)


@pytest.mark.smoke
def test_the_runtime_takes_nms_inside(tmp_path, exported):
    cfg, model = random_detector()
    engines = [name for name in ("onnxruntime", "openvino") if is_importable(name)]
    targets = ["onnx", "tensorrt", *engines[1:]]
    report = export_model(cfg, model, str(tmp_path), targets, nms=True, say=lambda line: None)
    assert report["onnx"]["max_error"] < 1e-4
    assert report["tensorrt"]["file"].endswith("model_trt.onnx")
    images = [np.random.RandomState(i).randint(0, 255, (90, 150, 3)).astype("uint8") for i in range(5)]
    expected = Detector(exported["folder"]).predict(images)
    for engine in engines:
        found = list(Detector(tmp_path, engine).stream(images, batch_size=2))
        for one, other in zip(found, expected):
            assert len(one) == len(other) > 0
            np.testing.assert_allclose(one.scores, other.scores, atol=1e-5)
            assert (
                count_unmatched(
                    (one.boxes, one.scores, one.labels), (other.boxes, other.scores, other.labels)
                )
                == 0
            )
        few = Detector(tmp_path, engine).predict(images, score_threshold=0.02)
        assert [len(d) for d in few] == [int((d.scores >= 0.02).sum()) for d in expected]


def test_free_size_and_fixed_batch(tmp_path):
    cfg, model = random_detector()
    export_model(cfg, model, str(tmp_path), ["onnx"], image_size=[-1, -1], batch=1, say=lambda line: None)
    backend = create_backend("onnxruntime", tmp_path)
    for side in (96, 160):
        boxes, _ = backend.run(np.zeros([1, 3, side, side], "float32"))
        assert boxes.shape[1] == sum((side // stride) ** 2 for stride in (8, 16, 32))


@pytest.mark.parametrize(
    "change, message",
    [
        ({"targets": ["onx"]}, "target 'onx' is not known; did you mean 'onnx'"),
        ({"image_size": [100, 128]}, "multiple of the coarsest stride, 32"),
        ({"nms": True, "targets": ["lite"]}, "export the target lite without --nms"),
        ({"nms": True, "targets": ["onnx"], "opset": 11}, "opset 11: the graph needs 13"),
    ],
)
def test_what_cannot_be_made_is_refused(tmp_path, change, message):
    cfg, model = random_detector()
    with pytest.raises(ValueError, match=message):
        export_model(cfg, model, str(tmp_path), **{"targets": ["paddle"], **change})


def test_class_names_must_agree_with_num_classes(tmp_path):
    cfg, model = random_detector({"num_classes": 7})
    with pytest.raises(ValueError, match="num_classes is 7 but 10 class names"):
        export_model(cfg, model, str(tmp_path), say=lambda line: None)


def test_a_fixed_batch_takes_any_number_of_images(tmp_path):
    cfg, model = random_detector()
    export_model(cfg, model, str(tmp_path), ["onnx"], batch=2, say=lambda line: None)
    images = [np.random.RandomState(i).randint(0, 255, (64, 64, 3)).astype("uint8") for i in range(3)]
    together = Detector(tmp_path).predict(images)
    alone = [Detector(tmp_path).predict(image)[0] for image in images]
    assert len(together) == 3
    for one, other in zip(together, alone):
        np.testing.assert_array_equal(one.scores, other.scores)


def test_another_export_takes_the_place_of_the_first(tmp_path):
    cfg, model = random_detector()
    (tmp_path / "notes.txt").write_text("mine")
    export_model(cfg, model, str(tmp_path), ["onnx"], say=lambda line: None)
    with pytest.raises(ValueError, match="opset 7: the graph needs 11"):
        export_model(cfg, model, str(tmp_path), ["onnx"], opset=7, say=lambda line: None)
    with pytest.raises(ValueError, match="batch size 0"):
        export_model(cfg, model, str(tmp_path), batch=0, say=lambda line: None)
    assert (tmp_path / "model.onnx").exists()
    export_model(cfg, model, str(tmp_path), say=lambda line: None)
    assert not (tmp_path / "model.onnx").exists(), "an old file would run beside the new model"
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_broken_hop_is_caught(tmp_path, monkeypatch):
    from ppdet_ext.nn import fusion

    cfg, model = random_detector()
    honest = fusion.bn_scale_shift

    def wrong_epsilon(bn):
        bn._epsilon = 0.01
        return honest(bn)

    monkeypatch.setattr(fusion, "bn_scale_shift", wrong_epsilon)
    with pytest.raises(ValueError, match="differ from the model as trained"):
        export_model(cfg, model, str(tmp_path), say=lambda line: None)
