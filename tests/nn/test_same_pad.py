"""SAME padding against its definition, at every remainder of size by stride, and through folding, export."""

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import numpy as np
import onnx
import paddle
import pytest

from ppdet_ext.export.onnx_model import save_onnx
from ppdet_ext.export.paddle_model import save_paddle
from ppdet_ext.nn import ConvNormAct, SameConv2D, SameMaxPool2D, reparameterize, same_padding

from .reference import array, batch_norm, random_input, randomise, relative_error
from .same_numpy import same_convolution, same_max_pool

# Even and odd sides, and ones smaller than the kernel.
SIDES = [(8, 8), (9, 9), (8, 11), (7, 10), (1, 2)]
GEOMETRIES = [(1, 1), (1, 2), (2, 2), (3, 1), (3, 2), (3, 3), (5, 1), (5, 2)]


@pytest.mark.parametrize(
    "size, kernel, stride, expected",
    [
        (512, 3, 2, (0, 1)),
        (512, 5, 2, (1, 2)),
        (513, 3, 2, (1, 1)),
        (513, 5, 2, (2, 2)),
        (512, 3, 1, (1, 1)),
        (513, 5, 1, (2, 2)),
        (7, 1, 2, (0, 0)),
        (7, 2, 2, (0, 1)),
    ],
)
def test_padding_of_an_axis(size, kernel, stride, expected):
    """Values of TensorFlow's rule; the first two are those of every official size."""
    assert same_padding(size, kernel, stride) == expected


@pytest.mark.parametrize("kernel, stride", GEOMETRIES)
def test_convolution_and_pooling_equal_numpy(kernel, stride):
    dense = randomise(SameConv2D(4, 6, kernel, stride, bias=True))
    depthwise = randomise(SameConv2D(4, 4, kernel, stride, groups=4))
    pool = SameMaxPool2D(kernel, stride)
    for height, width in SIDES:
        x = random_input(2, 4, height, width)
        expected = same_convolution(array(x), array(dense.weight), array(dense.bias), stride)
        assert expected.shape == (2, 6, -(-height // stride), -(-width // stride))
        assert relative_error(dense(x).numpy(), expected) <= 1e-5
        expected = same_convolution(array(x), array(depthwise.weight), stride=stride, groups=4)
        assert relative_error(depthwise(x).numpy(), expected) <= 1e-5
        below = x - 9  # a pool that pads with zeros would show
        assert relative_error(pool(below).numpy(), same_max_pool(array(below), kernel, stride)) <= 1e-6


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("kernel, stride, groups", [(3, 2, 1), (5, 2, 6), (3, 1, 6)])
def test_folding_keeps_it(kernel, stride, groups, bias):
    layer = randomise(ConvNormAct(6, 6, kernel, stride, groups, bn_epsilon=1e-3, same=True, bias=bias))
    images = [random_input(2, 6, *sides) for sides in SIDES]
    given = array(layer.conv.bias) if bias else None
    expected = [
        batch_norm(
            same_convolution(array(x), array(layer.conv.weight), given, stride, groups), layer.bn, 1e-3
        )
        for x in images
    ]
    for x, y in zip(images, expected):
        assert relative_error(layer(x).numpy(), y) <= 1e-5
    reparameterize(layer)
    assert isinstance(layer.conv, SameConv2D) and layer.bn is None
    for x, y in zip(images, expected):
        assert relative_error(layer(x).numpy(), y) <= 1e-5


class Pyramid(paddle.nn.Layer):
    """Two outputs, as an exported graph has."""

    def __init__(self):
        super().__init__()
        self.first = ConvNormAct(3, 4, 3, 2, same=True)
        self.second = ConvNormAct(4, 4, 5, 2, 4, same=True)
        self.pool = SameMaxPool2D(3, 2)

    def forward(self, image):
        x = self.second(self.first(image))
        return x, self.pool(x)


@pytest.mark.parametrize(
    "size, pads",
    [
        # Rows before, columns before, rows after, columns after; sizes 64, 32, 16 and, the other, 65, 33, 17
        # by 66, 33, 17.
        ((64, 64), [[0, 0, 1, 1], [1, 1, 2, 2], [0, 0, 1, 1]]),
        ((65, 66), [[1, 0, 1, 1], [2, 2, 2, 2], [1, 1, 1, 1]]),
        ((-1, -1), [[0, 0, 1, 1], [1, 1, 2, 2], [0, 0, 1, 1]]),
    ],
)
def test_exported_pads_are_constants(tmp_path, size, pads):
    model = reparameterize(randomise(Pyramid()))
    file = save_onnx(save_paddle(model, str(tmp_path), [None, 3, *size]), str(tmp_path))
    nodes = onnx.load(file).graph.node
    assert [node.op_type for node in nodes] == ["Conv", "Conv", "MaxPool"]
    for node, expected in zip(nodes, pads):
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        assert attributes["pads"] == expected and attributes.get("auto_pad", b"NOTSET") == b"NOTSET"
        assert not attributes.get("ceil_mode")
    x = random_input(2, 3, *(side if side > 0 else 128 for side in size))
    import onnxruntime

    answers = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"]).run(
        None, {"image": x.numpy()}
    )
    for answer, own in zip(answers, model(x)):
        np.testing.assert_allclose(answer, own.numpy(), rtol=1e-5, atol=1e-5)
