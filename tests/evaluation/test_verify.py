"""Verification passes what is right and catches each hop that is deliberately broken."""

import json
import shutil

import numpy as np
import onnx
import paddle
import pytest
import yaml
from onnx import numpy_helper

from ppdet_ext.cli import main
from ppdet_ext.data.demo import make_demo
from ppdet_ext.evaluation import verify as verify_module
from ppdet_ext.evaluation.hops import Answers, Judge
from ppdet_ext.evaluation.trained import TrainedModel
from ppdet_ext.evaluation.verify import verify
from ppdet_ext.export import export_model
from ppdet_ext.runtime import Detections
from ppdet_ext.runtime.backends.checks import refuse_device
from ppdet_ext.runtime.image import read_image
from tests.export.test_exporter import CONFIG, random_detector
from tests.runtime.tiny_model import change_onnx

SIZE = 128


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """A demo set of four validation scenes, a detector with random weights, and its exported folder."""
    folder = tmp_path_factory.mktemp("verify")
    make_demo(folder / "demo", size=SIZE, train=4, val=4, progress=False)
    cfg, model = make_model(folder)
    paddle.save(model.state_dict(), str(folder / "weights.pdparams"))
    export_model(cfg, model, str(folder / "exported"), ["onnx"], say=lambda line: None)
    return folder


def make_model(folder):
    datasets = {
        "EvalDataset": {"dataset_dir": str(folder / "demo")},
        "TestDataset": {"dataset_dir": str(folder / "demo"), "anno_path": "annotations/val.json"},
    }
    return random_detector({**datasets, "ETHead": {"nms": {"score_threshold": 0.02}}})


def check(workplace, folder, backends=("onnxruntime",)):
    """The report on a folder, by the name of the hop."""
    trained = TrainedModel(*make_model(workplace))
    report = verify(folder, trained.files(), trained, list(backends), compared=2, progress=False)
    return report["ok"], {row["hop"]: row for row in report["hops"]}


@pytest.fixture
def copy(workplace, tmp_path):
    """A copy of the exported folder, to be broken."""
    return shutil.copytree(workplace / "exported", tmp_path / "exported")


def test_what_is_right_passes(workplace):
    ok, hops = check(workplace, workplace / "exported", ["onnxruntime", "paddle_inference", "tensorrt"])
    assert ok, hops
    assert [row["status"] for row in hops.values()] == ["pass"] * 6 + ["not measured"]
    assert list(hops)[:4] == ["trained form", "preprocessing", "re-parameterised", "static graph"]
    assert hops["preprocessing"]["raw_error"] == 0
    for name in ("re-parameterised", "static graph", "onnxruntime", "paddle_inference"):
        row = hops[name]
        assert 0 < row["raw_error"] < 1e-4 and row["unmatched"] == 0 and row["compared"] > 20
        assert row["ap"] == pytest.approx(hops["trained form"]["ap"], abs=0.1)
    assert "tensorrt" in hops["tensorrt"]["reason"]


def test_device_and_threads_reach_the_engines(workplace, monkeypatch):
    """An engine that does not run on the device is not measured: that is no fault of the model."""
    asked = []

    class Spy(verify_module.Detector):
        def __init__(self, folder, backend, threads=None, device=None):
            asked.append((backend, threads, device))
            if backend == "paddle_inference":
                raise refuse_device(backend, device, "leave it out")
            super().__init__(folder, backend, threads, device)

    monkeypatch.setattr(verify_module, "Detector", Spy)
    files = TrainedModel(*make_model(workplace)).files()
    names = ["onnxruntime", "paddle_inference"]
    report = verify(workplace / "exported", files, None, names, 2, False, threads=1, device="cpu")
    assert asked == [("paddle", None, None), *((name, 1, "cpu") for name in names)]
    rows = {row["hop"]: row for row in report["hops"]}
    assert report["ok"] and rows["onnxruntime"]["status"] == "pass"
    assert rows["paddle_inference"]["status"] == "not measured"
    assert "does not run on device 'cpu' here" in rows["paddle_inference"]["reason"]


def test_the_trained_form_is_what_ppdet_evaluates(workplace):
    cfg, model = make_model(workplace)
    trained = TrainedModel(cfg, model)
    file = trained.files()[0]
    image, scale_factor = trained.read(file)
    found = trained.detect(trained.raw(image), scale_factor)
    with paddle.no_grad():
        expected = model(
            {"image": paddle.to_tensor(image[None]), "scale_factor": paddle.to_tensor(scale_factor[None])}
        )["bbox"].numpy()
    assert len(found) == len(expected) > 0
    np.testing.assert_allclose(found.scores, np.sort(expected[:, 1])[::-1], rtol=1e-6)


