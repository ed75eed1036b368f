"""NMS inside an ONNX graph against NMS in NumPy, for batches of one and of several."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from ppdet_ext.export.onnx_nms import add_efficient_nms, add_nms, check_settings
from ppdet_ext.runtime.nms import multiclass_nms

SETTINGS = {
    "score_threshold": 0.05,
    "nms_top_k": 40,
    "keep_top_k": 25,
    "nms_threshold": 0.5,
    "normalized": True,
    "background_label": -1,
}
CLASSES = 4


def raw_model():
    """A graph whose raw outputs are its inputs."""
    shapes = {"boxes": ["batch", "anchors", 4], "scores": ["batch", CLASSES, "anchors"]}
    ports = [
        [
            helper.make_tensor_value_info(prefix + name, TensorProto.FLOAT, shape)
            for name, shape in shapes.items()
        ]
        for prefix in ("raw_", "")
    ]
    nodes = [helper.make_node("Identity", ["raw_" + name], [name]) for name in shapes]
    graph = helper.make_graph(nodes, "raw", *ports)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def crowded(batch, anchors, seed):
    rng = np.random.RandomState(seed)
    centres = rng.rand(batch, 12, 2) * 300
    boxes = centres[:, rng.randint(0, 12, anchors)] + rng.randn(batch, anchors, 2) * 6
    sides = 40 + rng.rand(batch, anchors, 2) * 30
    boxes = np.concatenate([boxes - sides / 2, boxes + sides / 2], -1).astype(np.float32)
    scores = (rng.rand(batch, CLASSES, anchors) ** 4).astype(np.float32)
    return boxes, scores


def run(settings, boxes, scores):
    model = raw_model()
    add_nms(model, settings)
    onnx.checker.check_model(model)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [port.name for port in session.get_outputs()]
    assert names == ["num_dets", "det_boxes", "det_scores", "det_classes"]
    return session.run(None, {"raw_boxes": boxes, "raw_scores": scores})


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("change", [{}, {"nms_top_k": -1}, {"nms_top_k": 1000}, {"background_label": 1}])
def test_equal_to_nms_in_numpy(batch, change):
    settings = {**SETTINGS, **change}
    boxes, scores = crowded(batch, 300, seed=batch)
    counts, found, best, labels = run(settings, boxes, scores)
    assert counts.shape == (batch, 1) and found.shape == (batch, 25, 4)
    for image in range(batch):
        index, label = multiclass_nms(boxes[image], scores[image], **settings)
        count = len(index)
        assert counts[image, 0] == count > 5
        np.testing.assert_array_equal(labels[image, :count], label)
        np.testing.assert_array_equal(best[image, :count], scores[image][label, index])
        np.testing.assert_array_equal(found[image, :count], boxes[image][index])
        assert (labels[image, count:] == -1).all() and not found[image, count:].any()


def test_an_image_without_detections_beside_one_with():
    boxes, scores = crowded(3, 50, seed=7)
    scores[1] = 0.01
    counts, found, best, labels = run(SETTINGS, boxes, scores)
    assert counts[1, 0] == 0 and counts[0, 0] > 0 and counts[2, 0] > 0
    assert not best[1].any() and not found[1].any() and (labels[1] == -1).all()
    alone = run(SETTINGS, boxes[2:], scores[2:])
    for together, single in zip((counts, found, best, labels), alone):
        np.testing.assert_array_equal(together[2], single[0])


def test_fewer_anchors_than_detections_are_kept():
    boxes, scores = crowded(2, 3, seed=8)
    counts, found, best, _ = run(SETTINGS, boxes, scores)
    assert found.shape == (2, 12, 4), "no more than there are anchors times classes"
    assert (counts[:, 0] == (best > 0).sum(1)).all()


def test_the_plugin_has_the_settings():
    model = raw_model()
    add_efficient_nms(model, SETTINGS)
    onnx.checker.check_model(model)
    node = next(node for node in model.graph.node if node.op_type == "EfficientNMS_TRT")
    given = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    assert given["max_output_boxes"] == 25 and given["background_class"] == -1
    assert given["score_threshold"] == pytest.approx(0.05) and given["iou_threshold"] == pytest.approx(0.5)
    assert given["score_activation"] == 0 and given["box_coding"] == 0 and given["plugin_version"] == b"1"
    assert list(node.output) == ["num_dets", "det_boxes", "det_scores", "det_classes"]
    turned = next(node for node in model.graph.node if node.op_type == "Transpose")
    assert node.input[0] == "boxes" and node.input[1] == turned.output[0], "it wants classes last"


@pytest.mark.parametrize(
    "change, message",
    [
        ({"name": "MatrixNMS"}, "is MultiClassNMS, not MatrixNMS"),
        ({"keep_top_k": -1}, "set the head's nms keep_top_k"),
        ({"normalized": False}, "takes normalized: true"),
        ({"score_threshold": -1}, "score_threshold of 0 or more"),
    ],
)
def test_settings_that_have_no_form_in_a_graph(change, message):
    with pytest.raises(ValueError, match=message):
        check_settings({"name": "MultiClassNMS", **SETTINGS, **change})
