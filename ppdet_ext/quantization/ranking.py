"""Which layers lose most when they are quantised, from the network's outputs alone: no annotation is read.

A mAP run a layer takes hours; the error of the outputs on a few images takes minutes and orders them alike.
"""

import numpy as np
import onnxruntime
from tqdm import tqdm

from ppdet_ext.export.onnx_qdq import FULL, place
from ppdet_ext.runtime.backends import RAW
from ppdet_ext.runtime.box_iou import box_iou

# The anchors of an image whose boxes count: about as many as there are objects in a full picture.
BOXES = 100
# Images that the outputs are compared on; the order hardly changes with more.
MOST_IMAGES = 8


def rank_layers(quantized, images, weight_levels=FULL):
    """Orders the convolutions by what quantising each one alone does to the outputs.

    Args:
        quantized (QuantizedGraph): with float weights.
        images (sequence): [3, H, W] float32 each; the first ``MOST_IMAGES`` are used.
        weight_levels (int): see :func:`place`.

    Returns:
        list[tuple[str, float]]: weight of a convolution and its error, the largest first.
    """
    batches = [image[None] for image in images[:MOST_IMAGES]]
    expected = _outputs(quantized.model, batches)
    errors = {}
    for weight in tqdm(sorted(quantized.weights), desc="layers ranked", unit="layer", disable=None):
        model = place(quantized, "onnx", quantized.weights - {weight}, weight_levels)
        errors[weight] = output_error(_outputs(model, batches), expected)
    return sorted(errors.items(), key=lambda entry: -entry[1])


def output_error(outputs, expected):
    """How far raw outputs are from those of the float model.

    Args:
        outputs, expected (list): boxes [1, L, 4] xyxy and scores [1, C, L] of each image.

    Returns:
        float: the relative error of the scores, plus 1 - IoU of the boxes that score best; mean over images.
    """
    total = 0.0
    for (boxes, scores), (true_boxes, true_scores) in zip(outputs, expected):
        best = np.argsort(-true_scores[0].max(0))[:BOXES]
        total += np.linalg.norm(scores - true_scores) / max(np.linalg.norm(true_scores), 1e-12)
        total += 1 - float(np.diagonal(box_iou(boxes[0, best], true_boxes[0, best])).mean())
    return total / len(expected)


def _outputs(model, batches):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    port = session.get_inputs()[0].name
    return [session.run(list(RAW), {port: batch}) for batch in batches]
