"""NMS inside an ONNX graph that ends in raw outputs, right for any number of images a batch.

Both forms end in num_dets [B, 1] int32, det_boxes [B, K, 4] and det_scores [B, K] float32, det_classes
[B, K] int32, as TensorRT's plugin has them; K is `keep_top_k`, and the first num_dets of an image are its
detections by falling score.
"""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from ppdet_ext.runtime.backends import NMS as OUTPUTS

# GatherND with a batch dimension and ReduceSum with axes as an input.
LEAST_OPSET = 13
# The plugin's domain; TensorRT finds it by the op's name.
PLUGIN_DOMAIN = "TRT"


def check_settings(settings):
    """Refuses NMS settings that have no form inside a graph.

    Args:
        settings (dict): `NMS` of an `infer_cfg.yml`.

    Raises:
        ValueError: another kind than MultiClassNMS, all detections kept, sides in whole pixels, or a
            threshold below 0.
    """
    name = settings.get("name", "MultiClassNMS")
    if name != "MultiClassNMS":
        raise ValueError(f"NMS in the graph is MultiClassNMS, not {name}; export without --nms")
    if settings.get("keep_top_k", -1) < 1:
        raise ValueError("NMS in the graph needs a limit; set the head's nms keep_top_k, say to 300")
    if not settings.get("normalized", True):
        raise ValueError("NMS in the graph takes normalized: true; export without --nms")
    if settings.get("score_threshold", 0) < 0:
        raise ValueError("NMS in the graph needs a score_threshold of 0 or more")


def add_nms(model, settings):
    """Puts ONNX's NonMaxSuppression behind the raw outputs, with all that MultiClassNMS does beside it.

    Args:
        model (onnx.ModelProto): outputs boxes [B, L, 4] and scores [B, C, L]; changed in place.
        settings (dict): `NMS` of an `infer_cfg.yml`.
    """
    graph = _Graph(model)
    scores = graph.without_background("scores", settings.get("background_label", -1))
    scores = graph.best_of_class(scores, settings.get("nms_top_k", -1))
    keep = settings["keep_top_k"]
    thresholds = [graph.constant(np.float32(settings[key])) for key in ("nms_threshold", "score_threshold")]
    limits = [graph.constant(np.int64(keep)), *thresholds]
    chosen = graph.node("NonMaxSuppression", ["boxes", scores, *limits])
    # What was chosen, back in its place among zeros: then the best of each image are one TopK away.
    zeros = graph.node("Mul", [scores, graph.constant(np.float32(0))])
    kept = graph.node("ScatterND", [zeros, chosen, graph.node("GatherND", [scores, chosen])])
    flat = graph.node("Flatten", [kept], axis=1)
    count = graph.node("Min", [graph.constant([keep]), graph.side(flat, 1)])
    best, where = graph.node("TopK", [flat, count], outputs=2, axis=-1, largest=1, sorted=1)
    anchors = graph.side("boxes", 1)
    found = graph.node("Greater", [best, graph.constant(np.float32(0))])
    label = graph.node("Div", [where, anchors])
    index = graph.node("Unsqueeze", [graph.node("Mod", [where, anchors]), graph.constant([2])])
    boxes = graph.node("GatherND", ["boxes", index], batch_dims=1)
    mask = graph.node("Unsqueeze", [graph.node("Cast", [found], to=TensorProto.FLOAT), graph.constant([2])])
    counted = graph.node("Cast", [found], to=TensorProto.INT32)
    graph.node("ReduceSum", [counted, graph.constant([1])], name=OUTPUTS[0], keepdims=1)
    graph.node("Mul", [boxes, mask], name=OUTPUTS[1])
    graph.node("Identity", [best], name=OUTPUTS[2])
    nothing = graph.constant(np.int64(-1))
    label = graph.node("Where", [found, label, nothing])
    graph.node("Cast", [label], name=OUTPUTS[3], to=TensorProto.INT32)
    graph.end_in(keep)


def add_efficient_nms(model, settings):
    """Puts TensorRT's EfficientNMS plugin behind the raw outputs; only TensorRT reads the result.

    Args:
        model (onnx.ModelProto): outputs boxes [B, L, 4] and scores [B, C, L]; changed in place.
        settings (dict): `NMS` of an `infer_cfg.yml`.
    """
    graph = _Graph(model)
    scores = graph.without_background("scores", settings.get("background_label", -1))
    by_anchor = graph.node("Transpose", [scores], perm=[0, 2, 1])
    model.graph.node.append(
        helper.make_node(
            "EfficientNMS_TRT",
            ["boxes", by_anchor],
            list(OUTPUTS),
            "EfficientNMS_TRT",
            domain=PLUGIN_DOMAIN,
            plugin_version="1",
            background_class=-1,
            max_output_boxes=settings["keep_top_k"],
            score_threshold=float(settings["score_threshold"]),
            iou_threshold=float(settings["nms_threshold"]),
            score_activation=0,
            class_agnostic=0,
            box_coding=0,
        )
    )
    model.opset_import.append(helper.make_opsetid(PLUGIN_DOMAIN, 1))
    graph.end_in(settings["keep_top_k"])


class _Graph:
    """Appends nodes to a model, each named after the one before it."""

    def __init__(self, model):
        self.graph = model.graph
        self.number = 0

    def _name(self):
        self.number += 1
        return f"nms.{self.number}"

    def constant(self, value):
        name = self._name()
        self.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def node(self, kind, inputs, outputs=1, name=None, **attributes):
        names = [name] if name else [self._name() for _ in range(outputs)]
        self.graph.node.append(helper.make_node(kind, inputs, names, names[0] + ".op", **attributes))
        return names[0] if outputs == 1 else names

    def side(self, tensor, axis):
        """[1] int64: how long a tensor is along an axis."""
        return self.node("Gather", [self.node("Shape", [tensor]), self.constant([axis])])

    def without_background(self, scores, label):
        """Scores with those of the background class at 0, which no threshold lets pass."""
        classes = self.graph.output[1].type.tensor_type.shape.dim[1].dim_value
        if not 0 <= label < classes:
            return scores
        mask = np.ones([1, classes, 1], np.float32)
        mask[0, label] = 0
        return self.node("Mul", [scores, self.constant(mask)])

    def best_of_class(self, scores, top_k):
        """Scores with all but the `top_k` best of each class at 0."""
        if top_k < 0:
            return scores
        count = self.node("Min", [self.constant([top_k]), self.side(scores, 2)])
        best, _ = self.node("TopK", [scores, count], outputs=2, axis=-1, largest=1, sorted=1)
        last = [self.constant([side]) for side in (-1, np.iinfo(np.int64).max, 2)]
        least = self.node("Slice", [best, *last])
        passed = self.node("Cast", [self.node("GreaterOrEqual", [scores, least])], to=TensorProto.FLOAT)
        return self.node("Mul", [scores, passed])

    def end_in(self, keep):
        """Makes the detections the graph's outputs, in the place of the raw ones."""
        batch = self.graph.output[0].type.tensor_type.shape.dim[0]
        side = batch.dim_value if batch.HasField("dim_value") else batch.dim_param or "batch"
        kinds = (TensorProto.INT32, TensorProto.FLOAT, TensorProto.FLOAT, TensorProto.INT32)
        shapes = ([side, 1], [side, keep, 4], [side, keep], [side, keep])
        del self.graph.output[:]
        self.graph.output.extend(
            helper.make_tensor_value_info(name, kind, shape)
            for name, kind, shape in zip(OUTPUTS, kinds, shapes)
        )