def test_a_wrong_bn_epsilon_is_caught(workplace, monkeypatch):
    from ppdet_ext.nn import fusion

    honest = fusion.bn_scale_shift

    def wrong_epsilon(bn):
        bn._epsilon = 0.01
        return honest(bn)

    monkeypatch.setattr(fusion, "bn_scale_shift", wrong_epsilon)
    ok, hops = check(workplace, workplace / "exported")
    assert not ok and hops["re-parameterised"]["status"] == "FAIL"
    assert "differ from the model as trained" in hops["re-parameterised"]["reason"]
    assert hops["onnxruntime"]["status"] == "pass", "the file was made before"


def test_swapped_strides_are_caught(workplace, copy):
    def swap(graph):
        strides = next(
            t for t in graph.initializer if sorted(set(numpy_helper.to_array(t).ravel())) == [8, 16, 32]
        )
        strides.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(strides)[::-1].copy(), strides.name))

    change_onnx(copy, swap)
    ok, hops = check(workplace, copy)
    assert not ok and hops["static graph"]["status"] == "pass"
    assert hops["onnxruntime"]["status"] == "FAIL" and "raw boxes differ" in hops["onnxruntime"]["reason"]


def test_bgr_for_rgb_in_the_graph_is_caught(workplace, copy):
    def flip(graph):
        name = next(node for node in graph.node if node.op_type == "Conv").input[1]
        kernel = next(tensor for tensor in graph.initializer if tensor.name == name)
        kernel.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(kernel)[:, ::-1].copy(), name))

    change_onnx(copy, flip)
    ok, hops = check(workplace, copy)
    assert not ok and "raw" in hops["onnxruntime"]["reason"]


def test_bgr_for_rgb_before_the_graph_is_caught(workplace, monkeypatch):
    backwards = lambda file: np.ascontiguousarray(read_image(file)[..., ::-1])  # noqa: E731
    monkeypatch.setattr("ppdet_ext.evaluation.verify.read_image", backwards)
    ok, hops = check(workplace, workplace / "exported", [])
    assert not ok and hops["preprocessing"]["status"] == "FAIL"
    assert "PaddleDetection's evaluation" in hops["preprocessing"]["reason"]


def test_another_resize_is_caught(workplace, copy):
    content = yaml.safe_load((copy / "infer_cfg.yml").read_text())
    next(op for op in content["Preprocess"] if op["type"] == "Resize")["target_size"] = [SIZE, SIZE - 32]
    (copy / "infer_cfg.yml").write_text(yaml.safe_dump(content))
    ok, hops = check(workplace, copy, [])
    assert not ok and "[3, 128, 96]" in hops["preprocessing"]["reason"]


@pytest.mark.parametrize("where", ["names", "scores"])
def test_a_dropped_class_is_caught(workplace, copy, where):
    content = yaml.safe_load((copy / "infer_cfg.yml").read_text())
    content["label_list"] = content["label_list"][:-1]
    (copy / "infer_cfg.yml").write_text(yaml.safe_dump(content))
    if where == "scores":

        def drop(graph):
            ends = {"starts": [0], "ends": [9], "axes": [1]}
            for name, value in ends.items():
                graph.initializer.append(numpy_helper.from_array(np.array(value, np.int64), name))
            maker = next(node for node in graph.node if "scores" in node.output)
            maker.output[list(maker.output).index("scores")] = "all"
            graph.node.append(onnx.helper.make_node("Slice", ["all", *ends], ["scores"]))
            graph.output[1].type.tensor_type.shape.dim[1].dim_value = 9

        change_onnx(copy, drop)
    ok, hops = check(workplace, copy)
    assert not ok and hops["onnxruntime"]["status"] == "FAIL"
    assert "9" in hops["onnxruntime"]["reason"] and "10" in hops["onnxruntime"]["reason"]


def test_nms_inside_is_judged_by_its_detections(workplace, tmp_path):
    export_model(*make_model(workplace), str(tmp_path), ["onnx"], nms=True, say=lambda line: None)
    ok, hops = check(workplace, tmp_path, ["onnxruntime", "paddle_inference"])
    assert ok and hops["onnxruntime"]["status"] == "pass"
    assert hops["onnxruntime"]["raw_error"] is None and hops["onnxruntime"]["unmatched"] == 0
    assert hops["static graph"]["status"] == hops["paddle_inference"]["status"] == "not measured"

    def lower(graph):
        """Half as many detections are kept."""
        limit = next(node for node in graph.node if node.op_type == "NonMaxSuppression").input[4]
        tensor = next(tensor for tensor in graph.initializer if tensor.name == limit)
        tensor.CopyFrom(numpy_helper.from_array(np.float32(0.2), limit))

    change_onnx(tmp_path, lower)
    ok, hops = check(workplace, tmp_path)
    assert not ok and "have no partner" in hops["onnxruntime"]["reason"]


