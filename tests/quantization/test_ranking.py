"""The order of the layers: what was broken on purpose comes first."""

import copy

import numpy as np
import pytest

from ppdet_ext.export.graph import float_weights
from ppdet_ext.export.onnx_ranges import QuantizedGraph, read_quantized
from ppdet_ext.quantization.ranking import output_error, rank_layers


@pytest.fixture(scope="module")
def graph(relu):
    """With float weights, and so few quantised layers that a ranking takes seconds."""
    quantized = read_quantized(relu.quantized_file, weights=float_weights(relu.raw))
    model = quantized.model
    weights = [node.input[1] for node in model.graph.node if node.op_type == "Conv"]
    few = {name for name in weights[2:-1:12] if name in quantized.weights}
    return QuantizedGraph(model, dict(quantized.ranges), few, quantized.maps)


def input_of(graph, weight):
    (node,) = (node for node in graph.model.graph.node if weight in node.input)
    return node.input[0]


@pytest.mark.parametrize("factor", [20, 0.05])
def test_a_wrong_range_comes_first(graph, relu, factor):
    ranked = rank_layers(graph, relu.pixels[:2])
    assert {layer for layer, _ in ranked} == graph.weights and len(ranked) >= 6
    errors = [error for _, error in ranked]
    assert errors == sorted(errors, reverse=True) and 0 < errors[-1] and errors[0] < 0.3
    broken, before = ranked[1]
    wrong = copy.copy(graph)
    wrong.ranges = dict(graph.ranges)
    name = input_of(graph, broken)
    wrong.ranges[name] = tuple(factor * end for end in graph.ranges[name])
    (first, error), *others = rank_layers(wrong, relu.pixels[:2])
    assert first == broken and error > 3 * before
    assert dict(others) == pytest.approx(
        {layer: error for layer, error in ranked if layer != broken and input_of(graph, layer) != name},
        rel=1e-6,
    )


def outputs(seed):
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 50, [1, 200, 2])
    boxes = np.concatenate([corners, corners + rng.uniform(5, 20, [1, 200, 2])], -1)
    return boxes.astype("float32"), rng.random([1, 3, 200], "float32")


def test_the_error_of_outputs():
    boxes, scores = outputs(0)
    assert output_error([(boxes, scores)], [(boxes, scores)]) == 0
    # Scores by a tenth; boxes out of reach of each other.
    assert output_error([(boxes, 1.1 * scores)], [(boxes, scores)]) == pytest.approx(0.1, rel=1e-5)
    assert output_error([(boxes + 1000, scores)], [(boxes, scores)]) == pytest.approx(1)
    # Half of each box: IoU 0.5, in one of two images.
    half = boxes.copy()
    half[..., 2] = (boxes[..., 0] + boxes[..., 2]) / 2
    both = [(boxes, scores)] * 2
    assert output_error([(half, scores), (boxes, scores)], both) == pytest.approx(0.25, rel=1e-4)


def test_only_the_boxes_that_score_count():
    boxes, scores = outputs(1)
    worst = np.argsort(scores[0].max(0))[:100]
    moved = boxes.copy()
    moved[0, worst] += 1000
    assert output_error([(moved, scores)], [(boxes, scores)]) == 0
