"""The deployed ONNX graph of EfficientDet's neck: weights are constants, every op is accounted for."""

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
from collections import Counter

import onnx
import onnxruntime
import paddle
import pytest

from ppdet_ext.export.onnx_model import save_onnx
from ppdet_ext.export.paddle_model import save_paddle
from ppdet_ext.nn import reparameterize

from ..modeling.test_weighted_bifpn import LEARNT, prepared
from ..nn.reference import random_input, relative_error


class Graph(paddle.nn.Layer):
    """An image in, the finest and the coarsest map out, which every node has part in."""

    def __init__(self, neck):
        super().__init__()
        self.c3 = paddle.nn.Conv2D(3, 6, 8, stride=8)
        self.c4 = paddle.nn.Conv2D(6, 10, 2, stride=2)
        self.c5 = paddle.nn.Conv2D(10, 12, 2, stride=2)
        self.neck = neck
        self.eval()

    def forward(self, image):
        c3 = self.c3(image)
        c4 = self.c4(c3)
        maps = self.neck([c3, c4, self.c5(c4)])
        return maps[0], maps[-1]


def exported(folder, side=256, **options):
    """The ops of the deployed graph, whose answers are those of the training form."""
    graph = Graph(prepared(**options))
    image = random_input(1, 3, 256, 256)
    trained = [x.numpy() for x in graph(image)]
    reparameterize(graph)
    file = save_onnx(save_paddle(graph, str(folder), [1, 3, side, side]), str(folder))
    answers = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"]).run(
        None, {"image": image.numpy()}
    )
    for found, expected in zip(answers, trained):
        assert relative_error(found, expected) <= 1e-5
    return [node.op_type for node in onnx.load(file).graph.node]


@pytest.mark.parametrize("topology, levels", [("official", 5), ("tutorial", 3)])
def test_fusions_make_one_and_the_same_graph(tmp_path, topology, levels):
    graphs = {}
    for fusion in LEARNT:
        (tmp_path / fusion).mkdir()
        options = {"fusion": fusion, "topology": topology, "num_levels": levels, "act": "swish"}
        graphs[fusion] = exported(tmp_path / fusion, **options)
    assert graphs["fast"] == graphs["softmax"] == graphs["unbounded"]
    assert not {"Relu", "Softmax", "ReduceSum", "Div", "BatchNormalization", "Slice"} & set(graphs["fast"])


@pytest.mark.smoke
def test_every_op_of_the_deployed_graph(tmp_path):
    """Two cells of five levels. A weight costs one Mul, none where a projection takes it in."""
    cells, nodes, fan_in, projected = 2, 8, 2 + 2 + 2 + 2 + 3 + 3 + 3 + 2, 5
    common = {
        "Conv": 3 + 1 + projected + cells * nodes * 2,
        "MaxPool": 2 + cells * 4,
        "Resize": cells * 4,
        "Add": cells * (fan_in - nodes),
        "Sigmoid": cells * nodes,
    }
    muls = {"fast": cells * fan_in - projected, "sum": 0}
    for fusion, weights in muls.items():
        (tmp_path / fusion).mkdir()
        ops = Counter(exported(tmp_path / fusion, fusion=fusion))
        assert ops == {**common, "Mul": cells * nodes + weights}


def test_a_free_size(tmp_path):
    ops = Counter(exported(tmp_path, side=-1, num_levels=3, num_cells=1))
    assert ops["Resize"] == 2 and not {"Relu", "Div", "Softmax"} & set(ops)