def test_without_a_config_engines_are_held_to_the_static_graph(workplace, copy, tmp_path, capsys):
    report = tmp_path / "reports" / "verify.json"
    arguments = ["verify", "--model", str(copy), "--backends", "onnxruntime", "--json", str(report)]
    arguments += ["--images", str(workplace / "demo" / "images" / "val")]
    assert main(arguments) == 0
    assert "no hop failed" in capsys.readouterr().out
    assert [row["hop"] for row in json.loads(report.read_text())["hops"]] == ["static graph", "onnxruntime"]
    change_onnx(copy, shift)
    assert main(arguments) == 1
    out = capsys.readouterr().out
    assert "onnxruntime: FAIL: raw boxes differ" in out and "1 of 2 hops FAILED" in out


def shift(graph):
    """Moves every box by a pixel."""
    graph.initializer.append(numpy_helper.from_array(np.float32([1]), "one"))
    maker = next(node for node in graph.node if "boxes" in node.output)
    maker.output[list(maker.output).index("boxes")] = "there"
    graph.node.append(onnx.helper.make_node("Add", ["there", "one"], ["boxes"]))


def test_the_command_with_a_config(workplace, capsys):
    options = [f"weights={workplace / 'weights.pdparams'}", f"EvalDataset.dataset_dir={workplace / 'demo'}"]
    options += [f"TestDataset.dataset_dir={workplace / 'demo'}", "ETHead.nms.score_threshold=0.02"]
    command = ["verify", "--model", str(workplace / "exported"), "-c", CONFIG, "--compared", "2"]
    assert main([*command, "--backends", "onnxruntime", "-o", *options]) == 0
    out = capsys.readouterr().out
    assert "re-parameterised" in out and "model.onnx" in out
    options[1] = "EvalDataset.dataset_dir=nowhere"
    assert main([*command, "-o", *options]) == 2
    assert "EvalDataset.dataset_dir nowhere: no such folder" in capsys.readouterr().err
    assert main([*command, "--backends", "onnx-runtime", "-o", *options]) == 2
    assert "did you mean 'onnxruntime'" in capsys.readouterr().err


def found(*scores, offset=0.0):
    boxes = [[10 * i + offset, 0, 10 * i + 8 + offset, 8] for i in range(len(scores))]
    return Detections(boxes, scores, np.zeros(len(scores), int), ["thing"])


@pytest.mark.parametrize(
    "answer, precision, ap, status, reason",
    [
        (found(0.9, 0.4), "fp32", 50.05, "pass", None),
        (found(0.9, 0.4, offset=0.4), "fp32", 50.0, "pass", None),
        (found(0.9, 0.4, offset=0.6), "fp32", 50.0, "FAIL", "4 of 4 detections have no partner"),
        (found(0.9), "fp32", 50.0, "FAIL", "1 of 3 detections have no partner"),
        (found(0.9, 0.4, 0.04), "fp32", 50.0, "pass", None),
        (found(0.9, 0.4), "fp32", 49.8, "FAIL", "AP 49.80, not 50.00 (gate: 0.1 points)"),
        (found(0.9), "fp16", 49.8, "pass", None),
        (found(0.9), "fp16", 49.6, "FAIL", "AP 49.60"),
        (found(0.9), "int8", 49.1, "pass", None),
        (found(0.9), "int8", 48.9, "FAIL", "gate: 1.0 points"),
        (found(), "int8", 50.0, "FAIL", "detects nothing"),
    ],
)
def test_gates(answer, precision, ap, status, reason):
    scores = iter([50.0, ap])
    judge = Judge(Answers(found=[found(0.9, 0.4)]), lambda detections: next(scores))
    row = judge.judge("hop", precision, Answers(found=[answer]))
    assert row["status"] == status and row["ap_drop"] == pytest.approx(50.0 - ap)
    assert (reason or "") in row.get("reason", "")


@pytest.mark.parametrize("dropped, status", [(0, "pass"), (2, "pass"), (3, "FAIL")])
def test_a_tie_in_ten_thousand_detections_may_fall_the_other_way(dropped, status):
    """What one side keeps and the other does not; both together have 10,000 to 20,000 detections."""
    trained = [found(0.9, 0.8) for _ in range(3000)]
    answers = [found(0.9)] * dropped + trained[dropped:]
    row = Judge(Answers(found=trained), lambda detections: None).judge("hop", "fp32", Answers(found=answers))
    assert row["unmatched"] == dropped and row["compared"] == 12_000 - dropped and row["status"] == status
