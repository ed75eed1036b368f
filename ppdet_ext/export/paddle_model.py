"""The Paddle target: a static graph and its weights."""

import os

import paddle
from paddle.static import InputSpec

from ppdet_ext.compat import STATIC_GRAPH_FILES

NAME = "model"


def save_paddle(graph, folder, image_shape, nms=False):
    """Captures a graph and writes it, ``model.pdmodel`` or (Paddle 3) ``model.json``, with its weights.

    Args:
        graph (RawGraph | NMSGraph): in evaluation mode.
        folder (str): exists, without a model.
        image_shape (list): [B, 3, H, W]; None or -1 is free.
        nms (bool): the graph takes a scale factor, too.

    Returns:
        str: path of the graph file.
    """
    shape = [None if side in (None, -1) else int(side) for side in image_shape]
    spec = [InputSpec(shape, "float32", name="image")]
    if nms:
        spec.append(InputSpec([shape[0], 2], "float32", name="scale_factor"))
    files = [os.path.join(folder, NAME + extension) for extension in STATIC_GRAPH_FILES]
    dynamic_forward = graph.forward
    try:
        static = paddle.jit.to_static(graph, input_spec=spec, full_graph=True)
        paddle.jit.save(static, os.path.join(folder, NAME))
    finally:
        graph.forward = dynamic_forward
    return next(filter(os.path.exists, files))
