"""The graphs that are exported: raw outputs, or PaddleDetection's form with NMS inside."""

import contextlib

import paddle.nn as nn

from ppdet_ext.nn import reparameterize

# Heads of PaddleDetection's that one of ours replaces, checkpoints included; and all of ours.
SUCCESSORS = {"PPYOLOEHead": "ETHead"}
HEADS = "ETHead, EfficientRepHead or EfficientDetHead"


def _head_key(model):
    """The name of a detector's head in its checkpoints; PaddleDetection's YOLO architectures tell none."""
    return getattr(model, "head_key", "yolo_head")


def head_of(model):
    """The head (nn.Layer) of a detector of any family.

    Raises:
        ValueError: it has none, or one that does not decode, such as PaddleDetection's own.
    """
    head = getattr(model, _head_key(model), None)
    if hasattr(head, "decode"):
        return head
    name = type(model if head is None else head).__name__
    successor = SUCCESSORS.get(name)
    mend = f"{successor} takes its place, and its checkpoints" if successor else f"take {HEADS}"
    raise ValueError(
        f"{name}: ends in no raw boxes and scores, which info, export, quantize and verify need; {mend}: "
        "docs/migration.md"
    )


class RawGraph(nn.Layer):
    """Image in, every box and score out; no NMS.

    Args:
        model (YOLODetector, EfficientDet or the like): with ``backbone``, ``neck`` and a head that decodes.

    Attributes: ``backbone``, ``neck`` and ``head``; ``head_key`` (str), the head's name in checkpoints.
    """

    def __init__(self, model):
        super().__init__()
        self.backbone = model.backbone
        self.neck = model.neck
        self.head = head_of(model)
        self.head_key = _head_key(model)
        self.mean = None  # of the pixels, while the normalisation is part of the graph

    def predict(self, image):
        """The head's evaluation outputs."""
        if self.mean is not None:
            image = image - self.mean
        return self.head(self.neck(self.backbone({"image": image})))

    def forward(self, image):
        """image [B, 3, H, W] float32 to boxes [B, L, 4] xyxy in its pixels and scores [B, C, L]."""
        return self.head.decode(self.predict(image))


class NMSGraph(nn.Layer):
    """Image and scale factor in, boxes after NMS out: what PaddleDetection's ``deploy/`` programs run.

    Args:
        raw (RawGraph): the graph before the NMS.
    """

    def __init__(self, raw):
        super().__init__()
        self.raw = raw

    def forward(self, image, scale_factor):
        """scale_factor [B, 2] (y, x) to boxes [sum(N_i), 6] in original pixels and their counts [B]."""
        boxes, counts, _ = self.raw.head.post_process(self.raw.predict(image), scale_factor)
        return boxes, counts


def deployed(graph):
    """Puts a graph into evaluation mode and re-parameterises it, in place; returns it."""
    graph.eval()
    return reparameterize(graph)


def float_weights(graph):
    """Kernels [Cout, Cin / groups, k, k] of a network's convolutions, by their names in captured graphs."""
    weights = [getattr(layer, "weight", None) for layer in graph.sublayers()]
    return {weight.name: weight.numpy() for weight in weights if weight is not None and weight.ndim == 4}


@contextlib.contextmanager
def without_swish(graph):
    """Has SiLU in the place of swish within the context: the same function as an op that every converter
    takes. Paddle Lite dies of Paddle 2.6's swish, which lacks the attribute beta.

    Args:
        graph (nn.Layer): changed in place, and back.
    """
    replaced = [
        (layer, name, child)
        for layer in graph.sublayers(include_self=True)
        for name, child in layer.named_children()
        if isinstance(child, nn.Swish)
    ]
    try:
        for layer, name, _ in replaced:
            setattr(layer, name, nn.Silu())
        yield graph
    finally:
        for layer, name, child in replaced:
            setattr(layer, name, child)


@contextlib.contextmanager
def with_shifted_softmax(graph):
    """Has the largest logit taken off before a head's softmax within the context: the same function. That of
    Paddle Lite on x86 gives NaN where logits are more than about 300 apart.

    Args:
        graph (nn.Layer): changed in place, and back.
    """
    heads = [layer for layer in graph.sublayers() if hasattr(layer, "shifted_softmax")]
    try:
        for head in heads:
            head.shifted_softmax = True
        yield graph
    finally:
        for head in heads:
            head.shifted_softmax = False
